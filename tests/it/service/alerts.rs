//! `send --to`: alerts, beside a service and without one.

use super::{account, smsc, start, stop, wait_until};
use crate::common::independent_smsc::{Fate, IndependentSmsc, Settings};
use crate::common::{Leeway, Smppost, assert_agree, one};
use std::sync::Arc;
use std::time::Duration;

const ALERT: [&str; 5] = ["send", "--text", "Pump 3 stopped", "--from", "Pump"];

#[test]
fn an_alert_goes_at_once_and_the_same_name_to_the_same_number_goes_once() {
    let smppost = Smppost::new();
    let smsc = smsc();
    let service = start(&smppost, smsc.port(), &[]);
    let both = ["--to", "+447700900001", "--to", "+44 7700 900002"];
    let ended = smppost.run(&[&ALERT[..], &both, &["--id", "pump-3"]].concat());
    ended.assert_code(0);
    assert!(ended.words().contains("447700900002: "), "{}", ended.said());
    // Whatever the script does.
    for _ in 0..2 {
        let ended = smppost.run(&[&ALERT[..], &both, &["--id", "pump-3"]].concat());
        ended.assert_code(0);
        assert!(ended.words().contains("not sent again"), "{}", ended.said());
    }
    // The same name to a third one, another name, and no name at all.
    smppost.run(&[&ALERT[..], &["--to", "+447700900003", "--id", "pump-3"]].concat()).assert_code(0);
    smppost.run(&[&ALERT[..], &both[..2], &["--id", "pump-4"]].concat()).assert_code(0);
    for _ in 0..2 {
        smppost.run(&[&ALERT[..], &both[..2], &["--detach"]].concat()).assert_code(0);
    }
    wait_until(&smppost, "SELECT delivered FROM campaign_summary", |delivered| delivered == 6);
    // What is imported meanwhile is another campaign, and neither gets in the way of the other.
    smppost.file("c.csv", crate::common::rows(5));
    smppost.run(&["send", "c.csv", "--from", "Test"]).assert_code(0);
    smppost.run(&[&ALERT[..], &both[2..]].concat()).assert_code(0);
    let pause = "SELECT count(*) FROM campaign_summary WHERE campaign LIKE 'alerts-2%'";
    assert_eq!(one(&smppost.journal(), pause), 1);
    for (wrong, code) in [
        (&["--to", "+44770090000x"][..], 2),
        (&["--to", "+447700900001", "--limit", "1"], 2),
        (&["--to", "+447700900001", "c.csv"], 2),
        (&["--id", "x"], 2),
        (&["--to", "+447700900001", "--host", "h"], 2),
    ] {
        smppost.run(&[&ALERT[..], wrong].concat()).assert_code(code);
    }
    stop(service);
    let report = smsc.finish();
    report.assert_clean();
    assert_eq!(report.submits.len(), 12);
    assert!(report.submits.iter().filter(|submit| submit.source == "Pump").count() == 7);
    assert_agree(&smppost.journal(), &report.submits, Leeway::default());
    smppost.run(&["verify"]).assert_code(0);
}

#[test]
fn alerts_that_are_paused_wait_and_a_suppressed_number_gets_none() {
    let smppost = Smppost::new();
    let smsc = smsc();
    let service = start(&smppost, smsc.port(), &[]);
    let alert = |to: &'static str, more: &[&'static str]| {
        smppost.run(&[&ALERT[..], &["--to", to, "--campaign", "pumps"], more].concat())
    };
    alert("+447700900001", &[]).assert_code(0);
    smppost.run(&["pause", "pumps"]).assert_code(0);
    alert("+447700900002", &["--detach"]).assert_code(0);
    smppost.run(&["suppress", "add", "447700900003"]).assert_code(0);
    let ended = alert("+447700900003", &[]);
    ended.assert_code(3);
    assert!(ended.words().contains("suppressed"), "{}", ended.said());
    assert_eq!(one(&smppost.journal(), "SELECT queued FROM campaign_summary"), 1);
    smppost.run(&["resume", "pumps"]).assert_code(0);
    wait_until(&smppost, "SELECT delivered FROM campaign_summary", |delivered| delivered == 2);
    stop(service);
    let report = smsc.finish();
    assert_agree(&smppost.journal(), &report.submits, Leeway::default());
}

#[test]
fn without_a_service_the_command_sends_it() {
    let smppost = Smppost::new();
    let smsc = smsc();
    let port = smsc.port().to_string();
    let command = [&ALERT[..], &account(&port), &["--to", "+447700900001", "--id", "x"]].concat();
    smppost.run(&command).assert_code(0);
    smppost.run(&command).assert_code(0);
    let ended = smppost.run(&[&ALERT[..], &["--to", "+447700900001", "--detach"]].concat());
    ended.assert_code(69);
    let report = smsc.finish();
    assert_eq!(report.submits.len(), 1);
    assert_agree(&smppost.journal(), &report.submits, Leeway::default());
    smppost.run(&["verify"]).assert_code(0);
}

#[test]
fn an_alert_that_is_killed_at_any_step_is_sent_once() {
    let smppost = Smppost::new();
    let smsc = smsc();
    let service = start(&smppost, smsc.port(), &[]);
    for (n, point) in ["gathered", "commanded"].into_iter().enumerate() {
        let to = format!("+44770090000{n}");
        let command = [&ALERT[..], &["--to", &to, "--id", "x"]].concat();
        let point = format!("{point}=abort@1");
        assert_eq!(smppost.spawn_with(&command, &[("SMPPOST_FAILPOINT", &point)]).wait().code, None);
        smppost.run(&command).assert_code(0);
    }
    // Many at once, of the same name and of others.
    let alerts: Vec<_> = (0..12)
        .map(|n| {
            let id = format!("id-{}", n % 4);
            smppost.spawn(&[&ALERT[..], &["--to", "+447700900009", "--id", &id]].concat())
        })
        .collect();
    for alert in alerts {
        alert.wait().assert_code(0);
    }
    stop(service);
    let report = smsc.finish();
    assert_eq!(report.submits.len(), 6);
    assert_agree(&smppost.journal(), &report.submits, Leeway::default());
    smppost.run(&["verify"]).assert_code(0);
}

#[test]
fn an_alert_that_was_left_queued_goes_by_its_name_wherever_it_is_and_leaves_no_campaign_behind() {
    let smppost = Smppost::new();
    let smsc = smsc();
    let service = start(&smppost, smsc.port(), &[]);
    let alert = |campaign: &str, to: &str, id: &str, more: &[&str]| {
        let of = ["--campaign", campaign, "--to", to, "--id", id];
        smppost.run(&[&ALERT[..], &of, more].concat())
    };
    // Nobody takes it: it is queued in the campaign of that day, which nothing releases.
    service.signal("STOP");
    // Not in the middle of a transaction.
    let is_free = || {
        let journal = rusqlite::Connection::open(smppost.journal()).unwrap();
        journal.busy_timeout(Duration::ZERO).unwrap();
        journal.execute_batch("BEGIN IMMEDIATE").is_ok()
    };
    while !is_free() {
        service.signal("CONT");
        std::thread::sleep(Duration::from_millis(20));
        service.signal("STOP");
        std::thread::sleep(Duration::from_millis(20));
    }
    alert("yesterday", "+447700900001", "pump", &["--detach"]).assert_code(69);
    alert("yesterday", "+447700900003", "valve", &["--detach"]).assert_code(69);
    service.signal("CONT");
    let ended = alert("today", "+447700900001", "pump", &[]);
    ended.assert_code(0);
    assert!(
        ended.words().contains("447700900001: accepted") || ended.words().contains(": delivered"),
        "{}",
        ended.said()
    );
    assert_eq!(one(&smppost.journal(), "SELECT count(*) FROM campaign"), 1, "of what is known there is none anew");
    // With others that are new.
    smppost.run(&["pause", "yesterday"]).assert_code(0);
    alert("yesterday", "+447700900004", "pump", &["--detach"]).assert_code(0);
    smppost.run(&["resume", "yesterday", "--wait-receipts", "10ms"]).assert_code(0);
    alert("today", "+447700900005", "pump", &["--to", "+447700900004", "--to", "+447700900001"]).assert_code(0);
    stop(service);
    // Nor without a service.
    let port = smsc.port().to_string();
    alert("tomorrow", "+447700900004", "pump", &account(&port)).assert_code(0);
    assert_eq!(one(&smppost.journal(), "SELECT count(*) FROM campaign"), 2);
    let report = smsc.finish();
    assert_eq!(report.submits.len(), 4);
    assert_agree(&smppost.journal(), &report.submits, Leeway::default());
}

#[test]
fn an_alert_to_a_campaign_that_is_paused_or_held_ends_and_says_why() {
    let smppost = Smppost::new();
    let smsc = smsc();
    let service = start(&smppost, smsc.port(), &[]);
    let alert = |to: &'static str, more: &[&'static str]| {
        smppost.run(&[&ALERT[..], &["--to", to, "--campaign", "pumps"], more].concat())
    };
    alert("+447700900001", &[]).assert_code(0);
    // After it was resumed by its name, too.
    smppost.run(&["resume", "pumps", "--wait-receipts", "10ms"]).assert_code(0);
    alert("+447700900002", &[]).assert_code(0);
    for (pause, resume) in
        [(&["pause", "pumps", "--reason", "lunch"][..], &["resume", "pumps"][..]), (&["pause"], &["resume"])]
    {
        smppost.run(pause).assert_code(0);
        let ended = alert("+447700900003", &["--id", pause[pause.len() - 1]]);
        ended.assert_code(3);
        assert!(
            ended.words().contains("what is queued stays so: ") && ended.words().contains("paused by"),
            "{}",
            ended.said()
        );
        smppost.run(resume).assert_code(0);
    }
    wait_until(&smppost, "SELECT delivered FROM campaign_summary", |delivered| delivered == 4);
    let held =
        "INSERT INTO release (campaign_id, at, kind, reason, who) VALUES (1, 0, 'held', 'too dear', 'smppost run')";
    rusqlite::Connection::open(smppost.journal()).unwrap().execute_batch(held).unwrap();
    let ended = alert("+447700900004", &[]);
    ended.assert_code(1);
    assert!(
        ended.words().contains("is held: too dear") && ended.words().contains("`smppost resume pumps`"),
        "{}",
        ended.said()
    );
    assert_eq!(one(&smppost.journal(), "SELECT queued FROM campaign_summary"), 1);
    smppost.run(&["resume", "pumps", "--wait-receipts", "10ms"]).assert_code(0);
    stop(service);
    let report = smsc.finish();
    assert_eq!(report.submits.len(), 5);
    assert_agree(&smppost.journal(), &report.submits, Leeway::default());
}

#[test]
fn what_is_said_of_money_rules_and_receipts_with_an_alert_counts() {
    let smppost = Smppost::new();
    let smsc = IndependentSmsc::start(Settings { receipt_delay: Duration::from_millis(400), ..Settings::default() });
    let service = start(&smppost, smsc.port(), &[]);
    smppost.file("prices.csv", "44,0.05,EUR\n");
    let alert = |to: &'static str, more: &[&'static str]| {
        smppost.run(&[&ALERT[..], &["--to", to, "--campaign", "pumps"], more].concat())
    };
    let ended = alert("+447700900001", &["--wait-receipts", "20s"]);
    ended.assert_code(0);
    assert!(ended.words().contains("447700900001: delivered"), "{}", ended.said());
    alert("+447700900002", &["--max-cost", "1"]).assert_code(2);
    alert("+447700900002", &["--prices", "prices.csv", "--max-cost", "0.10", "--stop-when", "rejected>5%"])
        .assert_code(0);
    let terms = "SELECT count(*) FROM release WHERE terms LIKE '%rejected>5\\%%' ESCAPE '\\'";
    assert_eq!(one(&smppost.journal(), terms), 1);
    let ended = alert("+447700900003", &[]);
    ended.assert_code(3);
    assert!(ended.words().contains("--max-cost 0.10 EUR"), "{}", ended.said());
    alert("+447700900004", &["--stop-when", "nonsense"]).assert_code(2);
    stop(service);
    assert_eq!(smsc.finish().submits.len(), 2);
}

#[test]
fn without_a_service_an_alert_that_is_interrupted_says_so_and_money_counts() {
    let smppost = Smppost::new();
    // It never answers.
    let silent = IndependentSmsc::start(Settings { fate: Arc::new(|_| Fate::Silent), ..Settings::default() });
    let port = silent.port().to_string();
    let alert =
        smppost.spawn(&[&ALERT[..], &account(&port), &["--to", "+447700900001", "--response-timeout", "2s"]].concat());
    assert!(silent.wait_for(|submits| !submits.is_empty(), crate::common::PATIENCE));
    alert.signal("INT");
    alert.wait().assert_code(130);
    drop(silent);
    let smppost = Smppost::new();
    let smsc = smsc();
    let port = smsc.port().to_string();
    smppost.file("prices.csv", "44,0.05,EUR\n");
    let dear = ["--to", "+447700900001", "--prices", "prices.csv", "--max-cost", "0.01"];
    let ended = smppost.run(&[&ALERT[..], &account(&port), &dear].concat());
    ended.assert_code(3);
    assert!(ended.words().contains("--max-cost 0.01 EUR"), "{}", ended.said());
    assert!(smsc.finish().submits.is_empty());
}
