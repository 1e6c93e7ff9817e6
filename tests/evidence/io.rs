//! A disk of which any call fails: each write, sync, truncation, opening, read and removal of the journal and of the files
//! beside it, once or from then on, at import, at sending and at going on after a death. The run ends, in words; then the
//! disk is repaired, the run is resumed, and the promises must hold.
//!
//! `SMPPOST_IO=all cargo test --test evidence io:: -- --nocapture` goes through every call, in hours; `SMPPOST_IO=sync,open`
//! through every call of those kinds; the plain run takes a sample.

use crate::common::{Ended, Smppost, one, rows};
use crate::lab::fault::{Error, Fault, Shim};
use crate::lab::{Simulator, oracle};
use std::time::Duration;

const MESSAGES: usize = 200;
const CALLS: [&str; 6] = ["write", "sync", "truncate", "open", "read", "unlink"];
const OPTIONS: [&str; 6] = ["--rate", "1000", "--window", "10", "--wait-receipts", "3s"];

/// When the disk fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Import,
    Send,
    /// Going on after a death in the middle of sending.
    Resume,
}

/// A journal that has come as far as the phase, and a simulator for it.
fn before(phase: Phase, shim: &Shim) -> (Smppost, Simulator) {
    let smppost = Smppost::new().deadline(Duration::from_secs(120));
    let simulator = Simulator::start(&smppost.path(""), &["--receipt-delay", "10ms", "--response-timeout", "1s"]);
    smppost.file("c.csv", rows(MESSAGES));
    if phase != Phase::Import {
        smppost.run(&["import", "c.csv", "--campaign", "c", "--from", "Test", "--receipts", "all"]).assert_code(0);
    }
    if phase == Phase::Resume {
        // 64 writes make the reserve; some tens of commits come after them.
        let death = Fault { call: "write", error: Error::Killed, at: 120, times: 1 };
        let died = run(&smppost, shim, &sending(simulator.port), Some(death));
        assert_eq!(died.code, None, "{}", died.said());
    }
    (smppost, simulator)
}

fn sending(port: u16) -> crate::lab::Arguments {
    crate::lab::send(port, &OPTIONS)
}

fn run(smppost: &Smppost, shim: &Shim, arguments: &crate::lab::Arguments, fault: Option<Fault>) -> Ended {
    let environment = fault.map(|fault| shim.failing(&smppost.journal(), fault)).unwrap_or_default();
    let environment: Vec<_> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    smppost.run_with(&arguments.each(), &environment)
}

/// One run with this fault, and one without. `None`: there are not so many calls.
fn check(shim: &Shim, phase: Phase, fault: Fault) -> Option<String> {
    let (smppost, simulator) = before(phase, shim);
    let what = format!("{phase:?} {fault:?}");
    let arguments = sending(simulator.port);
    let failed = run(&smppost, shim, &arguments, Some(fault));
    let fired = shim.fired(&smppost.journal())?;
    let what = format!("{what}, at {fired}");
    in_words(&what, fault, &failed);
    let resumed = smppost.run(&arguments.each());
    assert!(matches!(resumed.code, Some(0 | 3)), "{what}, resumed: {}", resumed.said());
    crate::lab::verify(&smppost);
    oracle::assert_kept(&what, &smppost.journal(), &simulator.read());
    let count = |states: &str| {
        one(&smppost.journal(), &format!("SELECT count(*) FROM message_status WHERE state IN ({states})"))
    };
    let (delivered, in_doubt) = (count("'delivered'"), count("'in_doubt'"));
    assert_eq!(delivered + in_doubt, MESSAGES as i64, "{what}\n{}", resumed.said());
    let file = fired.rsplit_once("journal.db").map_or("", |(_, suffix)| suffix);
    let Fault { call, error, at, times } = fault;
    let code = failed.code.map_or_else(|| "-".to_owned(), |code| code.to_string());
    let kind = if times == 1 { "once" } else { "on" };
    Some(format!("{phase:?} {call} {error:?} {kind} {at} {file:?}: exit {code}, {in_doubt} in doubt"))
}

/// The run ended as it should: what is wrong, where, and what to do.
fn in_words(what: &str, fault: Fault, failed: &Ended) {
    let said = failed.said();
    if fault.error == Error::Killed {
        assert_eq!(failed.code, None, "{what}\n{said}");
        return;
    }
    assert!(matches!(failed.code, Some(0 | 1 | 3)), "{what}\n{said}");
    for word in ["panicked", "this is a bug", "contradicts itself"] {
        assert!(!failed.stderr.contains(word), "{what}\n{said}");
    }
    if failed.code == Some(1) {
        let (place, cure) = ("journal.db", ["again", "smppost resume", "check ", "To recover"]);
        let told = failed.stderr.contains(place) && cure.iter().any(|cure| failed.stderr.contains(cure));
        assert!(told, "{what}: no words\n{said}");
    }
}

/// How many calls of that kind an unbroken run makes in that phase.
fn calls(shim: &Shim, phase: Phase, call: &'static str) -> u64 {
    let (smppost, simulator) = before(phase, shim);
    let never = Fault { call, error: Error::Io, at: 0, times: 1 };
    let ended = run(&smppost, shim, &sending(simulator.port), Some(never));
    assert!(matches!(ended.code, Some(0 | 3)), "{}", ended.said());
    shim.counted(&smppost.journal())
}

fn all(phase: Phase) {
    let Some(shim) = Shim::make() else { return };
    let wanted = std::env::var("SMPPOST_IO").unwrap_or_default();
    let mut random = fastrand::Rng::with_seed(crate::lab::seed("failing disks"));
    for call in CALLS {
        if wanted == "all" || wanted.split(',').any(|each| each == call) {
            for (error, times) in [(Error::Io, 1), (Error::Io, 1 << 30), (Error::Full, 1 << 30), (Error::Killed, 1)] {
                // Runs differ in how their commits group; far behind the last call none fires.
                let mut silent = 0;
                for at in 1.. {
                    match check(&shim, phase, Fault { call, error, at, times }) {
                        Some(line) => println!("{line}"),
                        None => silent += 1,
                    }
                    if silent > 5 {
                        break;
                    }
                }
            }
        } else if wanted.is_empty() {
            let most = calls(&shim, phase, call);
            for _ in 0..crate::lab::setting("SMPPOST_IO_SAMPLE", 1) {
                let error = [Error::Io, Error::Io, Error::Full, Error::Killed][random.usize(..4)];
                let times = if random.bool() { 1 } else { 1 << 30 };
                let fault = Fault { call, error, at: random.u64(1..=most), times };
                match check(&shim, phase, fault) {
                    Some(line) => println!("{line}"),
                    None => println!("{phase:?} {fault:?}: this run made fewer calls"),
                }
            }
        }
    }
}

#[test]
fn f41_a_failing_disk_at_import() {
    all(Phase::Import);
}

#[test]
fn f41_a_failing_disk_at_sending() {
    all(Phase::Send);
}

#[test]
fn f41_a_failing_disk_at_going_on() {
    all(Phase::Resume);
}

#[test]
fn f48_a_clock_that_is_set_moves_no_timer() {
    let Some(shim) = Shim::make() else { return };
    let smppost = Smppost::new();
    // Every tenth is to be tried again in a second.
    let simulator = Simulator::start(&smppost.path(""), &["--receipt-delay", "10ms", "--fault", "error=0x64:10"]);
    smppost.file("c.csv", rows(MESSAGES));
    let off = smppost.file("off", "0");
    let environment = shim.clock(&off);
    let environment: Vec<_> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let arguments = crate::lab::send(simulator.port, &["--rate", "100", "--window", "10", "--wait-receipts", "5s"]);
    let run = smppost.spawn_with(&arguments.each(), &environment);
    let mut ledger = crate::lab::Ledger::default();
    for (submits, seconds) in [(40, "3600"), (80, "-7200"), (120, "86400"), (160, "-86400")] {
        assert!(ledger.wait_for(&simulator.ledger, submits, Duration::from_secs(30)), "{}", run.stderr());
        std::fs::write(smppost.path("off-next"), seconds).unwrap();
        std::fs::rename(smppost.path("off-next"), &off).unwrap();
    }
    let ended = run.wait();
    ended.assert_code(0);
    crate::lab::verify(&smppost);
    oracle::assert_kept("a clock that is set", &smppost.journal(), &simulator.read());
    let delivered = one(&smppost.journal(), "SELECT count(*) FROM message_status WHERE state = 'delivered'");
    assert_eq!(delivered, MESSAGES as i64, "{}", ended.said());
    let shifted = "SELECT count(DISTINCT substr(claimed_at, 1, 13)) FROM attempt_log";
    assert!(one(&smppost.journal(), shifted) >= 4, "the clock was not set at all");
}
