use super::*;
use crate::journal::model::events::{Answer, Sent};
use std::path::PathBuf;
use std::time::Duration;

const RUN: u64 = 77;
/// Attempts whose answers carry optional parameters.
const TLVS: [i64; 4] = [12, 13, 30, 1_050];

fn place() -> (tempfile::TempDir, PathBuf, Answers) {
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("journal.db");
    let answers = Answers::open(&journal).unwrap();
    (folder, journal, answers)
}

/// A batch of answers to these attempts, each with an id of that many octets.
fn batch(attempts: std::ops::Range<i64>, id: usize) -> Batch {
    let mut batch = Batch { came_at: attempts.start, ..Batch::default() };
    for attempt in attempts {
        let message_id = batch.keep(&vec![b'x'; id]);
        let tlvs = if TLVS.contains(&attempt) { batch.keep(b"\0\x1D\0\x01x") } else { 0..0 };
        let sent = Sent {
            attempt: Attempt(attempt),
            message: attempt,
            sequence_number: 1,
            campaign: 0,
            plain: true,
            refused: 1,
            late: false,
            referenced: attempt % 2 == 0,
            generation: 0,
            destination: 0,
        };
        let command_status = if attempt % 3 == 0 { 0x14 } else { 0 };
        batch.answers.push(Answer {
            sent,
            command_status,
            excused: false,
            waited: Duration::from_millis(7),
            message_id,
            tlvs,
        });
    }
    batch
}

fn note(notes: &mut Notes, attempts: std::ops::Range<i64>) -> Batch {
    let mut batch = batch(attempts, 10);
    notes.note(&mut batch, &RetryRules::default()).unwrap();
    batch
}

fn read(journal: &Path, run: u64) -> Vec<i64> {
    Answers::open(journal).unwrap().read(run).iter().map(|noted| noted.attempt.0).collect()
}

#[test]
fn what_was_noted_is_read_back_as_it_came() {
    let (_folder, journal, answers) = place();
    let (mut first, mut second) = (answers.begin(1, RUN), answers.begin(2, RUN));
    note(&mut first, 10..14);
    note(&mut second, 20..22);
    note(&mut first, 30..31);
    assert_eq!(read(&journal, RUN), [10, 11, 12, 13, 20, 21, 30]);
    let found = answers.read(RUN);
    let expected = Noted {
        session: 1,
        number: 0,
        came_at: 10,
        attempt: Attempt(12),
        command_status: 0x14,
        class: CommandStatus(0x14).class(),
        retried: RetryRules::default().delay_ms(CommandStatus(0x14), 1).is_some(),
        refused: 1,
        referenced: true,
        waited_ms: 7,
        message_id: vec![b'x'; 10],
        tlvs: if TLVS.contains(&12) { b"\0\x1D\0\x01x".to_vec() } else { Vec::new() },
    };
    assert_eq!(found[2], expected);
    assert_eq!((found[4].session, found[6].number), (2, 1));
    answers.reset().unwrap();
    assert!(read(&journal, RUN).is_empty());
}

#[test]
fn notes_of_another_run_or_under_another_session_are_not_believed() {
    let (_folder, journal, answers) = place();
    note(&mut answers.begin(1, RUN), 10..14);
    assert!(read(&journal, RUN + 1).is_empty());
    answers.0.file.write_all_at(&[9], 16).unwrap();
    assert!(read(&journal, RUN).is_empty());
}

#[test]
fn a_torn_note_is_not_believed_and_those_before_it_are() {
    let (_folder, journal, answers) = place();
    let mut notes = answers.begin(1, RUN);
    note(&mut notes, 10..12);
    let whole = notes.at;
    note(&mut notes, 12..20);
    let octets = std::fs::read(beside(&journal, "-answers")).unwrap();
    for length in 0..octets.len() {
        for tail in [None, Some(vec![0; 64])] {
            let mut torn = octets[..length].to_vec();
            torn.extend(tail.unwrap_or_default());
            std::fs::write(beside(&journal, "-answers"), torn).unwrap();
            let expected: &[i64] = if length < whole { &[] } else { &[10, 11] };
            // Zeros may be what the last octets were.
            let found = read(&journal, RUN);
            assert!(found == expected || length + 64 > octets.len() && found.len() == 10, "{length}: {found:?}");
        }
    }
    // The next note goes where the torn one was: it was not counted.
    let before = (notes.at, notes.number);
    let file = std::fs::OpenOptions::new().read(true).open(beside(&journal, "-answers")).unwrap();
    let unwritable = Answers(Arc::new(Shared { file, extents: Mutex::default() }));
    let writable = std::mem::replace(&mut notes.answers, unwritable);
    let mut lost = batch(20..22, 10);
    assert!(notes.note(&mut lost, &RetryRules::default()).is_err());
    assert_eq!((notes.at, notes.number, notes.batches()), (before.0, before.1, 3));
    std::fs::write(beside(&journal, "-answers"), octets).unwrap();
    notes.answers = writable;
    note(&mut notes, 30..31);
    assert_eq!(read(&journal, RUN).last(), Some(&30));
}

#[test]
fn space_is_used_again_once_it_is_committed_and_what_is_older_is_not_read() {
    let (_folder, journal, answers) = place();
    let mut notes = answers.begin(1, RUN);
    // Nothing is outstanding: always the same place. What stood behind is of the same session, and older.
    let committed = note(&mut notes, 1..9);
    committed.note_committed();
    note(&mut notes, 10..12).note_committed();
    assert_eq!(read(&journal, RUN), [10, 11]);
    // All is outstanding: one extent after another, and nothing is lost.
    let mut waiting: Vec<Batch> = (0..400).map(|n| note(&mut notes, 1_000 + n * 100..1_000 + (n + 1) * 100)).collect();
    let all = 1_000..1_000 + 400 * 100;
    assert_eq!(read(&journal, RUN), all.clone().collect::<Vec<_>>());
    let length = std::fs::metadata(beside(&journal, "-answers")).unwrap().len();
    // As the journal commits them, their space is used again.
    for n in 400..4_000 {
        waiting.remove(0).note_committed();
        waiting.push(note(&mut notes, 1_000 + n * 100..1_000 + (n + 1) * 100));
        if n % 100 == 0 {
            let found = read(&journal, RUN);
            let owed: Vec<i64> = (1_000 + (n + 1 - 400) * 100..1_000 + (n + 1) * 100).collect();
            assert!(found.ends_with(&owed), "{n}");
        }
    }
    let grown = std::fs::metadata(beside(&journal, "-answers")).unwrap().len();
    assert!(grown <= length + 2 * EXTENT as u64, "{length} to {grown}");
    // A session that ends leaves its extents to others, when they are committed.
    let mut next = answers.begin(2, RUN);
    drop(notes);
    note(&mut next, 5_000_000..5_000_001);
    let owed: usize = waiting.iter().map(|batch| batch.answers.len()).sum();
    assert!(read(&journal, RUN).len() > owed, "what is not committed is there still");
    waiting.drain(..).for_each(|batch| batch.note_committed());
    let extents = answers.0.extents.lock().count;
    let mut kept: Vec<Batch> = Vec::new();
    for n in 0..400 {
        kept.push(note(&mut next, 6_000_000 + n * 100..6_000_000 + (n + 1) * 100));
    }
    assert!(answers.0.extents.lock().count <= extents + 1);
}

#[test]
fn answers_larger_than_an_extent_are_noted_all_the_same() {
    let (_folder, journal, answers) = place();
    let mut notes = answers.begin(1, RUN);
    let mut large = batch(1..8, MAX_PDU_OCTETS);
    notes.note(&mut large, &RetryRules::default()).unwrap();
    let mut many = batch(100..20_100, 40);
    notes.note(&mut many, &RetryRules::default()).unwrap();
    assert_eq!(read(&journal, RUN), (1..8).chain(100..20_100).collect::<Vec<_>>());
}
