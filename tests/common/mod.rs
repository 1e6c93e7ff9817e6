//! What the integration tests share: an independent SMSC with a judge, the program under a deadline, files of rows, and
//! questions to the journal.

// Each test file uses a part of this. Helpers fail a test by panicking, which is what the crate itself must not do.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod independent_smsc;
pub mod judge;
pub mod pty;
pub mod scripted_smsc;

use judge::Submit;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rusqlite::{Connection, OpenFlags};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// No run of the program in these tests takes longer, on a slow and busy machine neither.
pub const DEADLINE: Duration = Duration::from_secs(120);

/// For what is bound to come.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Says that a test, or a part of it, cannot be had on this machine, and why. The lines are collected in the file that
/// `SMPPOST_SKIPPED` names, as nobody reads what a test that passes has said; `SMPPOST_TRACE_REQUIRED` makes it a failure.
pub fn skipped(why: &str) {
    let thread = std::thread::current();
    let line = format!("SKIPPED: {}: {why}; nothing was checked\n", thread.name().unwrap_or("a test"));
    eprint!("{line}");
    if let Some(path) = std::env::var_os("SMPPOST_SKIPPED") {
        let file = File::options().create(true).append(true).open(path);
        file.and_then(|mut file| file.write_all(line.as_bytes())).expect("a line about what was skipped");
    }
    assert!(std::env::var_os("SMPPOST_TRACE_REQUIRED").is_none(), "it is required here");
}

/// The program, with a folder of its own.
pub struct Smppost {
    dir: TempDir,
    /// What is noted of journals: not in the folder that tests look into.
    state: TempDir,
    environment: Vec<(String, String)>,
    runs: AtomicU64,
    deadline: Duration,
}

impl Drop for Smppost {
    /// The folder of a test that fails is kept, to be looked at.
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.dir.disable_cleanup(true);
            eprintln!("kept: {}", self.dir.path().display());
        }
    }
}

/// A run that has ended.
#[derive(Debug)]
pub struct Ended {
    /// `None`: by a signal.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    pub took: Duration,
}

impl Ended {
    /// Fails with everything that the program said when it ended otherwise.
    #[track_caller]
    pub fn assert_code(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "it ended otherwise after {:?}\n{}", self.took, self.said());
        self
    }

    /// What was said on stderr, as if on one line.
    pub fn words(&self) -> String {
        self.stderr.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// The same of stdout.
    pub fn page(&self) -> String {
        self.stdout.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Both streams, for words of failure.
    pub fn said(&self) -> String {
        format!("stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr)
    }
}

/// A run that goes on.
pub struct Running {
    child: Child,
    files: [PathBuf; 2],
    started: Instant,
    deadline: Duration,
}

impl Smppost {
    pub fn new() -> Self {
        Self {
            dir: TempDir::new().expect("a folder"),
            state: TempDir::new().expect("a folder"),
            environment: vec![("SMPPOST_PASSWORD".into(), "secret".into())],
            runs: AtomicU64::new(0),
            deadline: DEADLINE,
        }
    }

    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.retain(|(other, _)| other != name);
        self.environment.push((name.into(), value.into()));
        self
    }

    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn journal(&self) -> PathBuf {
        self.path("journal.db")
    }

    /// Writes a file into the folder.
    pub fn file(&self, name: &str, octets: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, octets).expect("a file written");
        // A file that was changed a moment ago is looked at again, which takes 2 s.
        let file = File::options().write(true).open(&path).expect("the file");
        file.set_modified(std::time::SystemTime::now() - Duration::from_secs(60)).expect("its time");
        path
    }

    pub fn spawn(&self, arguments: &[&str]) -> Running {
        self.spawn_with(arguments, &[])
    }

    /// As [`run`](Self::run), with more in the environment.
    #[track_caller]
    pub fn run_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Ended {
        self.spawn_with(arguments, environment).wait()
    }

    pub fn spawn_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Running {
        let run = self.runs.fetch_add(1, Ordering::Relaxed) + 1;
        let files = [self.path(&format!("stdout-{run}")), self.path(&format!("stderr-{run}"))];
        let mut command = Command::new(env!("CARGO_BIN_EXE_smppost"));
        command
            .args(arguments)
            .current_dir(self.dir.path())
            .env("SMPPOST_JOURNAL", self.journal())
            .env("HOME", self.dir.path())
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("XDG_DATA_HOME")
            .env("XDG_STATE_HOME", self.state.path())
            .env_remove("RUST_LOG")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(File::create(&files[0]).expect("a file for stdout"))
            .stderr(File::create(&files[1]).expect("a file for stderr"));
        let child = command.spawn().expect("the program started");
        Running { child, files, started: Instant::now(), deadline: self.deadline }
    }

    /// Runs to the end, which has to come before the deadline.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> Ended {
        self.spawn(arguments).wait()
    }

    /// The arguments of `send` that every test wants, and more.
    pub fn send_arguments<'a>(&self, csv: &'a str, port: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        let mut arguments = vec!["send", csv, "--host", "127.0.0.1", "--port", port, "--system-id", "test"];
        let defaults = [
            ("--campaign", "c"),
            ("--from", "Test"),
            ("--rate", "unlimited"),
            ("--receipts", "all"),
            ("--wait-receipts", "10s"),
            ("--response-timeout", "5s"),
        ];
        for (option, value) in defaults {
            if !more.contains(&option) {
                arguments.extend([option, value]);
            }
        }
        arguments.extend(more);
        arguments
    }

    /// Writes the rows to `c.csv` and sends them.
    #[track_caller]
    pub fn send(&self, rows: &str, port: u16, more: &[&str]) -> Ended {
        self.spawn_send(rows, port, more).wait()
    }

    pub fn spawn_send(&self, rows: &str, port: u16, more: &[&str]) -> Running {
        self.file("c.csv", rows);
        self.spawn(&self.send_arguments("c.csv", &port.to_string(), more))
    }
}

impl Running {
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by its name, such as `INT`.
    pub fn signal(&self, name: &str) {
        let signal: Signal = format!("SIG{name}").parse().unwrap();
        // By the system call: not every machine has the program.
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap_or_else(|error| panic!("no signal {name}: {error}"));
    }

    /// kill -9, and waits until it is dead.
    pub fn kill(mut self) -> Ended {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.ended(None)
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("its state").is_none()
    }

    pub fn stderr(&self) -> String {
        read(&self.files[1])
    }

    /// Waits until it has said these words on stderr.
    #[track_caller]
    pub fn wait_for_words(&mut self, words: &str) {
        let until = Instant::now() + PATIENCE;
        while !self.stderr().contains(words) {
            assert!(self.is_running() && Instant::now() < until, "{words:?} is not said:\n{}", self.stderr());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits for the end, which has to come before the deadline.
    #[track_caller]
    pub fn wait(self) -> Ended {
        let deadline = self.deadline;
        self.wait_at_most(deadline)
    }

    #[track_caller]
    pub fn wait_at_most(mut self, deadline: Duration) -> Ended {
        let until = Instant::now() + deadline;
        loop {
            if let Some(status) = self.child.try_wait().expect("its state") {
                return self.ended(status.code());
            }
            if Instant::now() >= until {
                let stuck = self.kill();
                panic!("the program did not end within {deadline:?}\n{}", stuck.said());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn ended(&self, code: Option<i32>) -> Ended {
        Ended { code, stdout: read(&self.files[0]), stderr: read(&self.files[1]), took: self.started.elapsed() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}

// Rows ---------------------------------------------------------------------------------------------------------------

/// The number of row `n`, from 0.
pub fn number(n: usize) -> String {
    format!("4477009{n:05}")
}

/// Rows with the text that `text` makes for each.
pub fn rows_with(n: usize, text: impl Fn(usize) -> String) -> String {
    let mut csv = "to,text\n".to_owned();
    for row in 0..n {
        let _ = writeln!(csv, "{},\"{}\"", number(row), text(row).replace('"', "\"\""));
    }
    csv
}

pub fn rows(n: usize) -> String {
    rows_with(n, |row| format!("Hello number {row}"))
}

/// Each in three parts of the default alphabet, with characters of its extension where parts end.
pub fn long_rows(n: usize) -> String {
    rows_with(n, |row| {
        let text = format!("Row {row}: {}", "all is well [€] and so on, @ {any} time of day. ".repeat(20));
        text.chars().take(400).collect()
    })
}

/// In UCS2, one part or two, with characters outside the basic plane everywhere.
pub fn emoji_rows(n: usize) -> String {
    rows_with(n, |row| format!("{row} {}", "😀👍🏽".repeat(if row % 2 == 0 { 5 } else { 15 })))
}

/// With columns for a template such as `Dear {name}, {amount} €`.
pub fn personal_rows(n: usize) -> String {
    let mut csv = "to,name,amount\n".to_owned();
    for row in 0..n {
        let _ = writeln!(csv, "{},Person {row},{}", number(row), row * 7);
    }
    csv
}

// The journal --------------------------------------------------------------------------------------------------------

pub fn open(journal: &Path) -> Connection {
    let connection = Connection::open_with_flags(journal, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("the journal");
    connection.busy_timeout(Duration::from_secs(5)).expect("a timeout");
    connection
}

/// How many messages are in which state. States of none are left out.
pub fn states(journal: &Path, campaign: &str) -> BTreeMap<String, i64> {
    let connection = open(journal);
    let mut query =
        connection.prepare("SELECT state, count(*) FROM message_status WHERE campaign = ?1 GROUP BY state").unwrap();
    let rows = query.query_map([campaign], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.map(Result::unwrap).collect()
}

/// The states that `states` should tell.
pub fn expected<const N: usize>(states: [(&str, i64); N]) -> BTreeMap<String, i64> {
    states.into_iter().map(|(state, count)| (state.to_owned(), count)).collect()
}

/// One number out of the journal.
pub fn one(journal: &Path, sql: &str) -> i64 {
    open(journal).query_row(sql, [], |row| row.get(0)).unwrap_or_else(|error| panic!("{sql}: {error}"))
}

/// An attempt as the journal tells it.
#[derive(Clone, Debug)]
pub struct Attempt {
    pub campaign: String,
    pub line: i64,
    pub part: i64,
    pub attempt: i64,
    pub session_id: i64,
    pub sequence_number: u32,
    pub state: String,
    pub command_status: Option<u32>,
    pub message_id: Option<String>,
    pub destination: String,
    pub source: Option<String>,
}

pub fn attempts(journal: &Path) -> Vec<Attempt> {
    let connection = open(journal);
    let mut query = connection
        .prepare(
            "SELECT a.campaign, a.line, a.part, a.attempt, a.session_id, a.sequence_number, a.state, a.command_status,
                    a.message_id, m.destination, m.source
               FROM attempt_log a JOIN message_status m ON m.campaign = a.campaign AND m.line = a.line
              ORDER BY a.sequence_number",
        )
        .unwrap();
    let rows = query.query_map([], |row| {
        Ok(Attempt {
            campaign: row.get(0)?,
            line: row.get(1)?,
            part: row.get(2)?,
            attempt: row.get(3)?,
            session_id: row.get(4)?,
            sequence_number: row.get(5)?,
            state: row.get(6)?,
            command_status: row.get(7)?,
            message_id: row.get(8)?,
            destination: row.get(9)?,
            source: row.get(10)?,
        })
    });
    rows.unwrap().map(Result::unwrap).collect()
}

/// What may differ between journal and ledger.
#[derive(Clone, Copy, Debug, Default)]
pub struct Leeway {
    /// Answers may have been lost on their way: what the SMSC accepted may be in doubt.
    pub answers_lost: bool,
    /// A destination may get the same part more than once although no attempt was refused.
    pub repeats: bool,
    /// The program was killed and has not been started again: what it claimed may still say so.
    pub unsettled: bool,
}

/// Compares the journal with what the SMSC got, row by row, and says what does not agree.
pub fn disagreements(journal: &Path, ledger: &[Submit], leeway: Leeway) -> Vec<String> {
    let mut wrong = Vec::new();
    let attempts = attempts(journal);
    let mut by_number: HashMap<(u32, &str), Vec<&Attempt>> = HashMap::new();
    for attempt in &attempts {
        by_number.entry((attempt.sequence_number, &attempt.destination)).or_default().push(attempt);
    }
    let mut received = BTreeSet::new();
    let mut parts_accepted: BTreeMap<(String, i64, i64), usize> = BTreeMap::new();
    for submit in ledger {
        let what = format!("submit {} (number {}, to {})", submit.nth, submit.sequence_number, submit.destination);
        let found = by_number.get(&(submit.sequence_number, submit.destination.as_str())).map_or(&[][..], |v| v);
        let [attempt] = found else {
            wrong.push(format!("{what} is {} attempts in the journal", found.len()));
            continue;
        };
        received.insert(attempt.sequence_number);
        compare(&mut wrong, &what, submit, attempt, leeway);
        if submit.status.is_none_or(|status| status == 0) {
            *parts_accepted.entry((attempt.campaign.clone(), attempt.line, attempt.part)).or_default() += 1;
        }
    }
    for attempt in &attempts {
        let never_left = attempt.state == "not written"
            || attempt.state.starts_with("in doubt")
            || (leeway.unsettled && attempt.state == "claimed");
        if !received.contains(&attempt.sequence_number) && !never_left {
            wrong.push(format!("the SMSC never got this one: {attempt:?}"));
        }
    }
    if !leeway.repeats {
        for ((_, line, part), _) in parts_accepted.iter().filter(|(_, count)| **count > 1) {
            wrong.push(format!("line {line} part {part} was sent more than once without a refusal"));
        }
    }
    compare_texts(&mut wrong, journal, ledger, &by_number);
    compare_sums(&mut wrong, journal);
    wrong
}

/// Fails when journal and ledger do not agree.
#[track_caller]
pub fn assert_agree(journal: &Path, ledger: &[Submit], leeway: Leeway) {
    let wrong = disagreements(journal, ledger, leeway);
    let shown: Vec<&String> = wrong.iter().take(20).collect();
    assert!(wrong.is_empty(), "journal and ledger disagree in {} things: {shown:#?}", wrong.len());
}

fn compare(wrong: &mut Vec<String>, what: &str, submit: &Submit, attempt: &Attempt, leeway: Leeway) {
    if attempt.source.as_deref().unwrap_or_default() != submit.source {
        wrong.push(format!("{what}: source {:?} and {:?}", submit.source, attempt.source));
    }
    if i64::from(submit.part.map_or(1, |part| part.number)) != attempt.part {
        wrong.push(format!("{what}: part {:?} and {}", submit.part, attempt.part));
    }
    let is_settled = |state: &str| attempt.state == state;
    let is_doubt = attempt.state.starts_with("in doubt");
    let is_claimed = attempt.state == "claimed" && leeway.unsettled;
    let agree = match submit.status {
        Some(0) => {
            is_settled("accepted") && attempt.message_id.as_deref() == submit.message_id.as_deref()
                || leeway.answers_lost && (is_doubt || is_claimed)
        }
        Some(status) => {
            (is_settled("to retry") || is_settled("rejected")) && attempt.command_status == Some(status)
                || leeway.answers_lost && (is_doubt || is_claimed)
        }
        None => is_doubt || is_claimed,
    };
    if !agree {
        let (status, id) = (submit.status, &submit.message_id);
        wrong.push(format!("{what}: answered {status:?} with id {id:?}, but the journal has {attempt:?}"));
    }
}

/// The parts of each message, put together, are its text.
fn compare_texts(
    wrong: &mut Vec<String>,
    journal: &Path,
    ledger: &[Submit],
    by_number: &HashMap<(u32, &str), Vec<&Attempt>>,
) {
    let mut parts: BTreeMap<(String, i64), BTreeMap<i64, &str>> = BTreeMap::new();
    for submit in ledger {
        let found = by_number.get(&(submit.sequence_number, submit.destination.as_str()));
        let Some(attempt) = found.and_then(|found| found.first()) else { continue };
        let texts = parts.entry((attempt.campaign.clone(), attempt.line)).or_default();
        let before = texts.insert(attempt.part, &submit.text);
        if before.is_some_and(|before| before != submit.text) {
            wrong.push(format!("line {} part {} has two texts", attempt.line, attempt.part));
        }
    }
    let connection = open(journal);
    let mut query = connection.prepare("SELECT campaign, line, text, parts FROM message_status").unwrap();
    let mut rows = query.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        let key: (String, i64) = (row.get(0).unwrap(), row.get(1).unwrap());
        let (text, count): (String, i64) = (row.get(2).unwrap(), row.get(3).unwrap());
        let Some(texts) = parts.get(&key) else { continue };
        if texts.len() as i64 == count && texts.values().copied().collect::<String>() != text {
            wrong.push(format!("line {}: sent {:?} instead of {text:?}", key.1, texts));
        }
    }
}

/// Every message is in one state, and all views count alike.
fn compare_sums(wrong: &mut Vec<String>, journal: &Path) {
    let connection = open(journal);
    let mut query = connection
        .prepare(
            "SELECT campaign, messages, queued, sending, accepted, delivered, partly_delivered, failed, rejected, in_doubt,
                    cancelled, suppressed FROM campaign_summary",
        )
        .unwrap();
    let names = [
        "queued",
        "sending",
        "accepted",
        "delivered",
        "partly_delivered",
        "failed",
        "rejected",
        "in_doubt",
        "cancelled",
        "suppressed",
    ];
    let mut rows = query.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        let (campaign, messages): (String, i64) = (row.get(0).unwrap(), row.get(1).unwrap());
        let summary: BTreeMap<String, i64> = (names.iter().enumerate())
            .map(|(at, name)| ((*name).to_owned(), row.get::<_, i64>(at + 2).unwrap()))
            .filter(|(_, count)| *count != 0)
            .collect();
        let status = states(journal, &campaign);
        if summary != status {
            wrong.push(format!("campaign_summary has {summary:?}, message_status {status:?}"));
        }
        if status.values().sum::<i64>() != messages {
            wrong.push(format!("{messages} messages, but states {status:?}"));
        }
    }
}
