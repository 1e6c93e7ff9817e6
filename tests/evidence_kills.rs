//! `kill -9` at random instants, again and again, and what the simulator got held against the journal.
//!
//! `SMPPOST_KILLS=1000 cargo test --release --test evidence_kills -- --nocapture` is the long form.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;
mod evidence;

use common::{Smppost, number};
use evidence::{Ledger, Simulator, oracle};
use std::fmt::Write as _;
use std::time::Duration;

/// Kills of one campaign; then it is sent to its end and looked at as a whole.
const KILLS_A_ROUND: u64 = 10;

/// How one campaign is sent.
#[derive(Debug)]
struct Way {
    rate: &'static str,
    window: u64,
    connections: u64,
    rows: usize,
    long_ones: bool,
    simulator: &'static [&'static str],
}

const WAYS: [Way; 6] = [
    Way { rate: "2000", window: 10, connections: 2, rows: 12_000, long_ones: false, simulator: &[] },
    Way { rate: "unlimited", window: 100, connections: 2, rows: 40_000, long_ones: false, simulator: &[] },
    Way { rate: "1000", window: 10, connections: 1, rows: 3_000, long_ones: true, simulator: &[] },
    Way {
        rate: "1000",
        window: 50,
        connections: 2,
        rows: 6_000,
        long_ones: false,
        simulator: &["--receipt-delay", "1ms..300ms", "--receipt", "duplicate=3", "--receipt", "early=4"],
    },
    Way { rate: "unlimited", window: 1, connections: 1, rows: 10_000, long_ones: false, simulator: &[] },
    Way {
        rate: "unlimited",
        window: 10,
        connections: 4,
        rows: 20_000,
        long_ones: true,
        simulator: &["--fault", "receipt-flood=300", "--fault", "reorder"],
    },
];

/// What one campaign came to.
#[derive(Default)]
struct Figures {
    kills: u64,
    in_doubt: Vec<usize>,
    unknown: Vec<usize>,
    /// Kills after which more than a window a session was in doubt.
    above_window: usize,
    over: Vec<String>,
}

impl Way {
    /// Parts that a session has claimed ahead, twice: one lot on its way while the next is being committed.
    fn ahead(&self) -> u64 {
        2 * self.rate.parse::<u64>().map_or(2_000, |rate| rate * 80 / 1_000)
    }
}

fn rows(way: &Way) -> String {
    let mut csv = "to,text\n".to_owned();
    for row in 0..way.rows {
        let times = if way.long_ones && row % 3 == 0 { 10 + row % 20 } else { 1 };
        let _ = writeln!(csv, "{},Hello {row} {}", number(row), "and so on ".repeat(times));
    }
    csv
}

fn round(way: &Way, kills: u64, random: &mut fastrand::Rng) -> Figures {
    let smppost = Smppost::new().deadline(Duration::from_secs(240));
    let simulator = Simulator::start(&smppost.path(""), way.simulator);
    smppost.file("c.csv", rows(way));
    let (window, connections) = (way.window.to_string(), way.connections.to_string());
    let more = ["--rate", way.rate, "--window", &window, "--connections", &connections, "--wait-receipts", "1s"];
    let arguments = evidence::send(simulator.port, &more);
    let mut ledger = Ledger::default();
    let mut figures = Figures::default();
    let (mut last_verdict, mut since_settled) = (0, 0);
    while figures.kills < kills {
        let mut run = smppost.spawn(&arguments.each());
        if random.u8(..4) > 0 {
            // Most of the time while messages are on their way; else at any moment, be it import or recovery.
            let more = random.usize(1..=400.min(way.rows / 20));
            ledger.read_on(&simulator.ledger);
            let wanted = ledger.submits.len() + more;
            ledger.wait_for(&simulator.ledger, wanted, Duration::from_secs(3));
            std::thread::sleep(Duration::from_micros(random.u64(0..20_000)));
        } else {
            std::thread::sleep(Duration::from_micros(random.u64(0..250_000)));
        }
        let was_running = run.is_running();
        run.kill();
        if !was_running {
            break;
        }
        figures.kills += 1;
        since_settled += 1;
        if random.u8(..5) == 0 || !smppost.journal().exists() {
            continue;
        }
        let settled = evidence::settle(&smppost, simulator.port);
        evidence::verify(&smppost);
        let (newest, doubts) = oracle::doubts(&smppost.journal(), last_verdict);
        last_verdict = newest;
        std::thread::sleep(Duration::from_millis(5));
        ledger.read_on(&simulator.ledger);
        let got: std::collections::HashSet<u32> = ledger.submits.iter().map(|submit| submit.sequence_number).collect();
        let unknown = doubts.iter().filter(|number| !got.contains(number)).count();
        // What was written and not answered, at most a window; and what was answered while the last commit ran, at most
        // what had been claimed for that time.
        let windows = (way.window * way.connections * since_settled) as usize;
        let most = windows + (way.ahead() * way.connections * since_settled) as usize;
        figures.above_window += usize::from(doubts.len() > windows);
        if doubts.len() > most || unknown > windows {
            let (count, said) = (doubts.len(), settled.said());
            figures.over.push(format!("{count} in doubt, {unknown} of them never received; {most} allowed; {said}"));
        }
        figures.in_doubt.push(doubts.len());
        figures.unknown.push(unknown);
        since_settled = 0;
    }
    smppost.run(&arguments.each());
    ledger.read_on(&simulator.ledger);
    evidence::verify(&smppost);
    oracle::assert_kept(&format!("{way:?}"), &smppost.journal(), &ledger);
    let open = common::one(
        &smppost.journal(),
        "SELECT count(*) FROM message_status WHERE state NOT IN ('delivered', 'accepted', 'in_doubt')",
    );
    assert_eq!(open, 0, "{way:?}: messages that were never sent, or failed");
    figures
}

#[test]
fn f46_whenever_it_is_killed_nothing_is_lost_and_nothing_sent_twice() {
    let wanted = evidence::setting("SMPPOST_KILLS", 50);
    let seed = evidence::seed("kills");
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut kills, mut rounds) = (0, 0);
    let (mut over, mut all) = (Vec::new(), Vec::new());
    println!("rate       window conns | kills  in doubt: median most | never received: median most | above a window");
    while kills < wanted {
        let way = &WAYS[rounds % WAYS.len()];
        rounds += 1;
        let mut figures = round(way, KILLS_A_ROUND.min(wanted - kills), &mut random);
        kills += figures.kills;
        all.extend_from_slice(&figures.unknown);
        let [doubt, unknown] = [&mut figures.in_doubt, &mut figures.unknown].map(|counts| {
            counts.sort_unstable();
            (counts.get(counts.len() / 2).copied().unwrap_or(0), counts.last().copied().unwrap_or(0))
        });
        println!(
            "{:<10} {:>6} {:>5} | {:>5} {:>17} {:>4} | {:>22} {:>4} | {:>3}",
            way.rate,
            way.window,
            way.connections,
            figures.kills,
            doubt.0,
            doubt.1,
            unknown.0,
            unknown.1,
            figures.above_window
        );
        over.extend(figures.over);
    }
    println!("{kills} kills, {rounds} campaigns");
    all.sort_unstable();
    assert_eq!(all.get(all.len() / 2).copied().unwrap_or(0), 0, "as a rule all that is in doubt was received");
    assert!(over.is_empty(), "more in doubt than what had been claimed: {over:#?}");
}
