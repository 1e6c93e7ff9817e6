//! What a start makes of what a dead run left, and that there is only one sender at a time.

use crate::common::{Smppost, one, rows};
use crate::lab::{Ledger, Simulator, oracle};
use std::time::{Duration, Instant};

const MESSAGES: usize = 3_000;
const WINDOW: usize = 10;

/// A run that was killed with a full window and much claimed ahead of it, as it is where answers come fast, until none came
/// any more. Returns how much was claimed and how much of that answered.
fn killed_far_ahead() -> (Smppost, Simulator, i64, i64) {
    let smppost = Smppost::new();
    let simulator = Simulator::start(&smppost.path(""), &["--receipt-delay", "1h"]);
    smppost.file("c.csv", rows(20 * MESSAGES));
    let more = ["--rate", "unlimited", "--window", "10"];
    let run = smppost.spawn(&crate::lab::send(simulator.port, &more).each());
    let mut ledger = Ledger::default();
    assert!(ledger.wait_for(&simulator.ledger, 2 * MESSAGES, crate::common::PATIENCE), "{}", run.stderr());
    simulator.signal("STOP");
    // All that was answered is in the journal when nothing more comes there.
    let answers = || one(&smppost.journal(), "SELECT count(*) FROM answer");
    let (mut before, until) = (-1, Instant::now() + crate::common::PATIENCE);
    while before != answers() && Instant::now() < until {
        before = answers();
        std::thread::sleep(Duration::from_secs(1));
    }
    run.kill();
    simulator.signal("CONT");
    let claimed = one(&smppost.journal(), "SELECT sum(parts) FROM claim");
    let answered = one(&smppost.journal(), "SELECT count(*) FROM answer");
    assert!(claimed - answered > 30 * WINDOW as i64, "{claimed} claimed, {answered} answered: not far ahead");
    // What it finds in its socket when it goes on is in its ledger, too.
    let all = answered as usize + WINDOW;
    ledger.wait_for(&simulator.ledger, all, Duration::from_secs(10));
    assert!((all - WINDOW..=all).contains(&ledger.submits.len()), "{answered} answered, {}", ledger.submits.len());
    (smppost, simulator, claimed, answered)
}

fn in_doubt(smppost: &Smppost) -> i64 {
    one(&smppost.journal(), "SELECT count(*) FROM message_status WHERE state = 'in_doubt'")
}

#[test]
fn f46_only_what_was_handed_to_the_socket_is_in_doubt() {
    let (smppost, simulator, claimed, answered) = killed_far_ahead();
    crate::lab::settle(&smppost, simulator.port);
    println!("{} claimed and not answered, {} of them in doubt after kill -9", claimed - answered, in_doubt(&smppost));
    assert_eq!(in_doubt(&smppost), WINDOW as i64);
    crate::lab::verify(&smppost);
    let ledger = simulator.read();
    oracle::assert_kept("killed far ahead", &smppost.journal(), &ledger);
}

#[test]
fn f46_after_a_reboot_all_that_was_claimed_is_in_doubt() {
    let (smppost, simulator, claimed, answered) = killed_far_ahead();
    let connection = rusqlite::Connection::open(smppost.journal()).unwrap();
    connection.execute("UPDATE session SET boot_id = 'another'", []).unwrap();
    drop(connection);
    crate::lab::settle(&smppost, simulator.port);
    println!("{} claimed and not answered, {} of them in doubt after a reboot", claimed - answered, in_doubt(&smppost));
    assert_eq!(in_doubt(&smppost), claimed - answered);
    crate::lab::verify(&smppost);
    oracle::assert_kept("a reboot", &smppost.journal(), &simulator.read());
}

#[test]
fn f46_without_its_mark_all_that_was_claimed_is_in_doubt() {
    let (smppost, simulator, claimed, answered) = killed_far_ahead();
    std::fs::remove_file(smppost.path("journal.db-marks")).unwrap();
    crate::lab::settle(&smppost, simulator.port);
    assert_eq!(in_doubt(&smppost), claimed - answered);
    crate::lab::verify(&smppost);
}

/// A run that was killed while another process kept the journal to itself: what was claimed is sent and answered, and none
/// of these answers is committed. Returns how many messages the simulator got, and how many answers the journal has.
fn killed_while_nothing_could_be_committed() -> (Smppost, Simulator, i64, i64) {
    let smppost = Smppost::new();
    let simulator = Simulator::start(&smppost.path(""), &["--receipt-delay", "1h"]);
    smppost.file("c.csv", rows(20 * MESSAGES));
    let run = smppost.spawn(&crate::lab::send(simulator.port, &["--rate", "4000", "--window", "10"]).each());
    let mut ledger = Ledger::default();
    assert!(ledger.wait_for(&simulator.ledger, 500, crate::common::PATIENCE), "{}", run.stderr());
    let other = rusqlite::Connection::open(smppost.journal()).unwrap();
    other.busy_timeout(Duration::from_secs(20)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    // Until nothing more comes, and that has had time to be read.
    let mut got = 0;
    while ledger.wait_for(&simulator.ledger, got + 1, Duration::from_secs(3)) {
        got = ledger.submits.len();
    }
    assert!(got < 20 * MESSAGES, "it was through before the journal was held");
    run.kill();
    drop(other);
    let answers = one(&smppost.journal(), "SELECT count(*) FROM answer");
    let got = got as i64;
    assert!(got - answers > 10 * WINDOW as i64, "{got} received, {answers} answers committed: nearly all of them");
    (smppost, simulator, got, answers)
}

#[test]
fn f46_what_was_answered_and_not_committed_is_no_doubt() {
    let (smppost, simulator, got, before) = killed_while_nothing_could_be_committed();
    let settled = crate::lab::settle(&smppost, simulator.port);
    let after = one(&smppost.journal(), "SELECT count(*) FROM answer");
    println!("{got} received, {before} answers committed, {after} after a start, {} in doubt", in_doubt(&smppost));
    assert!(in_doubt(&smppost) <= WINDOW as i64, "{}", settled.said());
    assert_eq!(after + in_doubt(&smppost), got);
    crate::lab::verify(&smppost);
    oracle::assert_kept("answers that were noted", &smppost.journal(), &simulator.read());
}

#[test]
fn f46_after_a_reboot_or_without_its_file_no_note_is_believed() {
    type Harm = fn(&Smppost);
    let harms: [(&str, Harm); 2] = [
        ("a reboot", |smppost| {
            let connection = rusqlite::Connection::open(smppost.journal()).unwrap();
            connection.execute("UPDATE session SET boot_id = 'another'", []).unwrap();
        }),
        ("no file", |smppost| std::fs::remove_file(smppost.path("journal.db-answers")).unwrap()),
    ];
    for (what, harm) in harms {
        let (smppost, simulator, got, before) = killed_while_nothing_could_be_committed();
        harm(&smppost);
        crate::lab::settle(&smppost, simulator.port);
        assert_eq!(one(&smppost.journal(), "SELECT count(*) FROM answer"), before, "{what}");
        assert!(in_doubt(&smppost) + before >= got, "{what}");
        crate::lab::verify(&smppost);
        oracle::assert_kept(what, &smppost.journal(), &simulator.read());
    }
}

#[test]
fn f44_of_many_that_start_at_once_one_sends_and_the_others_never_connect() {
    let starts = crate::lab::setting("SMPPOST_STARTS", 200) as usize;
    let smppost = Smppost::new().deadline(Duration::from_secs(120));
    let simulator = Simulator::start(&smppost.path(""), &["--fault", "slow-answers=200ms"]);
    smppost.file("c.csv", rows(300));
    let arguments = crate::lab::send(simulator.port, &["--rate", "unlimited", "--window", "10"]);
    let runs: Vec<_> = (0..starts).map(|_| smppost.spawn(&arguments.each())).collect();
    let codes: Vec<Option<i32>> = runs.into_iter().map(|run| run.wait().code).collect();
    let count = |code| codes.iter().filter(|found| **found == Some(code)).count();
    let ledger = simulator.read();
    println!("{starts} starts: {} sent, {} ended with 75, {} binds", count(0), count(75), ledger.binds);
    assert_eq!((count(0), count(75), ledger.binds), (1, starts - 1, 1), "{codes:?}");
    crate::lab::verify(&smppost);
    oracle::assert_kept("many starts", &smppost.journal(), &ledger);
    assert_eq!(ledger.submits.len(), 300);
}
