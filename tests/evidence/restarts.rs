//! A service that is restarted again and again while it sends: none twice, none in doubt.
//!
//! `SMPPOST_RESTARTS=50`: as many, and from then on the longest time without a message has to be under 3 s.

use crate::common::{PATIENCE, Running, Smppost, one, rows};
use crate::lab::{Ledger, Simulator, connect, oracle};
use std::time::{Duration, Instant};

/// Messages a second.
const RATE: usize = 500;
/// Restarts from which on times are judged: a few prove nothing, and this machine may be busy.
const MANY: u64 = 50;

fn serve(smppost: &Smppost, port: u16) -> Running {
    let rate = RATE.to_string();
    smppost.spawn(
        &connect("run", port, &["--create", "--rate", &rate, "--window", "50", "--response-timeout", "10s"]).each(),
    )
}

#[test]
fn a_service_that_is_restarted_while_it_sends_doubles_nothing_and_leaves_nothing_in_doubt() {
    let restarts = crate::lab::setting("SMPPOST_RESTARTS", 3);
    let smppost = Smppost::new().deadline(Duration::from_secs(1_200));
    // A restart takes a second or two; between two of them some hundred go.
    let messages = (2_000 + restarts as usize * RATE).min(100_000);
    let simulator = Simulator::start(&smppost.path(""), &["--receipt-delay", "20ms"]);
    let lines: String = (0..messages).map(|row| format!("4477{row:08},Hello number {row}\n")).collect();
    smppost.file("c.csv", format!("to,text\n{lines}"));
    let mut service = serve(&smppost, simulator.port);
    service.wait_for_words("bound to");
    let mut send = smppost.spawn(&["send", "c.csv", "--campaign", "c", "--from", "Test", "--receipts", "all"]);
    let mut ledger = Ledger::default();
    let (mut at, mut longest) = (0, Duration::ZERO);
    for n in 0..restarts {
        at += 300.min((messages - 1_000) / restarts as usize);
        assert!(ledger.wait_for(&simulator.ledger, at, PATIENCE), "{n}: {} {}", ledger.submits.len(), service.stderr());
        // From here on: the last that went before it stopped went later.
        let last = Instant::now();
        service.signal("TERM");
        service.wait().assert_code(0);
        let doubts = one(&smppost.journal(), "SELECT in_doubt + sending FROM campaign_summary");
        assert_eq!(doubts, 0, "restart {n}");
        ledger.read_on(&simulator.ledger);
        at = ledger.submits.len();
        service = serve(&smppost, simulator.port);
        assert!(ledger.wait_for(&simulator.ledger, at + 1, PATIENCE), "{n}: it does not go on: {}", service.stderr());
        longest = longest.max(last.elapsed());
    }
    assert!(send.is_running() || at < messages, "{}", send.stderr());
    send.wait().assert_code(0);
    service.signal("TERM");
    service.wait().assert_code(0);
    println!("{restarts} restarts under {RATE}/s, {messages} messages: {longest:?} without one at the longest");
    let ledger = simulator.read();
    assert_eq!(ledger.submits.len(), messages, "as many as there are, and none twice");
    oracle::assert_kept("restarted", &smppost.journal(), &ledger);
    assert_eq!(one(&smppost.journal(), "SELECT delivered FROM campaign_summary"), messages as i64);
    crate::lab::verify(&smppost);
    if restarts >= MANY {
        assert!(longest < Duration::from_secs(3), "{longest:?}");
    }
}

/// An SMSC that answers nothing any more is not waited for by a second SIGTERM.
#[test]
fn a_second_sigterm_ends_it_at_once() {
    let smppost = Smppost::new();
    let simulator = Simulator::start(&smppost.path(""), &[]);
    smppost.file("c.csv", rows(5_000));
    let mut service = smppost
        .spawn(&connect("run", simulator.port, &["--create", "--rate", "100", "--response-timeout", "10m"]).each());
    service.wait_for_words("bound to");
    smppost.run(&["send", "c.csv", "--from", "Test", "--detach"]).assert_code(0);
    let mut ledger = Ledger::default();
    assert!(ledger.wait_for(&simulator.ledger, 20, PATIENCE), "{}", service.stderr());
    simulator.signal("STOP");
    std::thread::sleep(Duration::from_millis(200));
    service.signal("TERM");
    service.wait_for_words("waiting for the answers");
    std::thread::sleep(Duration::from_millis(300));
    assert!(service.is_running(), "it waits for answers");
    service.signal("TERM");
    // Not ten minutes.
    let ended = service.wait_at_most(PATIENCE);
    assert_eq!(ended.code, Some(130), "{}", ended.said());
    simulator.signal("CONT");
    // What had no answer is in doubt, and nothing else.
    let mut service = smppost.spawn(&connect("run", simulator.port, &["--create", "--rate", "unlimited"]).each());
    let until = Instant::now() + PATIENCE;
    let left = || one(&smppost.journal(), "SELECT queued + sending FROM campaign_summary");
    while left() > 0 && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(left() == 0 && service.is_running(), "{}", service.stderr());
    service.signal("TERM");
    service.wait().assert_code(0);
    oracle::assert_kept("ended at once", &smppost.journal(), &simulator.read());
    assert!(one(&smppost.journal(), "SELECT in_doubt FROM campaign_summary") <= 10, "a window");
}
