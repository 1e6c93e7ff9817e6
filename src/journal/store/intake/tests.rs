use super::*;
use crate::journal::open::open_existing;
use crate::journal::store::number_index::key_of;

/// Messages of 255 parts each, so that few rows make many numbers.
fn rows(count: u64) -> impl Iterator<Item = Kept<'static>> {
    (0..count).map(|row| {
        let message = NewMessage {
            line: row + 2,
            destination: "447700900001",
            number: key_of("447700900001"),
            source: None,
            text: "x",
            encoding: 0,
            parts: 255,
            fields: None,
            typed: None,
            suppressed: row % 3 == 0,
        };
        match row % 10 {
            9 => {
                Kept::Skipped { line: row + 2, duplicate: row % 20 == 9, sent_lately: false, reason: "why", row: "44" }
            }
            _ => Kept::Message(message),
        }
    })
}

fn begin(path: &Path, name: &str) -> Intake {
    Intake::begin(path, name, "file.csv", &CampaignOptions::default()).unwrap()
}

fn count(connection: &Connection, table: &str) -> i64 {
    connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

#[test]
fn f46_what_never_became_whole_is_undone_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let mut whole = begin(&path, "whole");
    whole.store(rows(1_000)).unwrap();
    let counts = whole.finish("digest").unwrap();
    assert_eq!((counts.messages, counts.parts, counts.suppressed), (900, 229_500, 300));
    assert_eq!((counts.duplicates, counts.rejected), (50, 50));
    let tables = ["message", "message_state", "skipped_row", "campaign", "campaign_count"];
    let connection = open_existing(&path).unwrap();
    let of_one = tables.map(|table| count(&connection, table));
    assert_eq!(of_one, [900, 300, 100, 1, 1]);

    // Dropped, as a process that dies drops it: the chunks that were committed stay, under a hidden campaign.
    let mut torn = begin(&path, "torn");
    torn.store(rows(25_000)).unwrap();
    torn.store(rows(100)).unwrap();
    drop(torn);
    assert_eq!(count(&connection, "message"), 900 + 22_500);
    assert_eq!(count(&connection, "campaign_summary"), 1);
    assert_eq!(count(&connection, "message_status"), 900);
    assert!(existing(&connection, "torn").unwrap().is_none());

    assert_eq!(undo_unfinished(&connection, &path).unwrap(), 1);
    assert_eq!(undo_unfinished(&connection, &path).unwrap(), 0);
    assert_eq!(tables.map(|table| count(&connection, table)), of_one);

    // The next import of that name does so too, and so does one that is undone.
    let mut torn = begin(&path, "torn");
    torn.store(rows(25_000)).unwrap();
    drop(torn);
    let mut again = begin(&path, "torn");
    assert!(matches!(undo_unfinished(&connection, &path), Ok(0)), "one that runs is left alone");
    again.store(rows(25_000)).unwrap();
    again.abandon().unwrap();
    assert_eq!(tables.map(|table| count(&connection, table)), of_one);
    assert!(matches!(
        Intake::begin(&path, "whole", "file.csv", &CampaignOptions::default()),
        Err(JournalError::ImportHeld(_))
    ));
}

/// What was undone, by a refusal or at the start after a crash, is not in any of the journal's files.
#[test]
fn what_is_taken_back_cannot_be_read_any_more() {
    const SECRET: &str = "the code is 4711-0815";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let mut whole = begin(&path, "whole");
    whole.store(rows(1_000)).unwrap();
    whole.finish("digest").unwrap();
    let is_readable = || {
        ["", "-wal"].iter().any(|suffix| {
            let octets = std::fs::read(beside(&path, suffix)).unwrap_or_default();
            octets.windows(SECRET.len()).any(|window| window == SECRET.as_bytes())
        })
    };
    let secrets = || {
        rows(30_000).map(|row| match row {
            Kept::Message(message) => Kept::Message(NewMessage { text: SECRET, parts: 1, ..message }),
            Kept::Skipped { line, duplicate, sent_lately, reason, .. } => {
                Kept::Skipped { line, duplicate, sent_lately, reason, row: SECRET }
            }
        })
    };
    let options = CampaignOptions { text: Some(SECRET.into()), ..CampaignOptions::default() };
    for is_crash in [false, true] {
        let mut torn = Intake::begin(&path, "torn", "file.csv", &options).unwrap();
        torn.store(secrets()).unwrap();
        torn.keep_header(SECRET).unwrap();
        assert!(is_readable());
        if is_crash {
            drop(torn);
            assert_eq!(undo_unfinished(&open_existing(&path).unwrap(), &path).unwrap(), 1);
        } else {
            torn.abandon().unwrap();
        }
        assert!(!is_readable(), "{is_crash}");
    }
}

/// A sender that commits while an import runs waits for a chunk at most, not for the import's end.
#[test]
fn f44_a_sender_finds_its_turn() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let mut intake = begin(&path, "long");
    // With its first chunk the import has begun for others.
    intake.store(rows(25_000)).unwrap();
    let sender = open_existing(&path).unwrap();
    let importing = std::thread::spawn(move || {
        for _ in 0..10 {
            intake.store(rows(25_000)).unwrap();
        }
        intake.finish("digest").unwrap()
    });
    let mut commits = 0;
    while !importing.is_finished() {
        sender.execute_batch("BEGIN IMMEDIATE; COMMIT").unwrap();
        commits += 1;
    }
    assert_eq!(importing.join().unwrap().rejected, 11 * 1_250);
    assert!(commits >= 5, "only {commits} turns between 11 chunks");
}
