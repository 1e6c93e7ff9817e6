//! Patterns of traffic that real accounts meet, each beside the plain case of the same run: messages a second, the longest
//! pause between two commits of the journal thread, the steps that it took to judge receipts, memory.
//!
//! ```sh
//! cargo bench --bench scale                                  # all patterns, as large as they are meant
//! cargo bench --bench scale -- --short                       # each a hundredth of that
//! cargo bench --bench scale -- --only doubts --size 20000 --seed 7
//! cargo bench --bench scale -- --program ../base/target/release/smppost   # another build, to compare with
//! ```

// Whatever goes wrong ends a benchmark, with its words.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod flood;
mod patterns;
mod place;

use clap::Parser;
use patterns::PATTERNS;
use place::{Figures, Place};

#[derive(Parser, Clone, Debug)]
pub struct Options {
    /// Only these patterns; repeatable. `plain` is measured at any rate.
    #[arg(long)]
    only: Vec<String>,
    /// Messages of each pattern, in place of its own number.
    #[arg(long)]
    size: Option<u64>,
    /// Where the random decisions of the simulator start.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A hundredth of the size.
    #[arg(long)]
    short: bool,
    /// Another build of the program, to compare with.
    #[arg(long, default_value = env!("CARGO_BIN_EXE_smppost"))]
    program: std::path::PathBuf,
    /// What `cargo bench` says to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let options = Options::parse();
    let unknown = options.only.iter().find(|name| !PATTERNS.iter().any(|pattern| pattern.name == **name));
    if let Some(unknown) = unknown {
        let names: Vec<&str> = PATTERNS.iter().map(|pattern| pattern.name).collect();
        panic!("--only {unknown}: there are {}", names.join(", "));
    }
    println!("load before: {}", std::fs::read_to_string("/proc/loadavg").unwrap_or_default().trim());
    println!(
        "| pattern | messages | messages/s | of plain | longest pause ms | judging steps a message | SQLite steps a message | RSS MB |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let mut plain = f64::NAN;
    for pattern in PATTERNS {
        if pattern.name != "plain" && !options.only.is_empty() && !options.only.iter().any(|name| name == pattern.name)
        {
            continue;
        }
        let size = options.size.unwrap_or(pattern.size / if options.short { 100 } else { 1 }).max(10);
        let place = Place::new(&options);
        let Figures { seconds, pause_ms, steps, sqlite, rss_mb, messages } = (pattern.run)(&place, size);
        let rate = messages as f64 / seconds;
        if pattern.name == "plain" {
            plain = rate;
        }
        let (steps, sqlite) = (steps as f64 / messages as f64, 100.0 * sqlite as f64 / messages as f64);
        println!(
            "| {} | {messages} | {rate:.0} | {:.0}% | {pause_ms} | {steps:.1} | {sqlite:.0} | {rss_mb:.0} |",
            pattern.words,
            100.0 * rate / plain
        );
    }
}
