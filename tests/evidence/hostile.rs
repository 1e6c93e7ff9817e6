//! An SMSC that misbehaves: each of the simulator's faults alone, and random mixes of them. A run ends, loses nothing,
//! sends nothing twice, and stays small.
//!
//! `SMPPOST_MIXES=100 SMPPOST_MESSAGES=10000 cargo test --release --test evidence hostile:: -- --nocapture` is the long form.

use crate::common::{Smppost, rows, states};
use crate::lab::{Simulator, oracle};
use std::time::{Duration, Instant};

/// A run's resident memory, at most.
const MEMORY_KIB_MAX: u64 = 150 * 1024;

const FAULTS: [&str; 17] = [
    "drop-before-answer=200",
    "drop-after-answer=200",
    "silence=200",
    "error=0x64:100",
    "throttle-storm=500",
    "nack=200",
    "unbind=200",
    "junk=50",
    "huge-length=200",
    "stalled-reads=500",
    "reorder",
    "octets",
    "bodyless-errors",
    "long-service-type",
    "receipt-flood=500",
    "slow-answers=20ms",
    "http-banner",
];

/// Sends against these faults, until the end.
fn run(faults: &[&str], messages: usize, seed: u64) -> String {
    let smppost = Smppost::new();
    let seed = seed.to_string();
    let mut options = vec!["--seed", &seed, "--receipt-delay", "20ms", "--response-timeout", "1s"];
    for fault in faults {
        options.extend(["--fault", fault]);
    }
    let simulator = Simulator::start(&smppost.path(""), &options);
    smppost.file("c.csv", rows(messages));
    let more = [
        ["--rate", "unlimited"],
        ["--window", "50"],
        ["--connections", "2"],
        ["--response-timeout", "1s"],
        ["--enquire-link-interval", "1s"],
        ["--wait-receipts", "2s"],
        ["--give-up-after", "3s"],
    ];
    let mut running = smppost.spawn(&crate::lab::send(simulator.port, &more.concat()).each());
    let what = format!("{faults:?} with seed {seed}");
    let (mut memory, started) = (0, Instant::now());
    while running.is_running() {
        memory = memory.max(memory_kib(running.id()));
        assert!(
            started.elapsed() < Duration::from_secs(180 + messages as u64 / 20),
            "{what}: it does not end\n{}",
            running.stderr()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    let ended = running.wait();
    assert!(matches!(ended.code, Some(0 | 1 | 3)), "{what}: {}", ended.said());
    assert!(memory < MEMORY_KIB_MAX, "{what}: {memory} KiB");
    crate::lab::verify(&smppost);
    oracle::assert_kept(&what, &smppost.journal(), &simulator.read());
    let found = states(&smppost.journal(), "c");
    assert_eq!(found.values().sum::<i64>(), messages as i64, "{what}: {found:?}");
    let unsent = found.get("queued").unwrap_or(&0) + found.get("sending").unwrap_or(&0);
    assert!(ended.code == Some(1) || unsent == 0, "{what}: {found:?}\n{}", ended.said());
    format!("{:>5.1} s {:>6} KiB exit {} {found:?} {faults:?}", ended.took.as_secs_f64(), memory, ended.code.unwrap())
}

/// The most that a process ever had resident.
fn memory_kib(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

#[test]
fn each_fault_alone() {
    let messages = crate::lab::setting("SMPPOST_MESSAGES", 1_000) as usize;
    // Most of them wait.
    crate::lab::side_by_side(FAULTS, |fault| println!("{}", run(&[fault], messages, 1)));
}

#[test]
fn mixes_of_faults() {
    let messages = crate::lab::setting("SMPPOST_MESSAGES", 1_000) as usize;
    let mixes = crate::lab::setting("SMPPOST_MIXES", 6);
    let seed = crate::lab::seed("mixes of faults");
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..mixes {
        // All but the one with which there never is a session.
        let mut faults: Vec<&str> = FAULTS[..FAULTS.len() - 1].to_vec();
        random.shuffle(&mut faults);
        faults.truncate(random.usize(2..=5));
        println!("{}", run(&faults, messages, random.u64(1..1_000_000)));
    }
}

/// So many answers open a window of some messages: it is doubled with each, from one on.
const WINDOW_OPENING: usize = 4;

/// An SMSC that answers the first messages one by one, as many as open a window, gets `window` more, then answers all but the last, and octets that are no PDU, in one write.
fn answers_and_junk_at_once(window: usize) -> (u16, std::thread::JoinHandle<()>) {
    use crate::common::independent_smsc::pdu;
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        drop(listener);
        let mut numbers = Vec::new();
        let mut opening = WINDOW_OPENING;
        while numbers.len() < window {
            let mut header = [0; 16];
            stream.read_exact(&mut header).unwrap();
            let word = |at: usize| u32::from_be_bytes(header[at..at + 4].try_into().unwrap());
            stream.read_exact(&mut vec![0; word(0) as usize - 16]).unwrap();
            match word(4) {
                9 => stream.write_all(&pdu(0x8000_0009, 0, word(12), b"test\0")).unwrap(),
                4 if opening > 0 => {
                    opening -= 1;
                    let answer = pdu(0x8000_0004, 0, word(12), format!("first-{:x}\0", word(12)).as_bytes());
                    stream.write_all(&answer).unwrap();
                }
                4 => numbers.push(word(12)),
                _ => {}
            }
        }
        let mut all = Vec::new();
        for number in &numbers[..window - 1] {
            all.extend(pdu(0x8000_0004, 0, *number, format!("{number:x}\0").as_bytes()));
        }
        all.extend([0; 16]);
        stream.write_all(&all).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    });
    (port, thread)
}

#[test]
fn f31_answers_that_came_before_the_junk_count() {
    let smppost = Smppost::new();
    let (port, smsc) = answers_and_junk_at_once(5);
    smppost.file("c.csv", rows(WINDOW_OPENING + 5));
    let more = ["--rate", "unlimited", "--window", "5", "--give-up-after", "500ms", "--wait-receipts", "1s"];
    let ended = smppost.run(&crate::lab::send(port, &more).each());
    smsc.join().unwrap();
    let found = states(&smppost.journal(), "c");
    assert_eq!(
        found,
        crate::common::expected([("accepted", WINDOW_OPENING as i64 + 4), ("in_doubt", 1)]),
        "{}",
        ended.said()
    );
}

#[test]
fn f26_an_smsc_that_unbinds_again_and_again_costs_few_claims() {
    let smppost = Smppost::new();
    let simulator = Simulator::start(&smppost.path(""), &["--receipt-delay", "20ms", "--fault", "unbind=50"]);
    smppost.file("c.csv", rows(1_000));
    let more = ["--rate", "unlimited", "--window", "10", "--wait-receipts", "5s"];
    smppost.run(&crate::lab::send(simulator.port, &more).each()).assert_code(0);
    let claimed = crate::common::one(&smppost.journal(), "SELECT count(*) FROM attempt_log");
    assert!(claimed < 4_000, "{claimed} parts were claimed to send 1,000");
}
