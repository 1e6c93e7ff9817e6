//! One journal, one sender, whatever becomes of the files' names: links, side files that are removed, and a process that
//! keeps the journal to itself.

use crate::common::{Running, Smppost, one, rows};
use crate::lab::{Ledger, Simulator};
use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

const MESSAGES: usize = 400;

/// A run that has sent some and goes on for seconds.
fn under_way() -> (Smppost, Simulator, Running) {
    let smppost = Smppost::new();
    let simulator = Simulator::start(&smppost.path(""), &[]);
    smppost.file("c.csv", rows(MESSAGES));
    smppost.run(&["import", "c.csv", "--campaign", "c", "--from", "Test"]).assert_code(0);
    let run = resume(&smppost, &simulator, &["--rate", "100"]);
    sent(&simulator, 20);
    (smppost, simulator, run)
}

fn resume(smppost: &Smppost, simulator: &Simulator, more: &[&str]) -> Running {
    let waits = ["--wait-receipts", "200ms"];
    smppost.spawn(&crate::lab::connect("resume", simulator.port, &waits).with(more).each())
}

fn sent(simulator: &Simulator, messages: usize) {
    assert!(Ledger::default().wait_for(&simulator.ledger, messages, crate::common::PATIENCE));
}

/// The submits that came, and how many of them were for a number that had come before.
fn came(simulator: &Simulator) -> (usize, usize) {
    let ledger = simulator.read();
    let different: HashSet<_> = ledger.submits.iter().map(|submit| submit.destination.clone()).collect();
    (ledger.submits.len(), ledger.submits.len() - different.len())
}

fn named(path: PathBuf) -> String {
    path.into_os_string().into_string().unwrap()
}

#[test]
fn a_second_sender_is_refused_by_whatever_name_it_has_the_journal() {
    let (smppost, simulator, run) = under_way();
    std::os::unix::fs::symlink("journal.db", smppost.path("link.db")).unwrap();
    std::os::unix::fs::symlink(smppost.path(""), smppost.path("folder")).unwrap();
    fs::hard_link(smppost.journal(), smppost.path("hard.db")).unwrap();
    for name in ["link.db", "folder/journal.db", "hard.db"] {
        let journal = named(smppost.path(name));
        let second = resume(&smppost, &simulator, &["--journal", &journal]).wait();
        second.assert_code(75);
        assert!(second.stderr.contains(name), "{}", second.said());
    }
    run.wait().assert_code(0);
    // Nobody sends any more; but under two names there would be two files of what is newest.
    for name in ["hard.db", "journal.db"] {
        let journal = named(smppost.path(name));
        let linked = resume(&smppost, &simulator, &["--journal", &journal]).wait();
        linked.assert_code(1);
        assert!(linked.stderr.contains("hard link"), "{}", linked.said());
    }
    fs::remove_file(smppost.path("hard.db")).unwrap();
    smppost.run(&["--journal", &named(smppost.path("link.db")), "report", "c"]).assert_code(0);
    crate::lab::verify(&smppost);
    assert_eq!(came(&simulator), (MESSAGES, 0));
}

#[test]
fn a_second_sender_is_refused_when_the_lock_file_is_gone() {
    let (smppost, simulator, run) = under_way();
    fs::remove_file(smppost.path("journal.db-lock")).unwrap();
    // It waits a moment for one that only looks: where the first has seen by then that its lock is gone, and has stopped, it goes on.
    let second = resume(&smppost, &simulator, &[]).wait();
    let is_refused = second.code == Some(75);
    assert!(is_refused || second.code == Some(0), "{}", second.said());
    let stopped = run.wait();
    stopped.assert_code(1);
    assert!(stopped.stderr.contains("journal.db-lock"), "{}", stopped.said());
    resume(&smppost, &simulator, &[]).wait().assert_code(0);
    crate::lab::verify(&smppost);
    assert_eq!(came(&simulator), (MESSAGES, 0));
}

#[test]
fn a_sender_whose_wal_is_removed_stops_and_nothing_goes_twice() {
    let (smppost, simulator, run) = under_way();
    fs::remove_file(smppost.path("journal.db-wal")).unwrap();
    let stopped = run.wait_at_most(Duration::from_secs(15));
    stopped.assert_code(1);
    assert!(stopped.stderr.contains("journal.db-wal"), "{}", stopped.said());
    resume(&smppost, &simulator, &[]).wait();
    crate::lab::verify(&smppost);
    assert_eq!(came(&simulator).1, 0);
}

#[test]
fn a_journal_that_lost_its_wal_is_not_sent_from() {
    let (smppost, simulator, run) = under_way();
    run.kill();
    let wal = smppost.path("journal.db-wal");
    fs::rename(&wal, smppost.path("kept")).unwrap();
    let before = came(&simulator).0;
    let refused = resume(&smppost, &simulator, &[]).wait();
    refused.assert_code(1);
    assert!(refused.stderr.contains("journal.db-wal was removed"), "{}", refused.said());
    assert_eq!(came(&simulator).0, before);
    // Put back, it is as if nothing had been.
    fs::rename(smppost.path("kept"), &wal).unwrap();
    resume(&smppost, &simulator, &[]).wait();
    crate::lab::verify(&smppost);
    assert_eq!(came(&simulator).1, 0);
    assert_eq!(one(&smppost.journal(), "SELECT count(*) FROM message_status WHERE state = 'queued'"), 0);
}

#[test]
fn a_sender_waits_for_an_import_that_was_stopped() {
    let (smppost, simulator, run) = under_way();
    let other = rusqlite::Connection::open(smppost.journal()).unwrap();
    other.busy_timeout(Duration::from_secs(10)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let words = format!("process {}", std::process::id());
    // It is said when SQLite gives up waiting.
    let until = std::time::Instant::now() + Duration::from_secs(120);
    while !run.stderr().contains(&words) {
        assert!(std::time::Instant::now() < until, "{}", run.stderr());
        std::thread::sleep(Duration::from_millis(100));
    }
    drop(other);
    run.wait();
    resume(&smppost, &simulator, &[]).wait();
    crate::lab::verify(&smppost);
    assert_eq!(came(&simulator).1, 0);
}

#[test]
fn a_new_journal_takes_the_place_of_one_that_was_deleted() {
    let smppost = Smppost::new();
    let simulator = Simulator::start(&smppost.path(""), &[]);
    smppost.file("c.csv", rows(50));
    for _ in 0..2 {
        smppost.spawn(&crate::lab::send(simulator.port, &["--rate", "unlimited"]).each()).wait().assert_code(0);
        fs::remove_file(smppost.journal()).unwrap();
    }
}

#[test]
fn an_older_copy_in_the_place_of_the_journal_is_not_sent_from() {
    let (smppost, simulator, run) = under_way();
    run.signal("INT");
    run.wait().assert_code(130);
    fs::copy(smppost.journal(), smppost.path("copy.db")).unwrap();
    let again = resume(&smppost, &simulator, &["--rate", "100"]);
    sent(&simulator, came(&simulator).0 + 20);
    again.signal("INT");
    again.wait().assert_code(130);
    let before = came(&simulator).0;
    fs::rename(smppost.journal(), smppost.path("kept")).unwrap();
    fs::rename(smppost.path("copy.db"), smppost.journal()).unwrap();
    // Nor is it after it was refused once.
    for _ in 0..2 {
        let refused = resume(&smppost, &simulator, &[]).wait();
        refused.assert_code(1);
        assert!(refused.stderr.contains("is a copy"), "{}", refused.said());
    }
    assert_eq!(came(&simulator).0, before);
    fs::rename(smppost.path("kept"), smppost.journal()).unwrap();
    resume(&smppost, &simulator, &[]).wait().assert_code(0);
    crate::lab::verify(&smppost);
    assert_eq!(came(&simulator), (MESSAGES, 0));
}
