//! Pause, resume and cancel beside a service that sends.

use super::{TAKEN, smsc, start, start_with, stop, wait_until};
use crate::common::{Leeway, Smppost, assert_agree, expected, number, one, rows, states};
use std::time::Duration;

/// What is on its way and what is claimed ahead.
const OPEN: &str = "SELECT sending FROM campaign_summary WHERE campaign = 'c'";

#[test]
fn within_a_second_of_a_pause_nothing_more_leaves_and_what_was_claimed_comes_back() {
    for all in [false, true] {
        let smppost = Smppost::new();
        let smsc = smsc();
        let service = start(&smppost, smsc.port(), &["--rate", "60"]);
        smppost.file("c.csv", rows(400));
        smppost.run(&["send", "c.csv", "--from", "Test", "--detach"]).assert_code(0);
        wait_until(&smppost, TAKEN, |taken| taken >= 30);
        let pause: &[&str] = if all { &["pause", "--reason", "lunch"] } else { &["pause", "c", "--reason", "lunch"] };
        let ended = smppost.run(pause);
        ended.assert_code(0);
        assert!(ended.words().contains("paused; the running service withdraws"), "{}", ended.said());
        // Half a second until it is seen, and as long for what is on its way.
        wait_until(&smppost, OPEN, |open| open == 0);
        let taken = one(&smppost.journal(), TAKEN);
        std::thread::sleep(Duration::from_millis(1_500));
        assert_eq!(one(&smppost.journal(), TAKEN), taken, "something left");
        assert_eq!(one(&smppost.journal(), OPEN), 0);
        // A restart changes nothing of it.
        stop(service);
        let mut service = start(&smppost, smsc.port(), &[]);
        service.wait_for_words(if all { "all sending is paused" } else { "campaign c: paused by" });
        service.wait_for_words("bound to");
        std::thread::sleep(Duration::from_millis(1_200));
        assert_eq!(one(&smppost.journal(), TAKEN), taken);
        let resume: &[&str] = if all { &["resume"] } else { &["resume", "c"] };
        smppost.run(resume).assert_code(0);
        wait_until(&smppost, "SELECT delivered FROM campaign_summary", |delivered| delivered == 400);
        stop(service);
        let log =
            "SELECT count(*) FROM release_log WHERE event = 'paused' AND reason = 'lunch' AND who LIKE '%process%'";
        assert_eq!(one(&smppost.journal(), log), 1);
        let report = smsc.finish();
        report.assert_clean();
        assert_agree(&smppost.journal(), &report.submits, Leeway::default());
        smppost.run(&["verify"]).assert_code(0);
    }
}

#[test]
fn a_cancelled_campaign_stops_and_another_goes_on() {
    let smppost = Smppost::new();
    let smsc = smsc();
    let service = start(&smppost, smsc.port(), &["--rate", "60"]);
    smppost.file("c.csv", rows(300));
    smppost.file("d.csv", rows(30));
    smppost.run(&["send", "c.csv", "--from", "Test", "--detach"]).assert_code(0);
    wait_until(&smppost, TAKEN, |taken| taken >= 20);
    smppost.run(&["cancel", "c"]).assert_code(0);
    smppost.run(&["send", "d.csv", "--from", "Test", "--allow-same-file"]).assert_code(0);
    assert_eq!(states(&smppost.journal(), "d"), expected([("delivered", 30)]));
    assert!(one(&smppost.journal(), "SELECT cancelled FROM campaign_summary WHERE campaign = 'c'") > 200);
    let ended = smppost.run(&["resume", "c"]);
    assert!(ended.code != Some(0) || ended.words().contains("cancelled"), "{}", ended.said());
    smppost.run(&["resume", "c", "--uncancel"]).assert_code(0);
    assert_eq!(states(&smppost.journal(), "c"), expected([("delivered", 300)]));
    stop(service);
    let report = smsc.finish();
    report.assert_clean();
    assert_agree(&smppost.journal(), &report.submits, Leeway::default());
}

#[test]
fn beside_a_plain_sender_a_pause_is_refused() {
    let smppost = Smppost::new();
    let smsc = smsc();
    let send = smppost.spawn_send(&rows(200), smsc.port(), &["--rate", "50"]);
    wait_until(&smppost, TAKEN, |taken| taken >= 1);
    smppost.run(&["pause", "c"]).assert_code(75);
    assert_eq!(one(&smppost.journal(), "SELECT count(*) FROM release"), 0);
    send.wait().assert_code(0);
    // Where nobody sends it is noted, and a command that names the campaign lifts it.
    smppost.file("d.csv", rows(3));
    smppost.run(&["import", "d.csv", "--from", "Test", "--allow-same-file"]).assert_code(0);
    smppost.run(&["pause", "d"]).assert_code(0);
    let port = smsc.port().to_string();
    let account = super::account(&port);
    let ended = smppost.run(&[&["resume", "--all"], &account[..]].concat());
    ended.assert_code(2);
    assert!(ended.words().contains("is paused: name what is to go on"), "{}", ended.said());
    assert_eq!(states(&smppost.journal(), "d"), expected([("queued", 3)]));
    smppost.run(&[&["resume", "d"], &account[..]].concat()).assert_code(0);
    assert_eq!(states(&smppost.journal(), "d"), expected([("delivered", 3)]));
}

#[test]
fn each_campaign_that_is_paused_is_told_with_its_own_command() {
    let smppost = Smppost::new();
    for name in ["c.csv", "d.csv"] {
        smppost.file(name, rows(3));
        smppost.run(&["import", name, "--from", "Test", "--allow-same-file"]).assert_code(0);
    }
    let ended = smppost.run(&["pause", "c", "d"]);
    ended.assert_code(0);
    for name in ["c", "d"] {
        let words = format!("campaign {name}: paused; no service runs now; `smppost resume {name}");
        assert!(ended.words().contains(&words), "{}", ended.said());
    }
    smppost.run(&["pause", "--reason", "complaints"]).assert_code(0);
    let ended = smppost.run(&["report", "c"]);
    // Where the lines break depends on the number of the process that is named.
    let page = ended.page();
    assert!(page.contains(" paused all sending, since ") && page.contains("): complaints"), "{}", ended.said());
    let told: serde_json::Value =
        serde_json::from_str(&smppost.run(&["report", "c", "--format", "json"]).stdout).unwrap();
    let events: Vec<&str> =
        told["stopped"].as_array().unwrap().iter().map(|told| told["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["all paused", "paused"], "{told}");
}

#[test]
fn a_pause_of_all_holds_for_resume_without_a_name_until_it_is_lifted() {
    let smppost = Smppost::new();
    let smsc = smsc();
    let port = smsc.port().to_string();
    let account = super::account(&port);
    for name in ["c.csv", "d.csv"] {
        smppost.file(name, rows(3));
        smppost.run(&["import", name, "--from", "Test", "--allow-same-file"]).assert_code(0);
    }
    smppost.run(&["pause", "--reason", "complaints"]).assert_code(0);
    let ended = smppost.run(&[&["resume", "--all"], &account[..]].concat());
    ended.assert_code(2);
    assert!(
        ended.words().contains("all sending is paused by") && ended.words().contains("(complaints)"),
        "{}",
        ended.said()
    );
    assert_eq!(states(&smppost.journal(), "c"), expected([("queued", 3)]));
    // Named, it is meant.
    smppost.run(&[&["resume", "c"], &account[..]].concat()).assert_code(0);
    let ended = smppost.run(&[&["resume"], &account[..]].concat());
    ended.assert_code(0);
    assert!(ended.words().contains("the pause of all sending is over"), "{}", ended.said());
    assert_eq!(states(&smppost.journal(), "d"), expected([("delivered", 3)]));
    assert_eq!(smsc.finish().submits.len(), 6);
}

#[test]
fn options_that_a_resume_without_a_name_would_not_heed_are_refused() {
    let smppost = Smppost::new();
    let smsc = smsc();
    let service = start(&smppost, smsc.port(), &[]);
    for (option, value) in
        [("--priority", "urgent"), ("--campaign-rate", "5"), ("--limit", "3"), ("--max-cost", "none")]
    {
        let ended = smppost.run(&["resume", option, value]);
        ended.assert_code(2);
        assert!(ended.words().contains(&format!("{option}: of which campaign?")), "{}", ended.said());
    }
    smppost.run(&["resume"]).assert_code(0);
    stop(service);
}

#[test]
fn what_the_smsc_refused_of_the_account_goes_on_when_it_is_put_right_and_sending_is_resumed() {
    let smppost = Smppost::new();
    let smsc = crate::common::scripted_smsc::ScriptedSmsc::start(|taken| match taken.to.ends_with("03") {
        // The sender is not registered, as this SMSC sees it.
        true => crate::common::scripted_smsc::Said::refused(0x0F, &[]),
        false => crate::common::scripted_smsc::Said::taken(&taken.to, &[]),
    });
    let service = start(&smppost, smsc.port(), &["--rate", "20"]);
    smppost.file("c.csv", rows(12));
    smppost.run(&["send", "c.csv", "--from", "Test", "--detach"]).assert_code(0);
    let paused = "SELECT count(*) FROM release_log WHERE event = 'paused' AND campaign IS NULL";
    wait_until(&smppost, paused, |paused| paused == 1);
    smppost.run(&["resume"]).assert_code(0);
    wait_until(&smppost, "SELECT accepted FROM campaign_summary", |accepted| accepted == 11);
    stop(service);
}

#[test]
fn a_refusal_that_comes_while_its_message_is_being_written_keeps_nothing_that_is_resumed() {
    let smppost = Smppost::new();
    let journal = smppost.journal();
    let smsc = crate::common::scripted_smsc::ScriptedSmsc::start(move |taken| {
        if !taken.to.ends_with("03") {
            return crate::common::scripted_smsc::Said::taken(&taken.to, &[]);
        }
        // Another process keeps the journal for a moment: the refusal is not recorded yet when its message is written.
        let other = rusqlite::Connection::open(&journal).unwrap();
        other.busy_timeout(Duration::from_secs(30)).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(600));
            other.execute_batch("ROLLBACK").unwrap();
        });
        crate::common::scripted_smsc::Said::refused(0x0F, &[])
    });
    // The answer is there before the writer goes on, and nothing but another message wakes it.
    let slow = [("SMPPOST_FAILPOINT", "written=delay@1")];
    let service = start_with(&smppost, smsc.port(), &["--enquire-link-interval", "10m"], &slow);
    let send = |name: &str, n: usize| {
        smppost.file(&format!("{name}.csv"), format!("to,text\n{},Hello\n", number(n)));
        smppost.run(&["send", &format!("{name}.csv"), "--from", "Test", "--detach"]).assert_code(0);
    };
    let accepted = |count: i64| wait_until(&smppost, "SELECT sum(accepted) FROM campaign_summary", |n| n == count);
    // The first of a session goes by itself; what comes then finds the window wide open.
    send("b", 1);
    accepted(1);
    send("c", 3);
    let paused = "SELECT count(*) FROM release_log WHERE event = 'paused' AND campaign IS NULL";
    wait_until(&smppost, paused, |paused| paused == 1);
    smppost.run(&["resume"]).assert_code(0);
    send("d", 4);
    accepted(2);
    stop(service);
}
