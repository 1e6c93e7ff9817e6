//! Outputs that block, are full or closed: nothing that shows holds anything up.

use crate::common::independent_smsc::{IndependentSmsc, Settings};
use crate::common::{Smppost, one, open, rows, states};
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

/// A file that stderr may be, and what is to be kept of it as long as the program runs.
type Output = (Stdio, Option<OwnedFd>);

/// A pipe that is full, and that nobody reads.
fn full_pipe() -> Output {
    let (reading, writing) = std::io::pipe().unwrap();
    let writing = OwnedFd::from(writing);
    let flags = rustix::fs::fcntl_getfl(&writing).unwrap();
    rustix::fs::fcntl_setfl(&writing, flags | rustix::fs::OFlags::NONBLOCK).unwrap();
    while rustix::io::write(&writing, &[b'.'; 4_096]).is_ok() {}
    rustix::fs::fcntl_setfl(&writing, flags).unwrap();
    (Stdio::from(writing), Some(reading.into()))
}

fn broken_pipe() -> Output {
    (Stdio::from(OwnedFd::from(std::io::pipe().unwrap().1)), None)
}

fn full_device() -> Output {
    (Stdio::from(File::options().write(true).open("/dev/full").unwrap()), None)
}

fn later(seconds: u64) -> (String, SystemTime) {
    let moment = SystemTime::now() + Duration::from_secs(seconds);
    let since = moment.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    // In whole seconds, so that the moment is the one that is typed.
    let typed = jiff::Timestamp::from_second(since as i64).unwrap().to_string();
    (typed, SystemTime::UNIX_EPOCH + Duration::from_secs(since))
}

fn program(smppost: &Smppost, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_smppost"));
    command
        .args(arguments)
        .current_dir(smppost.path(""))
        .env("SMPPOST_JOURNAL", smppost.journal())
        .env("HOME", smppost.path(""))
        .env("SMPPOST_PASSWORD", "secret")
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command
}

/// Fails when the SMSC got anything later than a moment after `stop`.
#[track_caller]
fn assert_none_after(smsc: &IndependentSmsc, started: (Instant, SystemTime), stop: SystemTime) {
    let ledger = smsc.ledger();
    assert!(!ledger.is_empty(), "nothing was sent at all");
    let stop = started.0 + stop.duration_since(started.1).unwrap_or_default();
    let late = ledger.iter().filter(|submit| submit.at > stop + Duration::from_millis(400)).count();
    assert_eq!(late, 0, "{late} of {} came after the stop", ledger.len());
}

#[test]
fn the_moment_to_stop_holds_whatever_becomes_of_stderr() {
    for (name, output) in [
        ("a full pipe that nobody reads", full_pipe as fn() -> Output),
        ("a broken pipe", broken_pipe),
        ("/dev/full", full_device),
    ] {
        let smppost = Smppost::new();
        let smsc = IndependentSmsc::start(Settings::default());
        smppost.file("c.csv", rows(5_000));
        let started = (Instant::now(), SystemTime::now());
        let (typed, stop) = later(4);
        let port = smsc.port().to_string();
        let arguments = smppost.send_arguments("c.csv", &port, &["--rate", "50", "--stop-at", &typed]);
        let (stderr, kept) = output();
        let mut child = program(&smppost, &arguments).env("RUST_LOG", "debug").stderr(stderr).spawn().unwrap();
        let status = child.wait().unwrap();
        let took = started.0.elapsed();
        drop(kept);
        assert_eq!(status.code(), Some(130), "{name}");
        assert!(took < Duration::from_secs(9), "{name}: {took:?}");
        assert_none_after(&smsc, started, stop);
    }
}

#[test]
fn a_terminal_stopped_with_ctrl_s_stops_neither_the_moment_to_stop_nor_the_end() {
    let smppost = Smppost::new();
    let smsc = IndependentSmsc::start(Settings::default());
    smppost.file("c.csv", rows(5_000));
    let started = (Instant::now(), SystemTime::now());
    let (typed, stop) = later(5);
    let port = smsc.port().to_string();
    let more = ["--rate", "50", "--stop-at", &typed, "--yes"];
    let arguments = smppost.send_arguments("c.csv", &port, yes(&more));
    let terminal = smppost.at_terminal(&arguments);
    terminal.wait_for("bound to");
    terminal.type_in("\x13");
    let (code, _) = terminal.wait();
    assert_eq!(code, Some(130));
    assert!(started.0.elapsed() < Duration::from_secs(10), "{:?}", started.0.elapsed());
    assert_none_after(&smsc, started, stop);
}

/// `--yes` is only there where `send` asks.
fn yes<'a>(more: &'a [&'a str]) -> &'a [&'a str] {
    let help = Command::new(env!("CARGO_BIN_EXE_smppost")).args(["send", "--help"]).output().unwrap();
    if String::from_utf8_lossy(&help.stdout).contains("--yes") { more } else { &more[..more.len() - 1] }
}

#[test]
fn a_stopped_terminal_keeps_sigterm_from_nothing_and_tells_what_it_missed() {
    let smppost = Smppost::new();
    let smsc = IndependentSmsc::start(Settings::default());
    smppost.file("c.csv", rows(3_000));
    let port = smsc.port().to_string();
    let more = ["--rate", "50", "--yes"];
    let arguments = smppost.send_arguments("c.csv", &port, yes(&more));
    let terminal = smppost.at_terminal(&arguments);
    terminal.wait_for("bound to");
    terminal.type_in("\x13");
    std::thread::sleep(Duration::from_millis(700));
    let before = Instant::now();
    signal(terminal.id(), "TERM");
    let (code, _) = terminal.wait();
    assert_eq!(code, Some(130));
    assert!(before.elapsed() < Duration::from_secs(4), "{:?}", before.elapsed());
    let sent = smsc.ledger().len();
    assert!(sent < 400, "{sent} were sent");
    assert_eq!(states(&smppost.journal(), "c").get("in_doubt"), None);
}

fn signal(id: u32, name: &str) {
    assert!(Command::new("kill").args([format!("-{name}"), id.to_string()]).status().unwrap().success());
}

#[test]
fn a_report_waits_for_its_reader_whole_beside_a_sender_that_does_not_notice() {
    let smppost = Smppost::new();
    let smsc = IndependentSmsc::start(Settings::default());
    smppost.send(&rows(3_000), smsc.port(), &["--receipts", "none"]).assert_code(0);
    let (mut reading, writing) = std::io::pipe().unwrap();
    let mut report = program(&smppost, &["report", "c", "--messages", "--format", "csv"])
        .stdout(OwnedFd::from(writing))
        .spawn()
        .unwrap();
    // As much as the pipe holds is written, and no more.
    std::thread::sleep(Duration::from_millis(800));
    assert!(report.try_wait().unwrap().is_none(), "it did not wait");
    smppost.file("d.csv", rows(500));
    let port = smsc.port().to_string();
    let sent = smppost.run(&smppost.send_arguments("d.csv", &port, &["--campaign", "d", "--receipts", "none"]));
    sent.assert_code(0);
    assert!(sent.took < Duration::from_secs(20), "{:?}", sent.took);
    let mut all = String::new();
    reading.read_to_string(&mut all).unwrap();
    assert!(report.wait().unwrap().success());
    assert_eq!(all.lines().count(), 3_001, "a header and each message");
    // A reader that goes away ends it quietly.
    let (reading, writing) = std::io::pipe().unwrap();
    drop(reading);
    let report = program(&smppost, &["report", "c", "--messages", "--format", "csv"])
        .stdout(OwnedFd::from(writing))
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!((report.status.code(), report.stderr.len()), (Some(0), 0));
    assert_eq!(open(&smppost.journal()).query_row("PRAGMA quick_check", [], |row| row.get(0)), Ok("ok".to_owned()));
}

#[test]
fn the_simulator_ends_though_nobody_reads_its_output() {
    for name in ["TERM", "HUP", "INT"] {
        let smppost = Smppost::new();
        let (stdout, kept) = full_pipe();
        let (stderr, kept_too) = full_pipe();
        let mut child = program(&smppost, &["smsc", "--port", "0"]).stdout(stdout).stderr(stderr).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(500));
        let before = Instant::now();
        signal(child.id(), name);
        assert_eq!(child.wait().unwrap().code(), Some(0), "{name}");
        assert!(before.elapsed() < Duration::from_secs(3), "{name}: {:?}", before.elapsed());
        drop((kept, kept_too));
    }
}

#[test]
fn a_slow_reader_gets_all_words_and_log_lines() {
    let smppost = Smppost::new();
    let smsc = IndependentSmsc::start(Settings::default());
    smppost.file("c.csv", rows(20));
    let port = smsc.port().to_string();
    let (mut reading, writing) = std::io::pipe().unwrap();
    let mut child = program(&smppost, &smppost.send_arguments("c.csv", &port, &["--receipts", "none"]))
        .stderr(OwnedFd::from(writing))
        .spawn()
        .unwrap();
    let (mut all, mut some) = (Vec::new(), [0; 7]);
    loop {
        match reading.read(&mut some).unwrap() {
            0 => break,
            count => all.extend_from_slice(&some[..count]),
        }
        std::thread::sleep(Duration::from_micros(500));
    }
    assert!(child.wait().unwrap().success());
    let all = String::from_utf8(all).unwrap();
    assert!(all.contains("bound to") && all.contains("Journal: ") && !all.contains("could not be shown"), "{all}");
}

#[test]
fn a_query_whose_output_nobody_reads_keeps_no_sender_out() {
    let smppost = Smppost::new();
    let smsc = IndependentSmsc::start(Settings::default());
    smppost.send(&rows(3), smsc.port(), &["--receipts", "none"]).assert_code(0);
    let port = smsc.port().to_string();
    let account = ["--host", "127.0.0.1", "--port", &port, "--system-id", "test"];
    let (stdout, kept) = full_pipe();
    let query = [&["query", "c", "--line", "2", "--response-timeout", "1s"][..], &account].concat();
    let mut query = program(&smppost, &query).stdout(stdout).spawn().unwrap();
    let until = Instant::now() + Duration::from_secs(10);
    let asked = "SELECT count(*) FROM operation_log WHERE answered_at IS NOT NULL";
    while one(&smppost.journal(), asked) == 0 && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(50));
    }
    std::thread::sleep(Duration::from_millis(1_500));
    assert!(query.try_wait().unwrap().is_none(), "it did not wait for its reader");
    smppost.run(&[&["resume", "c"][..], &account].concat()).assert_code(0);
    drop(kept);
    query.wait().unwrap();
}
