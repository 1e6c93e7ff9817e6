//! A log that stays readable: what happens again and again is said a few times, then counted.

use super::{start, stop};
use crate::common::independent_smsc::{Action, Event, IndependentSmsc, Settings};
use crate::common::{PATIENCE, Smppost};
use std::net::TcpListener;
use std::time::{Duration, Instant};

fn lines(smppost: &Smppost, what: &str) -> usize {
    let log = std::fs::read_to_string(smppost.path("log")).unwrap();
    log.lines().filter(|line| line.contains(what)).count()
}

#[test]
fn what_an_smsc_does_in_each_session_is_not_said_in_each() {
    const SESSIONS: usize = 25;
    // In each session something that no SMSC sends, and the end.
    let events = (1..=10 * SESSIONS).flat_map(|session| {
        [Action::Request(0x0000_0004), Action::Unbind].map(|action| Event { session, after: 0, action })
    });
    let smsc = IndependentSmsc::start(Settings { events: events.collect(), ..Settings::default() });
    let smppost = Smppost::new();
    // Sixteen connections, each of which comes back by itself.
    let service = start(&smppost, smsc.port(), &["--log-file", "log", "--connections", "16"]);
    let until = Instant::now() + PATIENCE;
    while smsc.counts().binds_accepted < 4 * SESSIONS && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(20));
    }
    let binds = smsc.counts().binds_accepted;
    assert!(binds >= 4 * SESSIONS, "{binds}");
    let said = service.stderr();
    stop(service);
    for (what, log) in [("stderr", &said), ("the file", &std::fs::read_to_string(smppost.path("log")).unwrap())] {
        let count = |words: &str| log.lines().filter(|line| line.contains(words)).count();
        // Three times each kind of thing; connections are told apart by their numbers alone.
        assert!(count("no business sending") <= 3, "{what}: {log}");
        assert!(count("bound to") <= 3 && count("unbound") <= 6, "{what}: {log}");
        assert!(log.lines().count() <= 20, "{what}: {binds} binds, {} lines: {log}", log.lines().count());
    }
}

#[test]
fn tries_to_connect_are_not_lines_of_a_services_log() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let smppost = Smppost::new();
    let mut service = start(&smppost, port, &["--log-file", "log", "--connections", "16"]);
    service.wait_for_words("next try");
    // Several tries of each.
    std::thread::sleep(Duration::from_secs(3));
    stop(service);
    assert_eq!(lines(&smppost, "connecting to"), 0);
    assert!(lines(&smppost, "next try") <= 3);
}

#[test]
fn a_monitor_has_its_line_whatever_is_wrong() {
    let smppost = Smppost::new();
    std::fs::create_dir(smppost.journal()).unwrap();
    let ended = smppost.run(&["status", "--check"]);
    ended.assert_code(1);
    assert!(ended.stdout.starts_with("not well: ") && ended.stdout.lines().count() == 1, "{}", ended.said());
}
