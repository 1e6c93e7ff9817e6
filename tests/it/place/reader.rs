//! A process that reads an old state of the journal keeps its -wal from being folded back: both who sends and who asks are
//! told, and who it is.

use crate::common::independent_smsc::{IndependentSmsc, Settings};
use crate::common::{Smppost, one, rows};
use std::fs::OpenOptions;

const WORDS: &str = "keeps its -wal file from being folded back";

#[test]
fn a_run_and_a_report_name_the_process_that_keeps_the_wal_growing() {
    let smppost = Smppost::new();
    let smsc = IndependentSmsc::start(Settings::default());
    let mut running = smppost.spawn_send(&rows(3_000), smsc.port(), &["--rate", "100"]);
    running.wait_for_words("bound to");
    // This process reads an old state from now on.
    let reader = rusqlite::Connection::open(smppost.journal()).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM message;").unwrap();
    let own = format!("process {}", std::process::id());
    assert!(!smppost.run(&["report", "c"]).stdout.contains(WORDS), "it is small yet");
    // As after a minute at 500 a second: room that SQLite writes into.
    let wal = smppost.path("journal.db-wal");
    OpenOptions::new().write(true).open(&wal).unwrap().set_len(70 << 20).unwrap();
    running.wait_for_words(WORDS);
    let told = running.stderr();
    let line = told.lines().find(|line| line.contains(WORDS)).unwrap_or_default().to_owned();
    assert!(line.contains("(70 MB so far)") && line.contains(&own), "{line}");
    let report = smppost.run(&["report", "c"]);
    let said = report.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains(WORDS) && said.contains("70 MB") && said.contains(&own), "{}", report.said());
    // Nothing stops meanwhile.
    let before = smsc.ledger().len();
    assert!(smsc.wait_for(|ledger| ledger.len() > before + 100, std::time::Duration::from_secs(60)));
    // It lets go: there is nobody to name any more.
    reader.execute_batch("COMMIT").unwrap();
    drop(reader);
    running.wait_for_words("the journal's -wal file is small again");
    assert!(!smppost.run(&["report", "c"]).stdout.contains(WORDS));
    running.signal("TERM");
    running.wait().assert_code(130);
    smppost.run(&["verify"]).assert_code(0);
    assert!(one(&smppost.journal(), "SELECT count(*) FROM answer") as usize > before);
}
