//! How the service begins and ends.

use super::{account, smsc, start, start_with, stop, wait_until};
use crate::common::{Leeway, Smppost, assert_agree, expected, one, rows, states};
use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

#[test]
fn a_journal_that_was_named_and_is_not_there_is_not_made_unless_that_is_said() {
    let smppost = Smppost::new();
    let arguments = [&["run"], &account("1")[..]].concat();
    let ended = smppost.run(&arguments);
    ended.assert_code(2);
    assert!(ended.words().contains("--create") && ended.words().contains("mounted"), "{}", ended.said());
    assert!(!smppost.journal().exists());
    // Nobody listens there: a state, no error.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let service = start(&smppost, port, &[]);
    assert!(smppost.journal().exists());
    assert_eq!(one(&smppost.journal(), "SELECT count(*) FROM campaign"), 0);
    stop(service);
    smppost.run(&["verify"]).assert_code(0);
}

#[test]
fn what_nobody_released_is_listed_and_not_sent() {
    let smppost = Smppost::new();
    let smsc = smsc();
    smppost.file("c.csv", rows(3));
    smppost.run(&["import", "c.csv", "--from", "Test"]).assert_code(0);
    let mut service = start(&smppost, smsc.port(), &[]);
    service.wait_for_words("campaign c: not released");
    service.wait_for_words("`smppost resume c");
    // Imported beside it, neither.
    smppost.file("d.csv", rows(2));
    smppost.run(&["import", "d.csv", "--from", "Test"]).assert_code(0);
    service.wait_for_words("bound to");
    std::thread::sleep(Duration::from_millis(1_200));
    stop(service);
    assert_eq!(states(&smppost.journal(), "c"), expected([("queued", 3)]));
    assert_eq!(states(&smppost.journal(), "d"), expected([("queued", 2)]));
    assert!(smsc.finish().submits.is_empty());
}

#[test]
fn it_ends_in_order_and_goes_on_with_what_was_released_when_it_is_started_again() {
    let smppost = Smppost::new();
    let smsc = smsc();
    smppost.file("c.csv", rows(300));
    let service = start(&smppost, smsc.port(), &["--rate", "100"]);
    smppost.run(&["send", "c.csv", "--from", "Test", "--detach"]).assert_code(0);
    wait_until(&smppost, super::TAKEN, |taken| taken >= 20);
    stop(service);
    assert_eq!(one(&smppost.journal(), "SELECT in_doubt + sending FROM campaign_summary"), 0);
    assert!(one(&smppost.journal(), "SELECT queued FROM campaign_summary") > 0);
    let service = start(&smppost, smsc.port(), &[]);
    wait_until(&smppost, "SELECT delivered FROM campaign_summary", |delivered| delivered == 300);
    stop(service);
    let report = smsc.finish();
    report.assert_clean();
    assert_agree(&smppost.journal(), &report.submits, Leeway::default());
    smppost.run(&["verify"]).assert_code(0);
}

#[test]
fn systemd_hears_that_it_is_ready_before_anything_is_bound() {
    let smppost = Smppost::new();
    let path = smppost.path("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(crate::common::PATIENCE)).unwrap();
    let service = start_with(&smppost, 1, &[], &[("NOTIFY_SOCKET", path.to_str().unwrap())]);
    let mut octets = [0; 512];
    let length = socket.recv(&mut octets).unwrap();
    assert_eq!(std::str::from_utf8(&octets[..length]).unwrap(), "READY=1");
    stop(service);
}

#[test]
fn a_second_service_and_a_listener_are_told_who_holds_the_journal() {
    let smppost = Smppost::new();
    let smsc = smsc();
    let service = start(&smppost, smsc.port(), &[]);
    let port = smsc.port().to_string();
    for command in ["run", "listen"] {
        let ended = smppost.run(&[&[command], &account(&port)[..]].concat());
        ended.assert_code(75);
        assert!(ended.words().contains("`smppost run`"), "{}", ended.said());
    }
    stop(service);
}

#[test]
fn a_service_waits_for_a_command_that_sends_and_is_no_failure_when_it_is_told_to_end_meanwhile() {
    let smppost = Smppost::new();
    let smsc = smsc();
    smppost.file("a.csv", rows(1));
    smppost.run(&["import", "a.csv", "--from", "Test"]).assert_code(0);
    let mut listener = smppost.spawn(&[&["listen"], &account(&smsc.port().to_string())[..]].concat());
    listener.wait_for_words("bound to");
    for _ in 0..2 {
        let mut service = smppost.spawn(&[&["run"], &account(&smsc.port().to_string())[..]].concat());
        service.wait_for_words("waiting:");
        service.signal("TERM");
        let ended = service.wait();
        ended.assert_code(0);
        assert!(
            ended.words().contains("`smppost listen`") && ended.words().contains("nothing was begun"),
            "{}",
            ended.said()
        );
    }
    let mut service = smppost.spawn(&[&["run"], &account(&smsc.port().to_string())[..]].concat());
    service.wait_for_words("waiting:");
    listener.signal("INT");
    listener.wait().assert_code(0);
    service.wait_for_words("bound to");
    stop(service);
}

#[test]
fn systemd_is_told_how_it_stands_once_a_second_at_most() {
    let smppost = Smppost::new();
    let path = smppost.path("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    let smsc = smsc();
    let service = start_with(&smppost, smsc.port(), &["--rate", "40"], &[("NOTIFY_SOCKET", path.to_str().unwrap())]);
    let begun = std::time::Instant::now();
    smppost.file("c.csv", rows(60));
    smppost.run(&["send", "c.csv", "--from", "Test"]).assert_code(0);
    stop(service);
    let seconds = begun.elapsed().as_secs() as usize;
    socket.set_nonblocking(true).unwrap();
    let (mut octets, mut told) = ([0; 512], Vec::new());
    while let Ok(length) = socket.recv(&mut octets) {
        told.push(String::from_utf8_lossy(&octets[..length]).into_owned());
    }
    let statuses = told.iter().filter(|told| told.starts_with("STATUS=")).count();
    assert!((1..=seconds + 2).contains(&statuses), "{statuses} in {seconds} s: {told:?}");
    assert!(told.iter().any(|told| told.contains("to send")), "{told:?}");
}
