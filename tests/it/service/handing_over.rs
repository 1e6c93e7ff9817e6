//! `send` and `resume` beside a service.

use super::{smsc, start, stop, wait_until};
use crate::common::{Leeway, Smppost, assert_agree, expected, long_rows, one, rows, states};
use std::time::Duration;

#[test]
fn send_hands_over_shows_how_it_goes_and_ends_as_ever() {
    let smppost = Smppost::new();
    let smsc = smsc();
    let service = start(&smppost, smsc.port(), &[]);
    smppost.file("c.csv", rows(50));
    let ended = smppost.run(&["send", "c.csv", "--from", "Test"]);
    ended.assert_code(0);
    assert!(ended.words().contains("the running service"), "{}", ended.said());
    assert_eq!(states(&smppost.journal(), "c"), expected([("delivered", 50)]));
    // The same again sends nothing again.
    smppost.run(&["send", "c.csv", "--from", "Test"]).assert_code(0);
    smppost.file("d.csv", long_rows(3));
    smppost.run(&["send", "d.csv", "--from", "Test", "--text-column", "text"]).assert_code(0);
    stop(service);
    assert_eq!(one(&smppost.journal(), "SELECT count(*) FROM session"), 1);
    assert_eq!(one(&smppost.journal(), "SELECT count(*) FROM run_campaign"), 2);
    let report = smsc.finish();
    report.assert_clean();
    assert_agree(&smppost.journal(), &report.submits, Leeway::default());
}

#[test]
fn what_was_imported_goes_when_it_is_resumed_by_name() {
    let smppost = Smppost::new();
    let smsc = smsc();
    for name in ["c.csv", "d.csv"] {
        smppost.file(name, if name == "c.csv" { rows(5) } else { long_rows(2) });
        smppost.run(&["import", name, "--from", "Test"]).assert_code(0);
    }
    let service = start(&smppost, smsc.port(), &[]);
    let ended = smppost.run(&["resume"]);
    ended.assert_code(0);
    assert!(ended.words().contains("sending is not paused"), "{}", ended.said());
    smppost.run(&["resume", "c"]).assert_code(0);
    assert_eq!(states(&smppost.journal(), "c"), expected([("delivered", 5)]));
    assert_eq!(states(&smppost.journal(), "d"), expected([("queued", 2)]));
    smppost.run(&["resume", "--all"]).assert_code(0);
    assert_eq!(states(&smppost.journal(), "d"), expected([("delivered", 2)]));
    smppost.run(&["resume", "nobody"]).assert_code(1);
    stop(service);
}

#[test]
fn a_limit_travels_and_the_rest_goes_with_the_next_release() {
    let smppost = Smppost::new();
    let smsc = smsc();
    let service = start(&smppost, smsc.port(), &[]);
    smppost.file("c.csv", rows(20));
    smppost.run(&["send", "c.csv", "--from", "Test", "--limit", "7"]).assert_code(0);
    assert_eq!(states(&smppost.journal(), "c"), expected([("delivered", 7), ("queued", 13)]));
    smppost.run(&["resume", "c"]).assert_code(0);
    assert_eq!(states(&smppost.journal(), "c"), expected([("delivered", 20)]));
    stop(service);
    assert_agree(&smppost.journal(), &smsc.finish().submits, Leeway::default());
}

#[test]
fn what_is_the_services_is_refused_by_name_and_nothing_is_imported() {
    let smppost = Smppost::new();
    let smsc = smsc();
    let service = start(&smppost, smsc.port(), &[]);
    smppost.file("c.csv", rows(3));
    for (option, value) in [
        ("--host", "127.0.0.1"),
        ("--window", "5"),
        ("--rate", "7"),
        ("--connections", "2"),
        ("--response-timeout", "3s"),
        ("--test-to", "+447700900001"),
        ("--opt-out-words", "STOP"),
    ] {
        let ended = smppost.run(&["send", "c.csv", "--from", "Test", option, value]);
        ended.assert_code(2);
        assert!(ended.words().contains(&format!("{option}: not beside the running service")), "{}", ended.said());
    }
    assert_eq!(one(&smppost.journal(), "SELECT count(*) FROM campaign"), 0);
    stop(service);
}

#[test]
fn detached_it_ends_when_the_service_has_accepted_and_without_one_with_a_code_of_its_own() {
    let smppost = Smppost::new();
    let smsc = smsc();
    smppost.file("c.csv", rows(3));
    let ended = smppost.run(&["send", "c.csv", "--from", "Test", "--detach"]);
    ended.assert_code(69);
    assert!(!smppost.journal().exists(), "{}", ended.said());
    let service = start(&smppost, smsc.port(), &[]);
    smppost.run(&["send", "c.csv", "--from", "Test", "--detach"]).assert_code(0);
    wait_until(&smppost, "SELECT delivered FROM campaign_summary", |delivered| delivered == 3);
    // A service that is stopped takes nothing: the command is withdrawn.
    service.signal("STOP");
    smppost.file("d.csv", rows(2));
    let ended = smppost.run(&["send", "d.csv", "--from", "Test", "--detach", "--allow-same-file"]);
    ended.assert_code(69);
    assert!(ended.words().contains("withdrawn"), "{}", ended.said());
    service.signal("CONT");
    std::thread::sleep(Duration::from_millis(1_200));
    assert_eq!(states(&smppost.journal(), "d"), expected([("queued", 2)]));
    stop(service);
}

#[test]
fn an_interrupted_command_leaves_the_service_at_work() {
    let smppost = Smppost::new();
    let smsc = smsc();
    let service = start(&smppost, smsc.port(), &["--rate", "50"]);
    smppost.file("c.csv", rows(150));
    let send = smppost.spawn(&["send", "c.csv", "--from", "Test"]);
    wait_until(&smppost, super::TAKEN, |taken| taken >= 5);
    send.signal("INT");
    let ended = send.wait();
    ended.assert_code(130);
    assert!(
        ended.words().contains("the service goes on sending") && ended.words().contains("smppost pause c"),
        "{}",
        ended.said()
    );
    wait_until(&smppost, super::TAKEN, |taken| taken == 150);
    stop(service);
}

#[test]
fn many_commands_at_once_are_each_done_once() {
    let smppost = Smppost::new();
    let smsc = smsc();
    let service = start(&smppost, smsc.port(), &[]);
    let names: Vec<String> = (0..6).map(|n| format!("c{n}")).collect();
    for (n, name) in names.iter().enumerate() {
        smppost.file(&format!("{name}.csv"), rows(5 + n));
    }
    let mut commands = Vec::new();
    for name in &names {
        for _ in 0..2 {
            let file = format!("{name}.csv");
            commands.push(smppost.spawn(&["send", &file, "--from", "Test", "--allow-same-file"]));
        }
    }
    for command in commands {
        command.wait().assert_code(0);
    }
    for (n, name) in names.iter().enumerate() {
        assert_eq!(states(&smppost.journal(), name), expected([("delivered", 5 + n as i64)]));
    }
    stop(service);
    let report = smsc.finish();
    report.assert_clean();
    assert_agree(&smppost.journal(), &report.submits, Leeway::default());
}
