//! `--stop-when`: too much that comes back is bad.

use crate::common::independent_smsc::{Fate, IndependentSmsc, Outcome, Settings};
use crate::common::{Ended, Leeway, Smppost, assert_agree, one, open, rows};
use std::sync::Arc;
use std::time::Duration;

/// The decisions about campaigns, in their order.
pub fn decisions(smppost: &Smppost) -> Vec<String> {
    let connection = open(&smppost.journal());
    let mut query = connection.prepare("SELECT campaign || ' ' || decision || ' ' || rule FROM restraint_log").unwrap();
    let rows = query.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

pub fn resume(smppost: &Smppost, smsc: &IndependentSmsc, more: &[&str]) -> Ended {
    let port = smsc.port().to_string();
    let resume =
        ["resume", "c", "--host", "127.0.0.1", "--port", &port, "--system-id", "test", "--wait-receipts", "10s"];
    smppost.run(&[&resume[..], more].concat())
}

#[test]
fn rejections_stop_it_and_nothing_leaves_after_the_decision() {
    let smppost = Smppost::new();
    let bad = Settings {
        status: Arc::new(|submit| if submit.nth.is_multiple_of(5) { 0x0B } else { 0 }),
        ..Settings::default()
    };
    let smsc = IndependentSmsc::start(bad);
    let rule = ["--stop-when", "failed>90%", "--stop-when", "rejected>10%"];
    let ended = smppost.send(&rows(1_000), smsc.port(), &[&rule[..], &["--window", "1", "--rate", "100"]].concat());
    ended.assert_code(3);
    let words = "were rejected: --stop-when 'rejected>10%'; the rest stays queued";
    assert!(ended.words().contains(words), "{}", ended.said());
    assert!(ended.words().contains("`smppost resume c --override-stop` goes on"), "{}", ended.said());
    let sent = smsc.ledger().len();
    // One is on its way; the others were answered while the answer that decided was written down.
    assert!((50..=80).contains(&sent), "{sent} were sent");
    let journal = smppost.journal();
    let after = "SELECT count(*) FROM claim WHERE claimed_at > (SELECT min(at) FROM restraint)";
    assert_eq!(one(&journal, after), 0);
    assert_agree(&journal, &smsc.ledger(), Leeway::default());
    // What stopped stays stopped for whoever does not say otherwise, by either command.
    for ended in [resume(&smppost, &smsc, &[]), smppost.send(&rows(1_000), smsc.port(), &rule)] {
        ended.assert_code(2);
        for words in ["campaign c was stopped at 20", "were rejected", "--override-stop"] {
            assert!(ended.words().contains(words), "{}", ended.said());
        }
    }
    assert_eq!(smsc.ledger().len(), sent);
    // It counts anew then, and stops again where nothing is better.
    resume(&smppost, &smsc, &[&rule[..], &["--override-stop", "--window", "1", "--rate", "100"]].concat())
        .assert_code(3);
    let again = smsc.ledger().len() - sent;
    assert!((50..=80).contains(&again), "{again} were sent then");
    smsc.finish();
    let smsc = IndependentSmsc::start(Settings::default());
    resume(&smppost, &smsc, &["--override-stop", "--rate", "unlimited"]).assert_code(3);
    assert_eq!(one(&journal, "SELECT queued FROM campaign_summary"), 0);
    let stopped = "c stopped rejected>10%";
    assert_eq!(decisions(&smppost), [stopped, "c overridden ", stopped, "c overridden "]);
    smppost.run(&["verify"]).assert_code(0);
}

#[test]
fn what_does_not_arrive_stops_it() {
    let smppost = Smppost::new();
    let outcome = Arc::new(|submit: &crate::common::judge::Submit| match submit.nth % 3 {
        0 => Outcome::Undeliverable,
        _ => Outcome::Delivered,
    });
    let smsc = IndependentSmsc::start(Settings { outcome, ..Settings::default() });
    let ended = smppost.send(&rows(1_000), smsc.port(), &["--stop-when", "failed>20%", "--rate", "100"]);
    ended.assert_code(3);
    assert!(ended.words().contains("were failed: --stop-when 'failed>20%'"), "{}", ended.said());
    assert!((50..=150).contains(&smsc.ledger().len()), "{}", smsc.ledger().len());
}

#[test]
fn doubts_stop_it() {
    let smppost = Smppost::new();
    let fate = Arc::new(|submit: &crate::common::judge::Submit| match submit.nth % 5 {
        0 => Fate::Silent,
        _ => Fate::Answered,
    });
    let smsc = IndependentSmsc::start(Settings { fate, ..Settings::default() });
    let options = ["--stop-when", "in-doubt>10%", "--response-timeout", "1s", "--window", "20"];
    let ended = smppost.send(&rows(1_000), smsc.port(), &options);
    ended.assert_code(3);
    assert!(ended.words().contains("were in-doubt: --stop-when 'in-doubt>10%'"), "{}", ended.said());
    assert!((50..=400).contains(&smsc.ledger().len()), "{}", smsc.ledger().len());
}

#[test]
fn throttling_and_a_few_answers_do_not_stop_it() {
    let smppost = Smppost::new();
    let status = Arc::new(|submit: &crate::common::judge::Submit| match submit.nth {
        1..=10 => 0x58,
        // Of 49 messages the last.
        59.. => 0x0B,
        _ => 0,
    });
    let smsc = IndependentSmsc::start(Settings { status, ..Settings::default() });
    let ended = smppost.send(&rows(49), smsc.port(), &["--stop-when", "rejected>0%", "--window", "1"]);
    ended.assert_code(3);
    assert!(!ended.words().contains("--stop-when"), "{}", ended.said());
    assert_eq!(smsc.finish().submits.len(), 59);
}

#[test]
fn what_a_killed_run_had_counted_counts() {
    let smppost = Smppost::new();
    let status = Arc::new(|submit: &crate::common::judge::Submit| if submit.nth.is_multiple_of(2) { 0x0B } else { 0 });
    let smsc = IndependentSmsc::start(Settings { status, ..Settings::default() });
    // Without the rule, so that it does not stop.
    let run = smppost.spawn_send(&rows(1_000), smsc.port(), &["--rate", "100"]);
    let answered = "SELECT count(*) FROM answer";
    let until = std::time::Instant::now() + crate::common::PATIENCE;
    while !smppost.journal().exists() || smsc.ledger().len() < 60 || one(&smppost.journal(), answered) < 60 {
        assert!(std::time::Instant::now() < until, "{}", run.stderr());
        std::thread::sleep(Duration::from_millis(5));
    }
    run.kill();
    let sent = smsc.ledger().len();
    let ended = resume(&smppost, &smsc, &["--stop-when", "rejected>=40%"]);
    ended.assert_code(3);
    assert!(ended.words().contains("--stop-when 'rejected>=40%'"), "{}", ended.said());
    assert_eq!(smsc.ledger().len(), sent);
}

#[test]
fn what_is_tried_again_on_purpose_does_not_count_any_more() {
    let smppost = Smppost::new();
    let bad = Settings { status: Arc::new(|submit| u32::from(submit.nth % 5 > 1) * 0x0B), ..Settings::default() };
    let smsc = IndependentSmsc::start(bad);
    smppost.send(&rows(100), smsc.port(), &[]).assert_code(3);
    smsc.finish();
    let smsc = IndependentSmsc::start(Settings::default());
    resume(&smppost, &smsc, &["--retry-rejected", "--stop-when", "rejected>5%"]).assert_code(0);
    assert_eq!(smsc.finish().submits.len(), 60);
}

#[test]
fn rules_that_say_nothing_are_refused() {
    let smppost = Smppost::new();
    smppost.file("c.csv", rows(2));
    let send = ["send", "c.csv", "--host", "127.0.0.1", "--system-id", "test"];
    for (more, words) in [
        (&["--stop-when", "rejected>5"][..], "rejected>5%"),
        (&["--stop-when", "delivered>5%"], "rejected, failed or in-doubt"),
        (&["--canary", "5"], "--go-on-when"),
        (&["--go-on-when", "delivered>=90% in 10m"], "--canary"),
        (&["--canary", "0", "--go-on-when", "delivered>=90% in 10m"], "--canary"),
        (&["--canary", "5", "--go-on-when", "delivered>=90%"], "delivered>=90% in 10m"),
        (&["--canary", "5", "--go-on-when", "delivered>=90% in 10m", "--receipts", "none"], "--receipts all"),
        (&["--canary", "5", "--go-on-when", "delivered>=90% in 10m", "--receipts", "failures"], "--receipts all"),
        (&["--canary", "5", "--go-on-when", "delivered>=90% in 10m", "--bind", "tx"], "--bind tx gets none"),
        (&["--stop-when", "failed>5%", "--receipts", "none"], "--receipts all"),
        (&["--test-line", "3"], "--test-to"),
        (&["--test-to", "12"], "--test-to"),
    ] {
        let ended = smppost.run(&[&send[..], more].concat());
        ended.assert_code(2);
        assert!(ended.words().contains(words), "{words}: {}", ended.said());
        assert!(!smppost.journal().exists(), "{more:?}");
    }
    let help = smppost.run(&["send", "--help"]);
    assert!(help.stdout.contains("WHAT>=SHARE in TIME") && help.stdout.contains("'rejected>5%'"), "{}", help.said());
    // What the campaign asked for is known to `resume`, too.
    smppost.run(&["import", "c.csv", "--receipts", "none"]).assert_code(0);
    let resume = ["resume", "c", "--host", "127.0.0.1", "--system-id", "test"];
    let ended = smppost.run(&[&resume[..], &["--canary", "1", "--go-on-when", "delivered>=90% in 10m"]].concat());
    ended.assert_code(2);
    assert!(ended.words().contains("asks for none"), "{}", ended.said());
}

#[test]
fn at_a_terminal_it_is_asked_whether_to_go_on() {
    let smppost = Smppost::new();
    let bad =
        Settings { status: Arc::new(|submit| u32::from(submit.nth.is_multiple_of(2)) * 0x0B), ..Settings::default() };
    let smsc = IndependentSmsc::start(bad);
    smppost.send(&rows(100), smsc.port(), &["--stop-when", "rejected>10%", "--rate", "100"]).assert_code(3);
    let sent = smsc.ledger().len();
    let port = smsc.port().to_string();
    let arguments = ["resume", "c", "--host", "127.0.0.1", "--port", &port, "--system-id", "test"];
    for (typed, code, all) in [("n\r", 3, sent), ("y\r", 3, 100)] {
        let terminal = smppost.at_terminal(&arguments);
        terminal.wait_for("Go on all the same? [y/N]");
        assert!(terminal.written().contains("was stopped at"), "{}", terminal.written());
        terminal.type_in(typed);
        let (ended, written) = terminal.wait();
        assert_eq!(ended, Some(code), "{written}");
        assert_eq!(smsc.ledger().len(), all);
    }
}
