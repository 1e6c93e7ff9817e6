//! Receipts that lead to no message, and the messages that the operator assigned them to.

use super::smsc::{self, Receipt, Say};
use crate::common::{Ended, Smppost, one, open, rows, states};

/// A message of three parts and one of one part. The receipts have ids of another client and name its number.
fn foreign() -> Smppost {
    let port = smsc::start(|submit| {
        let from = "447700999999".into();
        let receipt = Receipt { from, ..submit.receipt(&format!("theirs-{}", submit.nth), "DELIVRD") };
        vec![submit.answer(&format!("ours-{}", submit.nth)), Say::Receipt(receipt)]
    });
    let smppost = Smppost::new();
    let csv = format!("to,text\n447009000001,{}\n447009000002,short\n", "long ".repeat(70));
    smppost.send(&csv, port, &["--wait-receipts", "1s"]);
    assert_eq!(one(&smppost.journal(), "SELECT count(*) FROM receipt_log WHERE rule = 'unmatched'"), 4);
    smppost
}

fn resolve(smppost: &Smppost, receipt: i64, line: &str, part: &str) -> Ended {
    smppost.run(&["resolve", "c", &format!("--receipt={receipt}"), "--line", line, "--part", part])
}

/// Line, part and rule of a receipt.
fn whose(smppost: &Smppost, receipt: i64) -> (Option<i64>, Option<i64>, String) {
    let sql = "SELECT line, part, rule FROM receipt_log WHERE receipt = ?1";
    open(&smppost.journal()).query_row(sql, [receipt], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap()
}

#[test]
fn a_receipt_of_nobody_is_given_to_the_part_that_the_operator_names() {
    let smppost = foreign();
    assert_eq!(whose(&smppost, -3), (None, None, "unmatched".into()));
    resolve(&smppost, -3, "2", "3").assert_code(0);
    assert_eq!(whose(&smppost, -3), (Some(2), Some(3), "operator".into()));
    // Two parts of three are still out.
    assert_eq!(states(&smppost.journal(), "c")["accepted"], 2);
    for (receipt, part) in [(-1, "1"), (-2, "2")] {
        resolve(&smppost, receipt, "2", part).assert_code(0);
    }
    let found = states(&smppost.journal(), "c");
    assert_eq!((found["delivered"], found["accepted"]), (1, 1), "{found:?}");
    // To another part, and then to another message, after all.
    resolve(&smppost, -3, "2", "1").assert_code(0);
    assert_eq!(whose(&smppost, -3), (Some(2), Some(1), "operator".into()));
    resolve(&smppost, -3, "3", "1").assert_code(0);
    assert_eq!(whose(&smppost, -3), (Some(3), Some(1), "operator".into()));
    let found = states(&smppost.journal(), "c");
    assert_eq!((found["delivered"], found["accepted"]), (1, 1), "{found:?}");
    smppost.run(&["verify"]).assert_code(0);
}

#[test]
fn a_part_that_is_not_there_is_refused_and_nothing_changes() {
    let smppost = foreign();
    for (line, part, words) in [
        ("2", "4", "has 3 parts, counted from 1"),
        ("2", "0", "has 3 parts, counted from 1"),
        ("3", "2", "has one part only"),
        ("9", "1", "no message of the campaign stands on that line"),
    ] {
        let ended = resolve(&smppost, -1, line, part);
        ended.assert_code(1);
        assert!(ended.stderr.contains(words), "{}", ended.said());
        assert_eq!(whose(&smppost, -1), (None, None, "unmatched".into()));
    }
    for part in ["256", "-1", "two"] {
        resolve(&smppost, -1, "2", part).assert_code(2);
    }
    // A part alone says nothing.
    for decision in ["--resend", "--assume-sent", "--abandon", "--receipts-for=first"] {
        smppost.run(&["resolve", "c", decision, "--part", "2"]).assert_code(2);
    }
}

#[test]
fn a_running_sender_gives_it_to_the_part_too() {
    let smppost = foreign();
    let port = smsc::start(|submit| vec![submit.answer(&format!("later-{}", submit.nth))]);
    let mut running = smppost.spawn_send(&rows(2), port, &["--campaign", "later"]);
    running.wait_for_words("bound to");
    resolve(&smppost, -2, "2", "2").assert_code(0);
    let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while whose(&smppost, -2) != (Some(2), Some(2), "operator".into()) {
        assert!(std::time::Instant::now() < until && running.is_running(), "{}", running.stderr());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    running.signal("TERM");
    running.wait();
    smppost.run(&["verify"]).assert_code(0);
}
