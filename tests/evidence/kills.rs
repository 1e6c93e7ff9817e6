//! `kill -9` at random instants, again and again, and what the simulator got held against the journal.
//!
//! The long forms: `SMPPOST_KILLS=1000 cargo test --test evidence kills::f46 -- --nocapture`, and
//! `SMPPOST_FLOOD_KILLS=500 cargo test --test evidence kills::f39 -- --nocapture`.

use crate::common::{Smppost, number};
use crate::lab::{Ledger, Simulator, oracle};
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
    /// It is killed while receipts come, not while messages go.
    in_flood: bool,
    simulator: &'static [&'static str],
}

const WAY: Way =
    Way { rate: "unlimited", window: 10, connections: 1, rows: 0, long_ones: false, in_flood: false, simulator: &[] };

const WAYS: [Way; 6] = [
    Way { rate: "2000", connections: 2, rows: 12_000, ..WAY },
    Way { window: 100, connections: 2, rows: 40_000, ..WAY },
    Way { rate: "1000", rows: 3_000, long_ones: true, ..WAY },
    Way {
        rate: "1000",
        window: 50,
        connections: 2,
        rows: 6_000,
        simulator: &["--receipt-delay", "1ms..300ms", "--receipt", "duplicate=3", "--receipt", "early=4"],
        ..WAY
    },
    Way { window: 1, rows: 10_000, ..WAY },
    Way {
        connections: 4,
        rows: 20_000,
        long_ones: true,
        simulator: &["--fault", "receipt-flood=300", "--fault", "reorder"],
        ..WAY
    },
];

/// Receipts as many and as fast as they come, of messages known, unknown and not yet answered.
const FLOODS: [Way; 2] = [
    Way {
        window: 200,
        connections: 2,
        rows: 12_000,
        in_flood: true,
        simulator: &["--receipt-delay", "1ms..50ms", "--fault", "receipt-flood=500"],
        ..WAY
    },
    Way {
        rate: "3000",
        window: 50,
        connections: 1,
        rows: 6_000,
        in_flood: true,
        simulator: &[
            "--receipt-delay",
            "1ms..300ms",
            "--receipt",
            "duplicate=2",
            "--receipt",
            "early=4",
            "--fault",
            "receipt-flood=500",
        ],
        ..WAY
    },
];

/// What one campaign came to.
#[derive(Default)]
struct Figures {
    kills: u64,
    in_doubt: Vec<usize>,
    unknown: Vec<usize>,
    /// Receipts that were answered.
    receipts: usize,
    over: Vec<String>,
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
    let arguments = crate::lab::send(simulator.port, &more);
    let mut ledger = Ledger::default();
    let mut figures = Figures::default();
    let (mut last_verdict, mut since_settled) = (0, 0);
    while figures.kills < kills {
        let mut run = smppost.spawn(&arguments.each());
        if random.u8(..4) > 0 {
            // Most of the time while messages are on their way; else at any moment, be it import or recovery.
            let more = random.usize(1..=400.min(way.rows / 20));
            ledger.read_on(&simulator.ledger);
            let seen = |ledger: &Ledger| if way.in_flood { ledger.answered.len() } else { ledger.submits.len() };
            let wanted = seen(&ledger) + more;
            ledger.wait_until(&simulator.ledger, Duration::from_secs(3), |ledger| seen(ledger) >= wanted);
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
        let settled = crate::lab::settle(&smppost, simulator.port);
        crate::lab::verify(&smppost);
        let (newest, doubts) = oracle::doubts(&smppost.journal(), last_verdict);
        last_verdict = newest;
        std::thread::sleep(Duration::from_millis(5));
        ledger.read_on(&simulator.ledger);
        let got: std::collections::HashSet<u32> = ledger.submits.iter().map(|submit| submit.sequence_number).collect();
        let unknown = doubts.iter().filter(|number| !got.contains(number)).count();
        // What was written and not answered, at most a window a session; however many answers were not committed yet.
        let most = (way.window * way.connections * since_settled) as usize;
        if doubts.len() > most {
            let (count, said) = (doubts.len(), settled.said());
            figures.over.push(format!("{count} in doubt, {unknown} of them never received; {most} allowed; {said}"));
        }
        figures.in_doubt.push(doubts.len());
        figures.unknown.push(unknown);
        since_settled = 0;
    }
    smppost.run(&arguments.each());
    ledger.read_on(&simulator.ledger);
    crate::lab::verify(&smppost);
    oracle::assert_kept(&format!("{way:?}"), &smppost.journal(), &ledger);
    figures.receipts = ledger.answered.len();
    let open = crate::common::one(
        &smppost.journal(),
        "SELECT count(*) FROM message_status WHERE state NOT IN ('delivered', 'accepted', 'in_doubt')",
    );
    assert_eq!(open, 0, "{way:?}: messages that were never sent, or failed");
    figures
}

/// Kills as often as `wanted`, one way after another.
fn kill(ways: &[Way], wanted: u64, random: &mut fastrand::Rng) {
    let (mut kills, mut rounds, mut receipts) = (0, 0, 0);
    let (mut over, mut all) = (Vec::new(), Vec::new());
    println!("rate       window conns | kills  in doubt: median most | never received: median most");
    while kills < wanted {
        let way = &ways[rounds % ways.len()];
        rounds += 1;
        let mut figures = round(way, KILLS_A_ROUND.min(wanted - kills), random);
        kills += figures.kills;
        receipts += figures.receipts;
        all.extend_from_slice(&figures.unknown);
        let [doubt, unknown] = [&mut figures.in_doubt, &mut figures.unknown].map(|counts| {
            counts.sort_unstable();
            (counts.get(counts.len() / 2).copied().unwrap_or(0), counts.last().copied().unwrap_or(0))
        });
        println!(
            "{:<10} {:>6} {:>5} | {:>5} {:>17} {:>4} | {:>22} {:>4}",
            way.rate, way.window, way.connections, figures.kills, doubt.0, doubt.1, unknown.0, unknown.1,
        );
        over.extend(figures.over);
    }
    println!("{kills} kills, {rounds} campaigns, {receipts} receipts answered");
    all.sort_unstable();
    assert_eq!(all.get(all.len() / 2).copied().unwrap_or(0), 0, "as a rule all that is in doubt was received");
    assert!(over.is_empty(), "more in doubt than the windows held: {over:#?}");
}

#[test]
fn f46_whenever_it_is_killed_nothing_is_lost_and_nothing_sent_twice() {
    let mut random = fastrand::Rng::with_seed(crate::lab::seed("kills"));
    kill(&WAYS, crate::lab::setting("SMPPOST_KILLS", 50), &mut random);
}

#[test]
fn f39_killed_in_a_flood_of_receipts_it_has_every_one_that_it_answered() {
    let mut random = fastrand::Rng::with_seed(crate::lab::seed("kills in a flood"));
    kill(&FLOODS, crate::lab::setting("SMPPOST_FLOOD_KILLS", 10), &mut random);
}
