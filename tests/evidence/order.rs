//! Nothing on the wire before its intent is on disk: every system call of a run in order, and a disk that is made of the
//! calls and knows only what was synced. Whenever a submit_sm leaves, that disk has to hold its claim; whenever a receipt
//! is answered, that disk has to hold the receipt.
//!
//! `SMPPOST_ORDER=10000 cargo test --release --test evidence order:: -- --nocapture` is the long form.

use crate::common::{Smppost, open, rows};
use crate::lab::trace::{self, Call, Disk, Fate};
use crate::lab::{Simulator, oracle};
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::time::Duration;

const SUBMIT_SM: u32 = 4;
const DELIVER_SM_RESP: u32 = 0x8000_0005;

/// A run that was recorded.
struct Recorded {
    smppost: Smppost,
    calls: Vec<Call>,
    simulator: Simulator,
    /// Which message a receipt was for, by its sequence number.
    receipts: HashMap<u32, String>,
}

fn record(messages: usize, environment: &[(&str, &str)]) -> Recorded {
    let smppost = Smppost::new().deadline(Duration::from_secs(600));
    let simulator = Simulator::start(&smppost.path(""), &["--receipt-delay", "20ms"]);
    smppost.file("c.csv", rows(messages));
    let more = ["--rate", "2000", "--window", "20", "--wait-receipts", "5s"];
    let calls = trace::record(&smppost, &crate::lab::send(simulator.port, &more).each(), environment);
    let mut receipts = HashMap::new();
    for line in std::fs::read_to_string(&simulator.ledger).unwrap().lines() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        if value["kind"] == "receipt" {
            let id = value["message_id"].as_str().unwrap().to_owned();
            receipts.insert(value["sequence_number"].as_u64().unwrap() as u32, id);
        }
    }
    Recorded { smppost, calls, simulator, receipts }
}

/// What a journal says of claims and receipts.
#[derive(Default)]
struct Known {
    claims: Vec<(u32, u32)>,
    receipts: HashSet<String>,
}

impl Known {
    fn read(journal: &Path) -> Self {
        if !journal.exists() {
            return Self::default();
        }
        let connection = open(journal);
        let Ok(mut query) = connection.prepare("SELECT first_sequence_number, parts FROM claim") else {
            return Self::default();
        };
        let claims = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect();
        let mut query = connection.prepare("SELECT DISTINCT message_id FROM receipt_log").unwrap();
        let receipts = query.query_map([], |row| row.get::<_, Option<String>>(0)).unwrap();
        Self { claims, receipts: receipts.filter_map(|id| id.unwrap()).collect() }
    }

    fn has_claim(&self, number: u32) -> bool {
        self.claims.iter().any(|&(first, parts)| (first..first + parts).contains(&number))
    }
}

#[test]
fn nothing_is_written_before_its_intent_is_synced_and_no_receipt_answered_before_it_is() {
    if !trace::can_trace() {
        return;
    }
    let messages = crate::lab::setting("SMPPOST_ORDER", 2_000) as usize;
    let Recorded { smppost, calls, receipts, simulator } = record(messages, &[]);
    let mut disk = Disk::default();
    let (mut known, mut known_at) = (Known::default(), u64::MAX);
    let (mut submits, mut answers, mut sends, mut restored) = (0, 0, 0, 0);
    let mut wrong = Vec::new();
    for call in &calls {
        disk.take(call);
        let Call::Send { octets } = call else { continue };
        let pdus = trace::pdus(octets);
        if !pdus.iter().any(|(id, _)| matches!(*id, SUBMIT_SM | DELIVER_SM_RESP)) {
            continue;
        }
        sends += 1;
        if known_at != disk.version {
            let folder = tempfile::tempdir().unwrap();
            known = Known::read(&disk.restore(&smppost.journal(), folder.path(), || Fate::Lost));
            known_at = disk.version;
            restored += 1;
        }
        for (id, number) in pdus {
            match id {
                SUBMIT_SM => {
                    submits += 1;
                    if !known.has_claim(number) {
                        wrong.push(format!("submit_sm {number} left before its claim was synced"));
                    }
                }
                DELIVER_SM_RESP => {
                    answers += 1;
                    if !receipts.get(&number).is_some_and(|id| known.receipts.contains(id)) {
                        wrong.push(format!("receipt {number} was answered before it was synced"));
                    }
                }
                _ => {}
            }
        }
    }
    println!(
        "{submits} submit_sm and {answers} answers to receipts in {sends} writes, {} syncs, {restored} states of the \
         disk looked at: {} too early",
        disk.version,
        wrong.len()
    );
    assert!(wrong.is_empty(), "{} too early: {:#?}", wrong.len(), &wrong[..wrong.len().min(5)]);
    assert!(submits >= messages && answers > messages / 2, "{submits} submits, {answers} answers: too few to tell");
    oracle::assert_kept("a run under strace", &smppost.journal(), &simulator.read());
}

#[test]
fn after_a_power_cut_what_was_on_the_wire_is_known_to_the_journal() {
    let cuts = crate::lab::setting("SMPPOST_CUTS", 20) as usize;
    if trace::can_trace() {
        let run = record(1_000, &[]);
        let points = |random: &mut fastrand::Rng| (0..cuts).map(|_| random.usize(..run.calls.len())).collect();
        cut(&run, points);
    }
}

/// As it is after some 16,000 messages: commits fold the WAL into the file, while others wait.
#[cfg(any(feature = "failpoints", debug_assertions))]
#[test]
fn after_a_power_cut_in_a_checkpoint_what_was_on_the_wire_is_known_to_the_journal() {
    let cuts = crate::lab::setting("SMPPOST_CUTS", 20) as usize;
    if !trace::can_trace() {
        return;
    }
    let run = record(1_000, &[("SMPPOST_CHECKPOINT_PAGES", "50")]);
    // Writes to the file itself, between the first answer and the end of the run: a checkpoint's.
    let journal = run.smppost.journal().to_string_lossy().into_owned();
    let folding: Vec<usize> = (0..run.calls.len())
        .filter(|&at| matches!(&run.calls[at], Call::Write { path, .. } | Call::SyncBegins { path, .. } if *path == journal))
        .collect();
    let syncs = folding.iter().filter(|&&at| matches!(&run.calls[at], Call::SyncBegins { .. })).count();
    println!("{} writes to the file in {syncs} checkpoints", folding.len() - syncs);
    assert!(syncs >= 5, "{syncs} checkpoints: too few to tell");
    cut(&run, |random| {
        (0..cuts)
            .map(|_| (folding[random.usize(..folding.len())] + random.usize(..3)).min(run.calls.len() - 1))
            .collect()
    });
}

/// Cuts the power at these calls of the run, and looks each time at what is left.
fn cut(run: &Recorded, points: impl FnOnce(&mut fastrand::Rng) -> Vec<usize>) {
    let Recorded { smppost, calls, receipts, simulator } = run;
    let seed = crate::lab::seed("power cuts");
    let mut random = fastrand::Rng::with_seed(seed);
    let ids: HashMap<u32, String> = simulator
        .read()
        .submits
        .iter()
        .filter_map(|submit| Some((submit.sequence_number, submit.message_id.clone()?)))
        .collect();
    let mut points = points(&mut random);
    points.sort_unstable();
    let cuts = points.len();
    let mut disk = Disk::default();
    let (mut sent, mut answered) = (HashSet::new(), HashSet::new());
    let (mut at, mut dropped, mut in_doubt) = (0, 0, 0);
    for point in points {
        while at < point {
            disk.take(&calls[at]);
            if let Call::Send { octets } = &calls[at] {
                for (id, number) in trace::pdus(octets) {
                    match id {
                        SUBMIT_SM => drop(sent.insert(number)),
                        DELIVER_SM_RESP => drop(answered.insert(number)),
                        _ => {}
                    }
                }
            }
            at += 1;
        }
        let after = Smppost::new();
        let likely = random.u8(..4);
        let journal = disk.restore(&smppost.journal(), &after.path(""), || match random.u8(..4) {
            draw if draw < likely => Fate::Kept,
            3 => Fate::Torn(random.u64(..)),
            _ => {
                dropped += 1;
                Fate::Lost
            }
        });
        in_doubt += look_at(&after, &journal, point, (&sent, &ids), (&answered, receipts));
    }
    println!("{cuts} cuts in {} calls, {dropped} unsynced writes lost, {in_doubt} messages in doubt", calls.len());
}

/// Starts the program on what a power cut left. Returns how many messages are in doubt.
fn look_at(
    after: &Smppost,
    journal: &Path,
    point: usize,
    (sent, ids): (&HashSet<u32>, &HashMap<u32, String>),
    (answered, receipts): (&HashSet<u32>, &HashMap<u32, String>),
) -> i64 {
    let tables = |journal: &Path| {
        let connection = rusqlite::Connection::open(journal).expect("the journal");
        // The machine has started anew: no write mark counts.
        let _ = connection.execute("UPDATE session SET boot_id = 'the boot before the power cut'", []);
        // Put together from its writes it is another file, which a power cut does not make of it.
        let _ = connection.execute("DELETE FROM meta WHERE key = 'file'", []);
        connection.query_row("SELECT count(*) FROM campaign", [], |row| row.get::<_, i64>(0)).unwrap_or_default()
    };
    if !journal.exists() || tables(journal) == 0 {
        assert!(sent.is_empty(), "cut at call {point}: {} were sent and the journal knows no campaign", sent.len());
        return 0;
    }
    crate::lab::settle(after, 1);
    crate::lab::verify(after);
    let attempts = oracle::attempts(journal);
    let by_number: HashMap<u32, &oracle::Attempt> =
        attempts.iter().map(|attempt| (attempt.sequence_number, attempt)).collect();
    for sequence_number in sent {
        let attempt = by_number.get(sequence_number);
        let attempt = attempt.unwrap_or_else(|| panic!("cut at call {point}: {sequence_number} was sent, not claimed"));
        let known = attempt.state == "accepted" && attempt.message_id.as_ref() == ids.get(sequence_number);
        assert!(known || attempt.state == "in doubt", "cut at call {point}: {attempt:?}");
    }
    for attempt in attempts.iter().filter(|attempt| !sent.contains(&attempt.sequence_number)) {
        assert_eq!(
            attempt.state, "in doubt",
            "cut at call {point}: claimed, and nobody can know that it did not leave"
        );
    }
    let known = Known::read(journal);
    for number in answered {
        let id = receipts.get(number).expect("a receipt of the ledger");
        assert!(known.receipts.contains(id), "cut at call {point}: the receipt for {id} was answered and is lost");
    }
    crate::common::one(journal, "SELECT count(*) FROM message_status WHERE state = 'in_doubt'")
}
