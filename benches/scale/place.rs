//! A folder for one pattern, with the program, its simulator and its journal in it.

use crate::Options;
use rusqlite::{Connection, OpenFlags};
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What was measured.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    /// From the first claim to the last answer or receipt.
    pub seconds: f64,
    /// `u64::MAX`: that build does not say.
    pub pause_ms: u64,
    pub steps: u64,
    /// Hundreds of instructions of SQLite; 0: that build does not say.
    pub sqlite: u64,
    pub rss_mb: f64,
    pub messages: u64,
}

pub struct Place {
    folder: tempfile::TempDir,
    program: PathBuf,
    seed: String,
}

impl Place {
    pub fn new(options: &Options) -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        Self { folder, program: options.program.clone(), seed: options.seed.to_string() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.env("SMPPOST_JOURNAL", self.path("journal.db")).env("SMPPOST_PASSWORD", "secret");
        command.current_dir(self.folder.path()).env("RUST_LOG", "smppost=debug").env("HOME", self.folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }

    /// Runs the program to its end. Returns how long it took.
    pub fn run(&self, arguments: &[&str]) -> Duration {
        let started = Instant::now();
        let output = self.command().args(arguments).output().expect("the program");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        started.elapsed()
    }

    /// Runs the program, which is to end with one of these exit codes. Returns how long it took.
    pub fn ended(&self, arguments: &[&str], codes: &[i32]) -> Duration {
        let started = Instant::now();
        let output = self.command().args(arguments).output().expect("the program");
        let code = output.status.code().unwrap_or(-1);
        assert!(codes.contains(&code), "{arguments:?}: {code}: {}", String::from_utf8_lossy(&output.stderr));
        started.elapsed()
    }

    /// Starts the program beside whatever else runs.
    pub fn beside(&self, arguments: &[&str]) -> Child {
        self.command().args(arguments).stderr(Stdio::null()).spawn().expect("the program")
    }

    /// Writes a file, and imports it as the campaign of its name.
    pub fn import(&self, name: &str, head: &str, rows: impl Iterator<Item = String>, more: &[&str]) {
        self.write(name, head, rows);
        let file = format!("{name}.csv");
        self.run(&[&["import", file.as_str()], more].concat());
    }

    pub fn write(&self, name: &str, head: &str, rows: impl Iterator<Item = String>) {
        let mut file = BufWriter::new(File::create(self.path(&format!("{name}.csv"))).expect("a file"));
        writeln!(file, "{head}").expect("a row");
        rows.for_each(|row| writeln!(file, "{row}").expect("a row"));
        file.flush().expect("a file");
    }

    /// Asks the journal for numbers.
    pub fn ask(&self, sql: &str) -> Vec<i64> {
        let journal = Connection::open(self.path("journal.db")).expect("the journal");
        let mut statement = journal.prepare(sql).expect(sql);
        let columns = statement.column_count();
        let row = |row: &rusqlite::Row<'_>| (0..columns).map(|n| row.get(n)).collect();
        statement.query_row([], row).expect(sql)
    }

    /// Octets of the journal with its -wal.
    pub fn octets(&self) -> u64 {
        ["journal.db", "journal.db-wal"]
            .iter()
            .map(|name| std::fs::metadata(self.path(name)).map_or(0, |file| file.len()))
            .sum()
    }

    /// Changes the journal behind the program's back.
    pub fn change(&self, sql: &str) {
        Connection::open(self.path("journal.db")).expect("the journal").execute_batch(sql).expect(sql);
    }

    /// Sends a campaign to a simulator of its own, and measures it. `meanwhile` runs beside it.
    pub fn send(&self, campaign: &str, simulator: &[&str], more: &[&str], meanwhile: impl FnOnce(&Self)) -> Figures {
        let mut smsc = Simulator::start(self, simulator);
        let port = smsc.port.clone();
        let figures = self.send_to(&port, campaign, more, meanwhile);
        smsc.stop();
        figures
    }

    /// Sends a campaign to whoever listens on a port, and measures it. `meanwhile` runs beside it.
    pub fn send_to(&self, port: &str, campaign: &str, more: &[&str], meanwhile: impl FnOnce(&Self)) -> Figures {
        let mut command = self.command();
        command.args(["resume", campaign, "--host", "127.0.0.1", "--port", port, "--system-id", "bench"]);
        command.args(["--rate", "unlimited"]).args(more);
        for (option, value) in [("--window", "1000"), ("--wait-receipts", "10s")] {
            if !more.contains(&option) {
                command.args([option, value]);
            }
        }
        let mut child = command.spawn().expect("the program");
        let stderr = child.stderr.take().expect("its words");
        let words = std::thread::spawn(move || {
            let lines = BufReader::new(stderr).lines().map_while(Result::ok);
            lines.filter(|line| line.contains("the journal thread: ")).last()
        });
        meanwhile(self);
        let mut rss_kib = 0;
        while child.try_wait().expect("the program").is_none() {
            rss_kib = peak(child.id()).unwrap_or(rss_kib);
            std::thread::sleep(Duration::from_millis(10));
        }
        let line = words.join().expect("its words").unwrap_or_default();
        let told = line.split("the journal thread: ").nth(1).unwrap_or_default();
        let told: Vec<u64> = told.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse().ok()).collect();
        let (seconds, messages) = self.took(campaign);
        Figures {
            seconds,
            pause_ms: told.get(1).copied().unwrap_or(u64::MAX),
            steps: told.get(2).copied().unwrap_or(0),
            sqlite: told.get(3).copied().unwrap_or(0),
            rss_mb: rss_kib as f64 / 1024.0,
            messages,
        }
    }

    /// From the first claim of a campaign to its last answer or receipt, and how many of its messages were answered or are in
    /// doubt.
    fn took(&self, campaign: &str) -> (f64, u64) {
        let journal = Connection::open_with_flags(self.path("journal.db"), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        let (first, end): (i64, i64) = journal
            .query_row("SELECT first_id, end_id FROM campaign WHERE name = ?1", [campaign], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .expect("the campaign");
        let one = |sql: &str| -> i64 {
            journal.query_row(sql, [first, end], |row| row.get::<_, Option<i64>>(0)).expect(sql).unwrap_or(0)
        };
        let began = one("SELECT min(claimed_at) FROM claim WHERE first_part >= ?1 AND first_part < ?2");
        let ended = one("SELECT max(answered_at) FROM answer WHERE attempt >= ?1 << 12 AND attempt < ?2 << 12");
        let received = one("SELECT max(received_at) FROM receipt WHERE ?1 <= ?2")
            .max(one("SELECT max(received_at) FROM inbound WHERE ?1 <= ?2"));
        let parts = one("SELECT sum(parts) FROM claim WHERE first_part >= ?1 AND first_part < ?2");
        ((ended.max(received) - began).max(1) as f64 / 1_000.0, parts as u64)
    }
}

struct Simulator {
    child: Child,
    port: String,
}

impl Simulator {
    fn start(place: &Place, more: &[&str]) -> Self {
        let mut command = place.command();
        command.args(["smsc", "--port", "0", "--rate", "unlimited", "--max-connections", "64", "--seed", &place.seed]);
        let mut child = command.args(more).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the simulator");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line).expect("its first line");
        let port = line.trim().rsplit(':').next().expect("a port").to_owned();
        Self { child, port }
    }

    fn stop(&mut self) {
        self.child.kill().expect("the simulator");
        self.child.wait().expect("the simulator");
    }
}

/// The most memory that was resident, in KiB.
fn peak(process: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.split_whitespace().next()?.parse().ok()
}
