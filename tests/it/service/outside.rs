//! What is seen of the service from outside, and what it does by itself.

use super::{smsc, start, stop, wait_until};
use crate::common::independent_smsc::{BindAnswer, IndependentSmsc, Settings};
use crate::common::{Leeway, Smppost, assert_agree, expected, one, rows, states};
use serde_json::Value;
use std::sync::Arc;

fn status(smppost: &Smppost) -> Value {
    let ended = smppost.run(&["status", "--format", "json"]);
    serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {}", ended.said()))
}

#[test]
fn a_monitor_is_told_in_one_line_whether_it_is_well() {
    let smppost = Smppost::new();
    let check = |code: i32, words: &str| {
        let ended = smppost.run(&["status", "--check"]);
        ended.assert_code(code);
        assert!(ended.stdout.lines().count() == 1 && ended.stdout.contains(words), "{}", ended.said());
    };
    let smsc = smsc();
    let service = start(&smppost, 1, &[]);
    check(1, "not connected: ");
    stop(service);
    check(1, "no service runs");
    let mut service = start(&smppost, smsc.port(), &["--rate", "60"]);
    service.wait_for_words("bound to");
    check(0, "well: 1 of 1 connection bound, 0 messages to send");
    smppost.file("c.csv", rows(300));
    smppost.run(&["send", "c.csv", "--from", "Test", "--detach"]).assert_code(0);
    wait_until(&smppost, super::TAKEN, |taken| taken >= 5);
    smppost.run(&["pause", "c", "--reason", "lunch"]).assert_code(0);
    // What somebody paused is as it is meant to be.
    check(0, "well: ");
    let told = status(&smppost);
    assert_eq!(told["trouble"], Value::Null);
    let campaign = &told["service"]["campaigns"][0];
    assert_eq!(campaign["campaign"], "c");
    assert!(campaign["waits"].as_str().unwrap().ends_with(": lunch"), "{told}");
    assert_eq!((&told["service"]["bound"], &told["service"]["process"]), (&1.into(), &service.id().into()));
    // Whoever asks leaves no row.
    assert_eq!(one(&smppost.journal(), "SELECT count(*) FROM command WHERE what = 'status'"), 0);
    service.signal("STOP");
    check(1, "has not answered");
    // Nor does one that gave up.
    assert_eq!(one(&smppost.journal(), "SELECT count(*) FROM command WHERE what = 'status'"), 0);
    service.signal("CONT");
    let log = service.stderr();
    assert_eq!(log.matches("campaign c: released by").count(), 1, "{log}");
    stop(service);
}

#[test]
fn a_campaign_that_breaks_its_rule_is_held_and_the_others_go_on() {
    let smppost = Smppost::new();
    let smsc = IndependentSmsc::start(Settings {
        status: Arc::new(|submit| {
            let is_bad = submit.source == "Bad" && submit.destination.ends_with(['0', '3', '6']);
            if is_bad { 0x0B } else { 0 }
        }),
        ..Settings::default()
    });
    let service = start(&smppost, smsc.port(), &["--rate", "100"]);
    smppost.file("c.csv", rows(600));
    smppost.file("d.csv", rows(40));
    let ended = smppost.run(&["send", "c.csv", "--from", "Bad", "--stop-when", "rejected>10%"]);
    ended.assert_code(3);
    assert!(ended.words().contains("were rejected: --stop-when 'rejected>10%'"), "{}", ended.said());
    let queued = one(&smppost.journal(), "SELECT queued FROM campaign_summary WHERE campaign = 'c'");
    assert!(queued > 400, "{queued}");
    smppost.run(&["send", "d.csv", "--from", "Test", "--allow-same-file"]).assert_code(0);
    assert_eq!(states(&smppost.journal(), "d"), expected([("delivered", 40)]));
    let ended = smppost.run(&["resume", "c"]);
    ended.assert_code(1);
    assert!(ended.words().contains("--override-stop"), "{}", ended.said());
    let held = "SELECT count(*) FROM release_log WHERE campaign = 'c' AND event = 'held'";
    assert_eq!(one(&smppost.journal(), held), 1);
    smppost.run(&["resume", "c", "--override-stop", "--detach"]).assert_code(0);
    wait_until(&smppost, "SELECT queued + sending FROM campaign_summary WHERE campaign = 'c'", |left| left == 0);
    stop(service);
    let report = smsc.finish();
    assert_agree(&smppost.journal(), &report.submits, Leeway::default());
    smppost.run(&["verify"]).assert_code(0);
}

#[test]
fn a_campaign_that_may_cost_no_more_is_held_and_whoever_waits_for_it_is_told() {
    let smppost = Smppost::new();
    let smsc = smsc();
    let service = start(&smppost, smsc.port(), &["--rate", "200"]);
    smppost.file("c.csv", rows(40));
    smppost.file("d.csv", rows(5));
    smppost.file("prices.csv", "44,0.05,EUR\n");
    let budget = ["--prices", "prices.csv", "--max-cost", "1"];
    let ended = smppost.run(&[&["send", "c.csv", "--from", "Test"], &budget[..]].concat());
    ended.assert_code(3);
    assert!(ended.words().contains("--max-cost 1.00 EUR: 1.00 EUR of it are spent"), "{}", ended.said());
    assert!(!ended.words().contains("--override-stop"), "{}", ended.said());
    wait_until(&smppost, "SELECT delivered FROM campaign_summary WHERE campaign = 'c'", |delivered| delivered == 20);
    assert_eq!(states(&smppost.journal(), "c"), expected([("delivered", 20), ("queued", 20)]));
    smppost.run(&["send", "d.csv", "--from", "Test", "--allow-same-file"]).assert_code(0);
    let held = "SELECT count(*) FROM release_log WHERE campaign = 'c' AND event = 'held'";
    assert_eq!(one(&smppost.journal(), held), 1);
    // With more it goes on, and is held once more where that is spent.
    smppost.run(&["resume", "c", "--max-cost", "1.5"]).assert_code(3);
    assert_eq!(one(&smppost.journal(), held), 2);
    smppost.run(&["resume", "c", "--max-cost", "none"]).assert_code(0);
    assert_eq!(states(&smppost.journal(), "c"), expected([("delivered", 40)]));
    stop(service);
    assert_agree(&smppost.journal(), &smsc.finish().submits, Leeway::default());
}

#[test]
fn while_the_journal_cannot_be_written_the_monitor_is_told_so() {
    let smppost = Smppost::new();
    let smsc = smsc();
    let mut service = start(&smppost, smsc.port(), &[]);
    service.wait_for_words("bound to");
    let other = rusqlite::Connection::open(smppost.journal()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let ended = smppost.run(&["status", "--check"]);
    ended.assert_code(1);
    assert!(ended.stdout.contains("keeps the journal from being written"), "{}", ended.said());
    other.execute_batch("ROLLBACK").unwrap();
    let ended = smppost.run(&["status", "--check"]);
    ended.assert_code(0);
    stop(service);
    assert_eq!(one(&smppost.journal(), "SELECT count(*) FROM command"), 0);
}

#[test]
fn one_of_several_campaigns_that_is_held_does_not_end_the_command() {
    let smppost = Smppost::new();
    let smsc = IndependentSmsc::start(Settings {
        status: Arc::new(|submit| if submit.source == "Bad" { 0x0B } else { 0 }),
        ..Settings::default()
    });
    smppost.file("c.csv", rows(200));
    smppost.file("d.csv", rows(300));
    smppost.run(&["import", "c.csv", "--from", "Bad"]).assert_code(0);
    smppost.run(&["import", "d.csv", "--from", "Test", "--allow-same-file"]).assert_code(0);
    let service = start(&smppost, smsc.port(), &["--rate", "200"]);
    let ended = smppost.run(&["resume", "c", "d", "--wait-receipts", "10ms"]);
    ended.assert_code(3);
    // It was held for what was rejected, not by a rule that has to be overridden.
    assert!(ended.words().contains("50 messages in a row were rejected alike"), "{}", ended.said());
    assert!(!ended.words().contains("--override-stop"), "{}", ended.said());
    assert_eq!(one(&smppost.journal(), "SELECT queued + sending FROM campaign_summary WHERE campaign = 'd'"), 0);
    assert!(one(&smppost.journal(), "SELECT queued FROM campaign_summary WHERE campaign = 'c'") > 50);
    stop(service);
}

#[test]
fn a_campaign_with_optional_parameters_is_held_where_the_smsc_takes_none_and_the_others_go() {
    let smppost = Smppost::new();
    let binds = vec![BindAnswer::WithoutVersion];
    let smsc = IndependentSmsc::start(Settings { binds, ..Settings::default() });
    let mut service = start(&smppost, smsc.port(), &[]);
    service.wait_for_words("bound to");
    smppost.file("c.csv", rows(5));
    let ended = smppost.run(&["send", "c.csv", "--from", "Test", "--field", "tlv:0x1401=01"]);
    ended.assert_code(3);
    assert!(ended.words().contains("--tlvs yes"), "{}", ended.said());
    smppost.file("d.csv", rows(5));
    smppost.run(&["send", "d.csv", "--from", "Test", "--allow-same-file"]).assert_code(0);
    stop(service);
    assert_eq!(states(&smppost.journal(), "c"), expected([("queued", 5)]));
    assert_eq!(smsc.finish().submits.len(), 5);
}

#[test]
fn a_campaign_whose_time_is_over_ends_the_command_that_waits_for_it() {
    let smppost = Smppost::new();
    let smsc = smsc();
    let service = start(&smppost, smsc.port(), &[]);
    smppost.file("c.csv", rows(5));
    let over = ["--stop-at", "2020-01-01T00:00Z"];
    smppost.run(&[&["import", "c.csv", "--from", "Test"], &over[..]].concat()).assert_code(0);
    let ended = smppost.run(&["resume", "c"]);
    ended.assert_code(3);
    assert!(ended.words().contains("its last moment has come"), "{}", ended.said());
    assert!(!ended.words().contains("--override-stop"), "{}", ended.said());
    smppost.run(&["resume", "c", "--ignore-hours", "--wait-receipts", "10ms"]).assert_code(0);
    stop(service);
    assert_eq!(smsc.finish().submits.len(), 5);
}
