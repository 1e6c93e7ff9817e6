//! How cost grows with what is in a journal: what a start, the reports, one more message and a purge take beside 1, 3 and 10
//! million finished messages.
//!
//! ```sh
//! cargo bench --bench growth                                  # 1, 3 and 10 million messages
//! cargo bench --bench growth -- --messages 30000000           # 10 GB of journal
//! cargo bench --bench growth -- --program /elsewhere/smppost  # another build
//! ```
//!
//! The messages are made by SQL, not sent: campaigns of 100,000 to random numbers, each message accepted and receipted. The
//! first start then does once what sending would have done on the way (message ids out of memory, the look-up by number);
//! it is timed on its own. Every other figure is the median of five runs of the whole program, from its start to its end.

// Whatever goes wrong ends a benchmark, with its words.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod make;

use clap::Parser;
use rusqlite::Connection;
use smppost::testing::journal::open_existing;
use smppost::testing::journal::store::lately::Lately;
use smppost::testing::journal::store::number_index::{Numbers, upkeep};
use std::net::TcpListener;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What is measured.
#[derive(Parser, Clone, Debug)]
struct Options {
    /// Finished messages, of one journal each.
    #[arg(long, value_delimiter = ',', default_values_t = [1_000_000, 3_000_000, 10_000_000])]
    messages: Vec<i64>,
    /// Where the journals are made; they are removed again.
    #[arg(long)]
    folder: Option<PathBuf>,
    /// Another build of the program, to compare with. Of an older one only what it has is shown.
    #[arg(long, default_value = env!("CARGO_BIN_EXE_smppost"))]
    program: PathBuf,
    /// Runs of each command; medians are shown.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Make the journal and leave it there.
    #[arg(long)]
    keep: bool,
    /// What `cargo bench` says to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

/// Messages of one campaign.
const CAMPAIGN: i64 = 100_000;

fn main() {
    let options = Options::parse();
    let folder = tempfile::Builder::new()
        .prefix("smppost-growth")
        .tempdir_in(options.folder.clone().unwrap_or_else(std::env::temp_dir))
        .unwrap();
    println!("| messages | what | seconds |\n|---|---|---|");
    for &messages in &options.messages {
        let journal = folder.path().join(format!("{messages}.db"));
        row(messages, "making the journal by SQL", once(|| make::journal(&journal, messages, CAMPAIGN)));
        let octets = std::fs::metadata(&journal).unwrap().len();
        println!("| {messages} | octets of journal a message | {:.0} |", octets as f64 / messages as f64);
        Case { options: &options, journal: &journal, messages }.run(folder.path());
        if !options.keep {
            std::fs::remove_file(&journal).unwrap();
        }
    }
    if options.keep {
        println!("kept: {}", folder.keep().display());
    }
}

fn row(messages: i64, what: &str, took: Duration) {
    println!("| {messages} | {what} | {:.3} |", took.as_secs_f64());
}

fn once(what: impl FnOnce()) -> Duration {
    let begun = Instant::now();
    what();
    begun.elapsed()
}

/// One journal.
struct Case<'a> {
    options: &'a Options,
    journal: &'a Path,
    messages: i64,
}

impl Case<'_> {
    fn run(&self, folder: &Path) {
        let name = "c0";
        let smsc = self.smsc();
        let port = smsc.1.to_string();
        let connection = ["--host", "127.0.0.1", "--port", &port, "--system-id", "smppost", "--wait-receipts", "5s"];
        let send = |n: usize| {
            let file = folder.join(format!("one{n}-{}.csv", self.messages));
            std::fs::write(&file, format!("to,text\n4479{n:08},one more\n")).unwrap();
            // One that was written a moment ago would be waited for.
            let old = std::time::SystemTime::now() - Duration::from_secs(60);
            std::fs::File::options().append(true).open(&file).unwrap().set_modified(old).unwrap();
            let file = file.to_str().unwrap().to_owned();
            let mut arguments = vec!["send", &file];
            arguments.extend(connection);
            self.time(&arguments)
        };
        row(self.messages, "the first start: a message sent, and what is done once", send(0));
        let mut resume = vec!["resume"];
        resume.extend(connection);
        self.median("a start with nothing left to send", |_| self.time(&resume));
        self.median("one more message sent, to its receipt", |n| send(n + 1));
        self.median("list", |_| self.time(&["list"]));
        self.median("report of a campaign of 100,000", |_| self.time(&["report", name]));
        self.median("report of all campaigns, as JSON", |_| self.time(&["report", "--format", "json"]));
        row(self.messages, "verify", self.time(&["verify"]));
        self.look_ups();
        self.purge();
        drop(smsc);
    }

    fn median(&self, what: &str, mut run: impl FnMut(usize) -> Duration) {
        let mut took: Vec<Duration> = (0..self.options.runs).map(&mut run).collect();
        took.sort_unstable();
        row(self.messages, what, took[took.len() / 2]);
    }

    fn time(&self, arguments: &[&str]) -> Duration {
        let mut command = Command::new(&self.options.program);
        command.args(arguments).arg("--journal").arg(self.journal);
        command.env("SMPPOST_PASSWORD", "secret").env("HOME", self.journal.parent().unwrap());
        let begun = Instant::now();
        let ended = command.stdin(Stdio::null()).output().unwrap();
        let took = begun.elapsed();
        assert!(ended.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&ended.stderr));
        took
    }

    /// The built-in simulator.
    fn smsc(&self) -> (Ends, u16) {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new(&self.options.program);
        command.args(["smsc", "--port", &port.to_string(), "--receipt-delay", "1ms"]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            std::thread::sleep(Duration::from_millis(10));
        }
        (Ends(child), port)
    }

    fn look_ups(&self) {
        let journal = open_existing(self.journal).unwrap();
        let connection = Connection::open(self.journal).unwrap();
        row(
            self.messages,
            "runs of the look-up of messages that have none",
            once(|| {
                upkeep::catch_up(&journal, i64::MAX).unwrap();
            }),
        );
        let octets: i64 =
            connection.query_row("SELECT count(*) * 4096 FROM number_chunk", [], |row| row.get(0)).unwrap();
        println!(
            "| {0} | octets of the look-up a message | {1:.2} |",
            self.messages,
            octets as f64 / self.messages as f64
        );
        let number = |n: i64| make::number(n * (self.messages / 1_000_000).max(1));
        self.median("all messages to one number", |n| {
            let mut found = 0;
            let mut count = |_| {
                found += 1;
                Ok(ControlFlow::Continue(()))
            };
            let took = once(|| {
                let fresh = Connection::open(self.journal).unwrap();
                let look_up = Numbers::load(&fresh).unwrap();
                look_up.messages_to(&fresh, number(n as i64 * 77), &(0..i64::MAX), &mut count).unwrap();
            });
            assert!(found > 0);
            took
        });
        let numbers: Vec<u64> = (0..1_000_000.min(self.messages)).map(number).collect();
        let lately = Lately::since(&journal, 0).unwrap().unwrap();
        row(
            self.messages,
            "who sent to a million numbers last, all of them sent to",
            once(|| {
                let sent = lately.ask(&journal, numbers.clone()).unwrap();
                assert!(sent.len() as i64 >= 1_000_000.min(self.messages) * 9 / 10, "{}", sent.len());
            }),
        );
        let strangers: Vec<u64> = (0..1_000_000).map(|n| 1_990_000_000_000 + n).collect();
        row(
            self.messages,
            "the same of a million that nobody sent to",
            once(|| {
                assert!(lately.ask(&journal, strangers).unwrap().is_empty());
            }),
        );
    }

    /// Deletes the rows of a campaign as a purge would, in ranges of 10,000 messages.
    fn purge(&self) {
        let connection = Connection::open(self.journal).unwrap();
        let (first, end) = (1 + self.messages / 2 / CAMPAIGN * CAMPAIGN, CAMPAIGN);
        row(
            self.messages,
            "deleting a campaign of 100,000 from the middle",
            once(|| {
                for from in (first..first + end).step_by(10_000) {
                    make::delete(&connection, from, from + 10_000);
                }
                upkeep::forget(&connection, &(first..first + end)).unwrap();
            }),
        );
    }
}

/// A process that ends with the benchmark.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
