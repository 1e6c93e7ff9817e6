//! An end-to-end benchmark: a campaign from its file to its last receipt, against the simulator.
//!
//! ```sh
//! cargo bench --bench campaign                                      # three cases, three runs each
//! cargo bench --bench campaign -- --messages 300 --rate 30 --ledger # one case, as told
//! cargo bench --bench campaign -- --smoke                           # that it works, without a stopwatch
//! ```
//!
//! The time of a run goes from its first claim to its last receipt (without receipts, answer), as the journal has it. The
//! simulator leaves at most 1,000 receipts unanswered, so that no more than those are still to be committed at that moment.

// Whatever goes wrong ends a benchmark, with its words.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod ledger;
mod run;

use clap::{Parser, ValueEnum};
use run::Figures;
use smppost::testing::policy::pacer::Rate;

/// What is measured. Without any option: three cases.
#[derive(Parser, Clone, Debug)]
pub struct Options {
    /// Messages of the campaign.
    #[arg(long, default_value_t = 500_000)]
    messages: u64,
    /// Messages a second, or `unlimited`.
    #[arg(long, default_value = "unlimited")]
    rate: Rate,
    /// Requests outstanding on each connection.
    #[arg(long, default_value_t = 1_000)]
    window: usize,
    #[arg(long, default_value_t = 1)]
    connections: usize,
    #[arg(long, value_enum, default_value_t = Receipts::All)]
    receipts: Receipts,
    /// The simulator's message ids.
    #[arg(long, default_value = "hex")]
    ids: String,
    /// From an answer to its receipt, such as 100ms or 1h.
    #[arg(long, default_value = "100ms")]
    receipt_delay: String,
    /// Receipts are not waited for any longer.
    #[arg(long, default_value = "30s")]
    wait_receipts: String,
    /// Send so many others first, into the same journal.
    #[arg(long, default_value_t = 0)]
    before: u64,
    /// Runs; medians are shown.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// `send --simulate`: sender and simulator are one process, whose cost is that of both.
    #[arg(long, conflicts_with_all = ["two_processes", "ledger", "before", "ids", "receipt_delay"])]
    in_process: bool,
    /// Sender and simulator are processes of their own (the default).
    #[arg(long)]
    two_processes: bool,
    /// Count the system calls that sync, by strace, which slows the sender down.
    #[arg(long)]
    fsyncs: bool,
    /// Let the simulator keep a ledger, and judge pacing and latency by it.
    #[arg(long)]
    ledger: bool,
    /// Another build of the program, to compare with.
    #[arg(long, default_value = env!("CARGO_BIN_EXE_smppost"))]
    program: std::path::PathBuf,
    /// Time import, report and a start with nothing left to do, too.
    #[arg(long)]
    around: bool,
    /// A few small cases, judged by what became of the messages alone.
    #[arg(long)]
    smoke: bool,
    /// What `cargo bench` says to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Receipts {
    All,
    None,
}

impl Options {
    fn words(&self) -> String {
        let mut words = format!("{} messages", self.messages);
        if self.before > 0 {
            words += &format!(" after {}", self.before);
        }
        if self.receipts == Receipts::None {
            words += ", no receipts";
        }
        words += &format!(", window {}", self.window);
        if self.connections > 1 {
            words += &format!(", {} connections", self.connections);
        }
        if self.rate != Rate::Unlimited {
            words += &format!(", {}", self.rate);
        }
        if self.ids != "hex" {
            words += &format!(", {} ids", self.ids);
        }
        if self.receipt_delay != "100ms" {
            words += &format!(", receipts after {}", self.receipt_delay);
        }
        words
    }

    /// Whether every receipt is to be there in the end.
    fn complete(&self) -> bool {
        self.receipts == Receipts::All && self.receipt_delay == "100ms"
    }
}

fn main() {
    let options = Options::parse();
    let cases = cases(&options);
    println!("load before: {}", std::fs::read_to_string("/proc/loadavg").unwrap_or_default().trim());
    let mut table = Vec::new();
    for case in &cases {
        let mut runs: Vec<Figures> = Vec::new();
        for number in 1..=case.runs {
            let figures = run::run(case);
            if !case.smoke {
                println!("{}, run {number}: {}", case.words(), figures.words());
            }
            runs.push(figures);
        }
        table.push((case.words(), Figures::medians(&runs)));
    }
    println!("load after: {}\n", std::fs::read_to_string("/proc/loadavg").unwrap_or_default().trim());
    if options.smoke {
        println!("{} cases: every message was sent once, and every receipt matched", cases.len());
        return;
    }
    println!(
        "| case (medians) | messages/s | CPU us | of it system | simulator's us | RSS MB | journal octets | claim |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for (words, figures) in &table {
        println!("| {words} | {} |", figures.row());
    }
    for (words, figures) in &table {
        if let Some(more) = figures.more() {
            println!("\n{words}: {more}");
        }
    }
}

/// The one that the options describe, or the three of everyday.
fn cases(options: &Options) -> Vec<Options> {
    if options.smoke {
        let small = Options { messages: 3_000, runs: 1, ..options.clone() };
        return vec![
            small.clone(),
            Options { receipts: Receipts::None, window: 10, ..small.clone() },
            Options { messages: 300, rate: Rate::PerSecond(500.0), ledger: true, ..small.clone() },
            Options { connections: 2, ids: "random-hex".into(), before: 500, ..small.clone() },
            Options { in_process: true, ..small },
        ];
    }
    let told = std::env::args().skip(1).any(|argument| argument != "--bench");
    if told {
        return vec![options.clone()];
    }
    vec![
        options.clone(),
        Options { receipts: Receipts::None, ..options.clone() },
        Options { messages: 200_000, window: 10, ..options.clone() },
    ]
}
