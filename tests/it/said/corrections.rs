//! Corrections: a changed text, what came back, what was cancelled, and going on as before.

use crate::common::independent_smsc::{IndependentSmsc, Outcome, Rule, Settings};
use crate::common::{Ended, Smppost, expected, one, open, rows, states};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

fn run(smppost: &Smppost, port: u16, command: &[&str], more: &[&str]) -> Ended {
    let port = port.to_string();
    let account = ["--host", "127.0.0.1", "--port", &port, "--system-id", "test"];
    smppost.run(&[command, &account, more].concat())
}

fn resume(smppost: &Smppost, port: u16, more: &[&str]) -> Ended {
    run(smppost, port, &["resume", "c", "--wait-receipts", "5s"], more)
}

/// What was said, in one line.
fn said(ended: &Ended) -> String {
    ended.stderr.replace("\n  ", " ")
}

#[track_caller]
fn verified(smppost: &Smppost) {
    smppost.run(&["verify"]).assert_code(0);
}

#[test]
fn a_changed_text_is_refused_with_both_commands() {
    let smppost = Smppost::new();
    let smsc = IndependentSmsc::start(Settings::default());
    smppost.send(&rows(3), smsc.port(), &["--limit", "1"]).assert_code(0);
    let refused = smppost.send(&rows(3), smsc.port(), &["--text", "it's {to}"]);
    refused.assert_code(1);
    assert!(refused.stderr.contains("1 message sent, 2 queued"), "{}", refused.said());
    let other = smppost.path("other.db");
    let other = ["--journal", other.to_str().unwrap()];
    smppost.run(&[&["import", "c.csv"][..], &other].concat()).assert_code(0);
    let elsewhere = smppost.run(&[&["import", "c.csv", "--text", "no"][..], &other].concat());
    let option = format!("--journal {}", other[1]);
    for command in ["cancel", "resume"] {
        assert!(elsewhere.stderr.contains(&format!("smppost {command} c {option}")), "{}", elsewhere.said());
    }
    // Both can be pasted, in this order.
    let lines: Vec<&str> = refused.stderr.lines().map(str::trim).filter(|line| line.starts_with("smppost ")).collect();
    let [cancel, send] = lines[..] else { panic!("{}", refused.said()) };
    assert_eq!(cancel, "smppost cancel c");
    for command in [cancel, send] {
        let (code, said) =
            smppost.shell_at_terminal(&format!("smppost() {{ \"$SMPPOST\" \"$@\"; }}; yes | {command}")).wait();
        assert_eq!(code, Some(0), "{command}: {said}");
    }
    assert_eq!(states(&smppost.journal(), "c"), expected([("cancelled", 2), ("delivered", 1)]));
    assert_eq!(states(&smppost.journal(), "c-2"), expected([("delivered", 3)]));
    assert!(smsc.ledger().iter().any(|submit| submit.text == "it's 447700900001"));
}

#[test]
fn what_came_back_is_sent_again_and_nothing_else() {
    let smppost = Smppost::new();
    let healed = Arc::new(AtomicBool::new(false));
    let is_healed = Arc::clone(&healed);
    let outcome: Rule<Outcome> = Arc::new(move |submit| match submit.destination.as_bytes()[11] {
        _ if is_healed.load(Ordering::SeqCst) => Outcome::Delivered,
        b'0' | b'1' => Outcome::Undeliverable,
        b'2' => Outcome::Expired,
        _ => Outcome::Delivered,
    });
    let smsc = IndependentSmsc::start(Settings { outcome, ..Settings::default() });
    smppost.send(&rows(5), smsc.port(), &[]).assert_code(3);
    assert_eq!(states(&smppost.journal(), "c"), expected([("delivered", 2), ("failed", 3)]));
    // Whoever said no meanwhile is left out.
    smppost.run(&["suppress", "add", "447700900001"]).assert_code(0);
    healed.store(true, Ordering::SeqCst);
    let none = resume(&smppost, smsc.port(), &["--retry-failed", "--error", "999"]);
    none.assert_code(3);
    assert!(said(&none).contains("0 messages that came back with error 999"), "{}", none.said());
    assert_eq!(smsc.ledger().len(), 5);
    let before = one(&smppost.journal(), "SELECT count(*) FROM control");
    let dry = resume(&smppost, smsc.port(), &["--retry-failed", "--dry-run"]);
    assert!(said(&dry).contains("3 messages that came back are sent again"), "{}", dry.said());
    assert_eq!(one(&smppost.journal(), "SELECT count(*) FROM control"), before);
    let again = resume(&smppost, smsc.port(), &["--retry-failed"]);
    again.assert_code(3);
    assert_eq!(states(&smppost.journal(), "c"), expected([("delivered", 4), ("failed", 1)]));
    let ledger = smsc.ledger();
    let mut repeated: Vec<&str> = ledger[5..].iter().map(|submit| submit.destination.as_str()).collect();
    repeated.sort_unstable();
    assert_eq!(repeated, ["447700900000", "447700900002"]);
    assert!(ledger[5..].iter().all(|submit| submit.source == "Test"));
    let twice = "SELECT count(*) FROM message_status WHERE possible_duplicate <> 0";
    assert_eq!(one(&smppost.journal(), twice), 0, "what came back was not delivered");
    verified(&smppost);
    // Once more there is nothing to do.
    resume(&smppost, smsc.port(), &["--retry-failed"]).assert_code(3);
    assert_eq!(smsc.ledger().len(), 7);
}

#[test]
fn a_run_goes_on_as_the_last_one_did_and_the_report_tells_how() {
    let smppost = Smppost::new();
    let smsc = IndependentSmsc::start(Settings::default());
    let how = ["--limit", "1", "--rate", "77", "--connections", "2", "--window", "3", "--bind", "tx+rx"];
    smppost.send(&rows(6), smsc.port(), &how).assert_code(0);
    let as_before = resume(&smppost, smsc.port(), &["--limit", "2"]);
    as_before.assert_code(0);
    let words = "As its last run: --rate 77, --bind tx+rx, --connections 2, --window 3";
    assert!(said(&as_before).contains(words), "{}", as_before.said());
    let other = resume(&smppost, smsc.port(), &["--limit", "3", "--rate", "50", "--bind", "trx"]);
    other.assert_code(0);
    let words = "Other than its last run: --rate 50 instead of --rate 77, --bind trx instead of --bind tx+rx";
    assert!(said(&other).contains(words), "{}", other.said());
    // A profile beats the last run, too.
    smppost.file("smppost.toml", "[slow]\nrate = 20\n");
    let config = smppost.path("smppost.toml");
    resume(&smppost, smsc.port(), &["--limit", "4", "--config", config.to_str().unwrap(), "--profile", "slow"])
        .assert_code(0);
    let connection = open(&smppost.journal());
    let mut statement =
        connection.prepare("SELECT rate || ' ' || bind || ' ' || connections || ' ' || window FROM run_log").unwrap();
    let runs: Vec<String> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(runs, ["77 tx+rx 2 3", "77 tx+rx 2 3", "50 trx 1 3", "20 trx 1 3"]);
    assert_eq!(one(&smppost.journal(), "SELECT count(*) FROM run WHERE ended_at IS NULL"), 0);
    let report = smppost.run(&["report", "c"]);
    let page = report.stdout.replace("\n            ", " ");
    assert!(page.contains("test at localhost port"), "{}", report.said());
    assert!(page.contains("rate 20, 1 connection, window 3, bind trx; the last of 4 runs"), "{}", report.said());
    let json: serde_json::Value =
        serde_json::from_str(&smppost.run(&["report", "c", "--format", "json"]).stdout).unwrap();
    assert!(json.to_string().contains("\"rate\":\"77\""), "{json}");
}

#[test]
fn a_cancellation_is_asked_about_on_a_terminal() {
    let smppost = Smppost::new();
    smppost.file("c.csv", rows(3));
    smppost.run(&["import", "c.csv"]).assert_code(0);
    let cancel = ["cancel", "c"];
    for typed in ["\r", "\x04"] {
        let terminal = smppost.at_terminal(&cancel);
        terminal.wait_for("c: 3 messages to be cancelled; 0 sent");
        terminal.wait_for("Cancel? [y/N]");
        terminal.type_in(typed);
        assert_eq!(terminal.wait().0, Some(130));
    }
    assert_eq!(states(&smppost.journal(), "c"), expected([("queued", 3)]));
    let (code, said) = smppost.at_terminal(&["cancel", "c", "--line", "3", "--yes"]).wait();
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(states(&smppost.journal(), "c"), expected([("queued", 2), ("cancelled", 1)]));
    smppost.run(&["cancel", "c", "--line", "9"]).assert_code(1);
    let terminal = smppost.at_terminal(&cancel);
    terminal.wait_for("[y/N]");
    terminal.type_in("y\r");
    assert_eq!(terminal.wait().0, Some(0));
    assert_eq!(states(&smppost.journal(), "c"), expected([("cancelled", 3)]));
    verified(&smppost);
}

#[test]
fn a_line_that_was_cancelled_is_not_sent_until_it_is_brought_back() {
    let smppost = Smppost::new();
    let smsc = IndependentSmsc::start(Settings::default());
    smppost.file("c.csv", rows(4));
    smppost.run(&["import", "c.csv"]).assert_code(0);
    for line in ["2", "4"] {
        smppost.run(&["cancel", "c", "--line", line]).assert_code(0);
    }
    resume(&smppost, smsc.port(), &[]).assert_code(0);
    assert_eq!(states(&smppost.journal(), "c"), expected([("cancelled", 2), ("delivered", 2)]));
    verified(&smppost);
    // The run is beyond it.
    resume(&smppost, smsc.port(), &["--uncancel", "--line", "2"]).assert_code(0);
    assert_eq!(states(&smppost.journal(), "c"), expected([("cancelled", 1), ("delivered", 3)]));
    let back = resume(&smppost, smsc.port(), &["--uncancel"]);
    back.assert_code(0);
    assert!(said(&back).contains("1 message brought back that was cancelled"), "{}", back.said());
    assert_eq!(states(&smppost.journal(), "c"), expected([("delivered", 4)]));
    assert_eq!(smsc.ledger().len(), 4);
    verified(&smppost);
}

#[test]
fn a_campaign_that_was_cancelled_is_brought_back_without_what_was_suppressed() {
    let smppost = Smppost::new();
    let smsc = IndependentSmsc::start(Settings::default());
    smppost.run(&["suppress", "add", "447700900003"]).assert_code(0);
    smppost.send(&rows(5), smsc.port(), &["--limit", "1"]).assert_code(0);
    smppost.run(&["cancel", "c"]).assert_code(0);
    assert_eq!(states(&smppost.journal(), "c"), expected([("cancelled", 3), ("delivered", 1), ("suppressed", 1)]));
    resume(&smppost, smsc.port(), &["--uncancel", "--line", "3"]).assert_code(2);
    resume(&smppost, smsc.port(), &["--uncancel"]).assert_code(0);
    assert_eq!(states(&smppost.journal(), "c"), expected([("delivered", 4), ("suppressed", 1)]));
    assert_eq!(smsc.ledger().len(), 4);
    verified(&smppost);
}
