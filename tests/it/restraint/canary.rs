//! `--canary` and `--go-on-when`: the first messages go before the others.

use super::stop_when::{decisions, resume};
use crate::common::independent_smsc::{IndependentSmsc, Outcome, Settings, Shape};
use crate::common::{Leeway, PATIENCE, Smppost, assert_agree, expected, long_rows, number, one, rows, states};
use std::sync::Arc;
use std::time::{Duration, Instant};

const RULE: &str = "delivered>=90% in 1m";

#[test]
fn the_others_wait_for_its_receipts() {
    let smppost = Smppost::new();
    let smsc = IndependentSmsc::start(Settings { receipt_delay: Duration::from_secs(2), ..Settings::default() });
    let run = smppost.spawn_send(&rows(200), smsc.port(), &["--canary", "20", "--go-on-when", RULE, "--window", "50"]);
    assert!(smsc.wait_for(|ledger| ledger.len() >= 20, PATIENCE), "{}", run.stderr());
    std::thread::sleep(Duration::from_millis(700));
    assert_eq!(smsc.ledger().len(), 20, "{}", run.stderr());
    let ended = run.wait();
    ended.assert_code(0);
    assert!(
        ended.words().contains("the first messages go before the others: delivered>=90% in 1m"),
        "{}",
        ended.said()
    );
    assert!(ended.words().contains("of the canary of 20 messages, "), "{}", ended.said());
    assert_eq!(decisions(&smppost), ["c canary 20: delivered>=90% in 1m", "c went on delivered>=90% in 1m"]);
    assert_agree(&smppost.journal(), &smsc.ledger(), Leeway::default());
    assert_eq!(smsc.finish().submits.len(), 200);
    assert_eq!(states(&smppost.journal(), "c"), expected([("delivered", 200)]));
    smppost.run(&["verify"]).assert_code(0);
}

#[test]
fn one_that_fails_stops_the_campaign() {
    let smppost = Smppost::new();
    let half: Arc<dyn Fn(&crate::common::judge::Submit) -> Outcome + Send + Sync> =
        Arc::new(|submit| if submit.nth.is_multiple_of(2) { Outcome::Undeliverable } else { Outcome::Delivered });
    let smsc = IndependentSmsc::start(Settings { outcome: half, ..Settings::default() });
    let canary = ["--canary", "20", "--go-on-when", RULE];
    let ended = smppost.send(&rows(100), smsc.port(), &canary);
    ended.assert_code(3);
    let words = "--go-on-when 'delivered>=90% in 1m', and more it cannot be; the rest stays queued";
    assert!(ended.words().contains(words), "{}", ended.said());
    assert_eq!(smsc.ledger().len(), 20);
    assert_eq!(one(&smppost.journal(), "SELECT queued FROM campaign_summary"), 80);
    // Not by the same command, nor by `resume`.
    smppost.send(&rows(100), smsc.port(), &canary).assert_code(2);
    resume(&smppost, &smsc, &[]).assert_code(2);
    assert_eq!(smsc.ledger().len(), 20);
    resume(&smppost, &smsc, &["--override-stop"]).assert_code(3);
    assert_eq!(smsc.finish().submits.len(), 100);
    let rule = RULE;
    assert_eq!(
        decisions(&smppost),
        [format!("c canary 20: {rule}"), format!("c stopped {rule}"), "c overridden ".to_owned()]
    );
    smppost.run(&["verify"]).assert_code(0);
}

#[test]
fn receipts_that_do_not_come_in_time_stop_it() {
    let smppost = Smppost::new();
    let smsc = IndependentSmsc::start(Settings { outcome: Arc::new(|_| Outcome::Lost), ..Settings::default() });
    // Those whose numbers are suppressed are no part of it.
    let suppressed: Vec<String> = (0..7).map(number).collect();
    smppost.file("c.csv", rows(40));
    smppost.run(&["import", "c.csv", "--campaign", "other", "--text", "other"]).assert_code(0);
    smppost.run(&["cancel", "other"]).assert_code(0);
    let suppress: Vec<&str> = ["suppress", "add"].into_iter().chain(suppressed.iter().map(String::as_str)).collect();
    smppost.run(&suppress).assert_code(0);
    let begun = Instant::now();
    let ended = smppost.send(&rows(40), smsc.port(), &["--canary", "5", "--go-on-when", "delivered>=50% in 2s"]);
    ended.assert_code(3);
    assert!(begun.elapsed() >= Duration::from_secs(2));
    assert!(ended.words().contains("0 (0.0 %) were delivered"), "{}", ended.said());
    let numbers: Vec<String> = smsc.finish().submits.iter().map(|submit| submit.destination.clone()).collect();
    assert_eq!(numbers, (7..12).map(number).collect::<Vec<_>>());
}

#[test]
fn its_time_runs_from_when_all_of_it_is_answered() {
    let smppost = Smppost::new();
    let smsc = IndependentSmsc::start(Settings { answer_delay: Duration::from_secs(3), ..Settings::default() });
    let options = ["--canary", "8", "--go-on-when", "delivered>=100% in 2s"];
    smppost.send(&rows(10), smsc.port(), &options).assert_code(0);
    assert_eq!(smsc.finish().submits.len(), 10);
}

#[test]
fn a_killed_run_is_gone_on_with_where_its_canary_stood() {
    let smppost = Smppost::new();
    let smsc = IndependentSmsc::start(Settings { receipt_delay: Duration::from_secs(3), ..Settings::default() });
    let run = smppost.spawn_send(&rows(100), smsc.port(), &["--canary", "20", "--go-on-when", RULE]);
    assert!(smsc.wait_for(|ledger| ledger.len() >= 20, PATIENCE), "{}", run.stderr());
    let until = Instant::now() + PATIENCE;
    while one(&smppost.journal(), "SELECT count(*) FROM answer") < 20 {
        assert!(Instant::now() < until, "{}", run.stderr());
        std::thread::sleep(Duration::from_millis(5));
    }
    run.kill();
    assert_eq!(smsc.ledger().len(), 20);
    // Nothing but the journal says that there is a canary.
    let mut run = smppost.spawn(&[
        "resume",
        "c",
        "--host",
        "127.0.0.1",
        "--port",
        &smsc.port().to_string(),
        "--system-id",
        "test",
    ]);
    run.wait_for_words("the first messages go before the others");
    run.wait().assert_code(0);
    assert_eq!(decisions(&smppost), [format!("c canary 20: {RULE}"), format!("c went on {RULE}")]);
    let report = smsc.finish();
    assert_eq!(report.submits.len(), 100);
    assert_agree(&smppost.journal(), &report.submits, Leeway::default());
    smppost.run(&["verify"]).assert_code(0);
}

#[test]
fn messages_of_several_parts_receipts_before_answers_and_a_limit() {
    let smppost = Smppost::new();
    let smsc = IndependentSmsc::start(Settings { shape: Shape::Early, ..Settings::default() });
    let options = ["--canary", "5", "--go-on-when", "delivered>=100% in 1m", "--limit", "8"];
    smppost.send(&long_rows(20), smsc.port(), &options).assert_code(0);
    assert_eq!(smsc.ledger().len(), 24);
    assert_eq!(states(&smppost.journal(), "c"), expected([("delivered", 8), ("queued", 12)]));
    // It has gone on once: the same command sends what is left.
    smppost.send(&long_rows(20), smsc.port(), &options[..4]).assert_code(0);
    assert_eq!(smsc.finish().submits.len(), 60);
    assert_eq!(decisions(&smppost).len(), 2);
    smppost.run(&["verify"]).assert_code(0);
}

#[test]
fn a_campaign_that_is_all_canary_is_just_sent_and_a_limit_within_it_too() {
    let smppost = Smppost::new();
    let smsc = IndependentSmsc::start(Settings::default());
    let canary = ["--canary", "20", "--go-on-when", "accepted>=90% in 1m"];
    smppost.send(&rows(20), smsc.port(), &canary).assert_code(0);
    assert_eq!(smsc.ledger().len(), 20);
    assert!(decisions(&smppost).is_empty());
    let csv = rows(60);
    smppost.file("d.csv", &csv);
    let port = smsc.port().to_string();
    let arguments = |more: &[&'static str]| [&["--campaign", "d"], &canary[..], more].concat();
    let limited = arguments(&["--limit", "7"]);
    smppost.run(&smppost.send_arguments("d.csv", &port, &limited)).assert_code(0);
    assert_eq!(smsc.ledger().len(), 27);
    let whole = arguments(&[]);
    smppost.run(&smppost.send_arguments("d.csv", &port, &whole)).assert_code(0);
    assert_eq!(smsc.finish().submits.len(), 80);
    assert_eq!(decisions(&smppost), ["d canary 20: accepted>=90% in 1m", "d went on accepted>=90% in 1m"]);
}
