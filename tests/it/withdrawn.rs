//! What is claimed and not written when it is cancelled or suppressed is withdrawn from a running sender, and how much that
//! can be.
use crate::common::independent_smsc::{IndependentSmsc, Settings};
use crate::common::{Running, Smppost, expected, long_rows, number, one, rows, states};
use std::collections::HashMap;
use std::time::Duration;

const WINDOW: usize = 5;
/// What may come after a decision: the journal thread looks for decisions every half second, in which a window is answered,
/// and a window may have been written in the moment before it looked.
const AFTERWARDS_MAX: usize = 3 * WINDOW;

/// A sender whose SMSC answers slowly, so that it could be long at what it has claimed; it has sent two windows.
fn slow(rows: &str) -> (Smppost, IndependentSmsc, Running) {
    let smppost = Smppost::new();
    let smsc = IndependentSmsc::start(Settings { answer_delay: Duration::from_secs(1), ..Settings::default() });
    let run = smppost.spawn_send(rows, smsc.port(), &["--window", "5"]);
    assert!(smsc.wait_for(|ledger| ledger.len() >= 2 * WINDOW, crate::common::PATIENCE), "{}", run.stderr());
    (smppost, smsc, run)
}

#[test]
fn a_cancel_reaches_what_is_claimed_and_not_written() {
    let (smppost, smsc, run) = slow(&rows(3_000));
    let ended = smppost.run(&["cancel", "c"]);
    ended.assert_code(0);
    assert!(ended.stderr.contains("withdraws what it has not written yet"), "{}", ended.said());
    let before = smsc.ledger().len();
    run.wait();
    let after = smsc.finish().submits.len() - before;
    assert!(after <= AFTERWARDS_MAX, "{after} after the cancel");
    let sent = (before + after) as i64;
    assert_eq!(states(&smppost.journal(), "c"), expected([("cancelled", 3_000 - sent), ("delivered", sent)]));
    smppost.run(&["verify"]).assert_code(0);
}

#[test]
fn a_message_that_was_begun_is_completed_after_a_cancel() {
    let (smppost, smsc, run) = slow(&long_rows(1_000));
    smppost.run(&["cancel", "c"]).assert_code(0);
    let before = smsc.ledger().len();
    run.wait();
    let report = smsc.finish();
    report.assert_clean();
    assert!(report.submits.len() - before <= AFTERWARDS_MAX + 2, "{} after the cancel", report.submits.len() - before);
    let mut parts: HashMap<&str, usize> = HashMap::new();
    for submit in &report.submits {
        *parts.entry(&submit.destination).or_default() += 1;
    }
    assert!(parts.values().all(|&parts| parts == 3), "{parts:?}");
    let sent = parts.len() as i64;
    assert_eq!(states(&smppost.journal(), "c"), expected([("cancelled", 1_000 - sent), ("delivered", sent)]));
    smppost.run(&["verify"]).assert_code(0);
}

#[test]
fn f38_a_suppression_reaches_what_is_claimed_and_not_written() {
    let (smppost, smsc, run) = slow(&rows(60));
    let numbers: Vec<String> = (0..59).map(number).collect();
    let arguments: Vec<&str> = ["suppress", "add"].into_iter().chain(numbers.iter().map(String::as_str)).collect();
    smppost.run(&arguments).assert_code(0);
    let before = smsc.ledger().len();
    run.wait();
    let report = smsc.finish();
    let after = report.submits.len() - before;
    assert!(after <= AFTERWARDS_MAX + 1, "{after} after the suppression");
    // The one that was not suppressed, and nothing else is held up.
    assert!(report.submits.iter().any(|submit| submit.destination == number(59)));
    let sent = (before + after) as i64;
    assert_eq!(states(&smppost.journal(), "c"), expected([("delivered", sent), ("suppressed", 60 - sent)]));
    smppost.run(&["verify"]).assert_code(0);
}

#[test]
fn f46_claims_are_not_further_ahead_than_what_is_sent_in_a_second() {
    let (smppost, smsc, run) = slow(&rows(3_000));
    assert!(smsc.wait_for(|ledger| ledger.len() >= 8 * WINDOW, crate::common::PATIENCE), "{}", run.stderr());
    run.kill();
    let claimed = one(&smppost.journal(), "SELECT sum(parts) FROM claim") as usize;
    let written = smsc.finish().submits.len();
    assert!(claimed - written <= 40, "{claimed} claimed, {written} written");
}
