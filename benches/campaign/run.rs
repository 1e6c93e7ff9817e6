//! One run of one case, and its figures.

use crate::ledger::{Judged, judge};
use crate::{Options, Receipts};
use rusqlite::{Connection, OpenFlags};
use smppost::testing::policy::pacer::Rate;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What was measured; not a number: not asked for.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    per_second: f64,
    cpu_us: f64,
    system_us: f64,
    simulator_us: f64,
    rss_mb: f64,
    journal_octets: f64,
    parts_per_claim: f64,
    /// All of the sender's CPU time as a share of a core while it ran.
    core: f64,
    answer_ms: [f64; 2],
    receipt_ms: [f64; 2],
    syncs: f64,
    import_s: f64,
    report_s: f64,
    start_s: f64,
    judged: Judged,
    /// CPU us a message of the journal thread, the feeder, the readers, the writers.
    threads_us: [f64; 4],
}

impl Figures {
    pub fn words(&self) -> String {
        format!(
            "{:.0} messages/s, {:.2} us, {:.0} MB, {:.0} octets",
            self.per_second, self.cpu_us, self.rss_mb, self.journal_octets
        )
    }

    pub fn row(&self) -> String {
        format!(
            "{:.0} | {:.2} | {:.2} | {:.2} | {:.0} | {:.0} | {:.0}",
            self.per_second,
            self.cpu_us,
            self.system_us,
            self.simulator_us,
            self.rss_mb,
            self.journal_octets,
            self.parts_per_claim
        )
    }

    /// What was asked for beside the table.
    pub fn more(&self) -> Option<String> {
        let mut words = String::new();
        let mut add = |value: f64, text: String| {
            if !value.is_nan() {
                let _ = write!(words, "\n  {text}");
            }
        };
        let [p50, p99] = self.answer_ms;
        add(p50, format!("answers after {p50} ms, 99% within {p99} ms"));
        let [p50, p99] = self.receipt_ms;
        add(p50, format!("receipts {p50} ms after the answers, 99% within {p99} ms"));
        let [journal, feeder, reader, writer] = self.threads_us;
        add(
            journal,
            format!(
                "journal thread {journal:.2} us a message ({:.0}/s if it has a core), feeder {feeder:.2}, readers {reader:.2}, \
                 writers {writer:.2}",
                1e6 / journal
            ),
        );
        add(self.core, format!("the sender used {:.2}% of a core", self.core * 100.0));
        add(self.syncs, format!("{:.3} syncs a message", self.syncs));
        add(self.import_s, format!("import {:.2} s", self.import_s));
        add(self.report_s, format!("report {:.2} s", self.report_s));
        add(self.start_s, format!("a start with nothing left to do {:.2} s", self.start_s));
        let judged = self.judged;
        add(judged.used, format!("{:.2}% of the rate used", judged.used * 100.0));
        add(judged.used, format!("{} messages in the fullest second", judged.fullest_second));
        let [p50, p99] = judged.late.map(|late| late * 1e3);
        add(p50, format!("{p50:.2} ms later than an even flow, 99% within {p99:.2} ms"));
        let [p50, p99] = judged.receipt_answered.map(|late| late * 1e3);
        add(p50, format!("receipts committed and answered after {p50:.2} ms, 99% within {p99:.2} ms"));
        (!words.is_empty()).then_some(words)
    }

    pub fn medians(runs: &[Self]) -> Self {
        let median = |of: &dyn Fn(&Self) -> f64| {
            let mut values: Vec<f64> = runs.iter().map(of).collect();
            values.sort_unstable_by(f64::total_cmp);
            values[values.len() / 2]
        };
        let both = |of: &dyn Fn(&Self) -> [f64; 2]| [0, 1].map(|n| median(&|run| of(run)[n]));
        Self {
            per_second: median(&|run| run.per_second),
            cpu_us: median(&|run| run.cpu_us),
            system_us: median(&|run| run.system_us),
            simulator_us: median(&|run| run.simulator_us),
            rss_mb: median(&|run| run.rss_mb),
            journal_octets: median(&|run| run.journal_octets),
            parts_per_claim: median(&|run| run.parts_per_claim),
            core: median(&|run| run.core),
            answer_ms: both(&|run| run.answer_ms),
            receipt_ms: both(&|run| run.receipt_ms),
            syncs: median(&|run| run.syncs),
            threads_us: [0, 1, 2, 3].map(|n| median(&|run| run.threads_us[n])),
            import_s: median(&|run| run.import_s),
            report_s: median(&|run| run.report_s),
            start_s: median(&|run| run.start_s),
            judged: Judged {
                used: median(&|run| run.judged.used),
                fullest_second: median(&|run| run.judged.fullest_second as f64) as usize,
                late: both(&|run| run.judged.late),
                receipt_answered: both(&|run| run.judged.receipt_answered),
            },
        }
    }
}

/// A folder for one run, on the disk on which the program was built.
struct Place {
    folder: tempfile::TempDir,
    program: PathBuf,
}

impl Place {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.env("SMPPOST_JOURNAL", self.path("journal.db")).env("SMPPOST_PASSWORD", "secret");
        command.current_dir(self.folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }
}

pub fn run(options: &Options) -> Figures {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let place = Place { folder, program: options.program.clone() };
    if options.before > 0 && !options.in_process {
        let first = Options { ledger: false, fsyncs: false, before: 0, ..options.clone() };
        import(&place, &first, "before", options.before);
        // The simulator counts its ids on from the clock: a later one repeats none.
        let mut simulator = Simulator::start(&place, &first);
        send(&place, &first, "before", &simulator);
        simulator.stop();
    }
    let mut figures = in_place(&place, options);
    if options.around {
        let report = timed(place.command().args(["report", "bench"]));
        figures.report_s = report.as_secs_f64();
        // Where receipts are outstanding it would go on to wait for them; nobody listens there.
        let mut resume = place.command();
        resume.args(["resume", "bench", "--host", "127.0.0.1", "--port", "1", "--system-id", "bench"]);
        let started = Instant::now();
        let _ = resume.args(["--give-up-after", "1ms"]).output().expect("the program");
        figures.start_s = started.elapsed().as_secs_f64();
    }
    figures
}

fn in_place(place: &Place, options: &Options) -> Figures {
    let octets_before = Facts::journal_octets(place);
    // A rehearsal leaves a journal alone that was made for real messages: it imports the file itself.
    let import_s = if options.in_process {
        write(place, "bench", options.messages);
        f64::NAN
    } else {
        import(place, options, "bench", options.messages).as_secs_f64()
    };
    let (cost, simulator_s) = if options.in_process {
        (run_sender(place, options, &mut send_in_one(place, options)), f64::NAN)
    } else {
        let mut simulator = Simulator::start(place, options);
        let cost = send(place, options, "bench", &simulator);
        (cost, simulator.stop())
    };
    let facts = Facts::gather(place, options);
    facts.check(options);
    let messages = options.messages as f64;
    let rate = match options.rate {
        Rate::PerSecond(rate) => Some(rate),
        Rate::Unlimited => None,
    };
    let none = [f64::NAN; 2];
    let unjudged = Judged { used: f64::NAN, late: none, receipt_answered: none, fullest_second: 0 };
    let judged = if options.ledger { judge(&place.path("ledger.jsonl"), rate) } else { unjudged };
    Figures {
        per_second: messages / facts.seconds,
        cpu_us: (cost.user_s + cost.system_s) / messages * 1e6,
        system_us: cost.system_s / messages * 1e6,
        simulator_us: simulator_s / messages * 1e6,
        rss_mb: cost.rss_kib as f64 / 1024.0,
        journal_octets: facts.octets.saturating_sub(octets_before) as f64 / messages,
        parts_per_claim: messages / facts.claims as f64,
        core: rate.map_or(f64::NAN, |_| (cost.user_s + cost.system_s) / cost.took.as_secs_f64()),
        answer_ms: facts.answer_ms,
        receipt_ms: facts.receipt_ms,
        syncs: cost.syncs.map_or(f64::NAN, |syncs| syncs as f64 / messages),
        threads_us: cost.threads_s.map(|seconds| seconds / messages * 1e6),
        import_s: if options.around { import_s } else { f64::NAN },
        report_s: f64::NAN,
        start_s: f64::NAN,
        judged: if rate.is_some() { judged } else { Judged { used: f64::NAN, late: none, ..judged } },
    }
}

fn timed(command: &mut Command) -> Duration {
    let started = Instant::now();
    let output = command.output().expect("the program");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    started.elapsed()
}

/// Writes a file of messages of 60 characters.
fn write(place: &Place, name: &str, messages: u64) -> PathBuf {
    let path = place.path(&format!("{name}.csv"));
    let mut file = BufWriter::new(File::create(&path).expect("a file"));
    writeln!(file, "to,text").expect("a row");
    for n in 0..messages {
        writeln!(file, "{},Your parcel {n:010} comes today between 10 and 12. Thank you.", 447_000_000_000 + n)
            .expect("a row");
    }
    file.flush().expect("a file");
    // One that was changed just now is looked at again after 2 s, which is no part of an import.
    let before = std::time::SystemTime::now() - Duration::from_secs(60);
    file.get_ref().set_modified(before).expect("its time");
    path
}

/// Writes such a file and imports it. Returns how long the import took.
fn import(place: &Place, options: &Options, name: &str, messages: u64) -> Duration {
    let path = write(place, name, messages);
    let receipts = if options.receipts == Receipts::All { "all" } else { "none" };
    timed(place.command().arg("import").arg(&path).args(["--receipts", receipts]))
}

struct Simulator {
    child: Child,
    port: String,
}

impl Simulator {
    fn start(place: &Place, options: &Options) -> Self {
        let mut command = place.command();
        command.args(["smsc", "--port", "0", "--rate", "unlimited", "--max-connections", "64"]);
        command.args(["--message-id", &options.ids, "--receipt-delay", &options.receipt_delay]);
        if options.ledger {
            command.arg("--ledger").arg(place.path("ledger.jsonl"));
        }
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the simulator");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line).expect("its first line");
        let port = line.trim().rsplit(':').next().expect("a port").to_owned();
        Self { child, port }
    }

    /// Returns its CPU time in seconds.
    fn stop(&mut self) -> f64 {
        let [user, system, _, _] = cpu(&format!("/proc/{}/stat", self.child.id()));
        self.child.kill().expect("the simulator");
        self.child.wait().expect("the simulator");
        user + system
    }
}

struct Cost {
    user_s: f64,
    system_s: f64,
    rss_kib: u64,
    took: Duration,
    syncs: Option<u64>,
    /// See [`THREADS`].
    threads_s: [f64; 4],
}

fn send(place: &Place, options: &Options, campaign: &str, simulator: &Simulator) -> Cost {
    let mut command = sender(place, options);
    command.args(["resume", campaign, "--host", "127.0.0.1", "--port", &simulator.port, "--system-id", "bench"]);
    how_fast(&mut command, options);
    run_sender(place, options, &mut command)
}

/// Sender and simulator as one process.
fn send_in_one(place: &Place, options: &Options) -> Command {
    let mut command = sender(place, options);
    let receipts = if options.receipts == Receipts::All { "all" } else { "none" };
    command.arg("send").arg(place.path("bench.csv")).args(["--simulate", "--receipts", receipts]);
    how_fast(&mut command, options);
    command
}

/// The program, under strace if its system calls are to be counted.
fn sender(place: &Place, options: &Options) -> Command {
    let command = place.command();
    if !options.fsyncs {
        return command;
    }
    let mut strace = Command::new("strace");
    strace.args(["-f", "-c", "-e", "trace=fsync,fdatasync", "-o"]).arg(place.path("syncs")).arg(&place.program);
    strace.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    strace.current_dir(place.folder.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    strace
}

fn how_fast(command: &mut Command, options: &Options) {
    command.args(["--window", &options.window.to_string(), "--connections", &options.connections.to_string()]);
    command.args([
        "--rate",
        options.rate.to_string().trim_end_matches("/s"),
        "--wait-receipts",
        &options.wait_receipts,
    ]);
}

fn run_sender(place: &Place, options: &Options, command: &mut Command) -> Cost {
    let [_, _, user_before, system_before] = cpu("/proc/self/stat");
    let started = Instant::now();
    let mut child = command.spawn().expect("the program");
    let mut rss_kib = 0;
    let mut threads_s = [f64::NAN; 4];
    let status = loop {
        if let Some(status) = child.try_wait().expect("the program") {
            break status;
        }
        rss_kib = peak(&format!("/proc/{}/status", child.id())).unwrap_or(rss_kib);
        if !options.fsyncs {
            threads_s = threads(child.id(), threads_s);
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    let took = started.elapsed();
    if !status.success() {
        let output = child.wait_with_output().expect("its words");
        panic!("{command:?}: {status}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let [_, _, user, system] = cpu("/proc/self/stat");
    let syncs = options.fsyncs.then(|| {
        let text = std::fs::read_to_string(place.path("syncs")).expect("the counts of strace");
        let calls = |line: &str| line.split_whitespace().nth(3).and_then(|calls| calls.parse::<u64>().ok());
        text.lines().filter(|line| line.trim_end().ends_with("sync")).filter_map(calls).sum()
    });
    Cost { user_s: user - user_before, system_s: system - system_before, rss_kib, took, syncs, threads_s }
}

/// User and system time of a process, and of those that it waited for, in seconds.
fn cpu(path: &str) -> [f64; 4] {
    let text = std::fs::read_to_string(path).expect("the times of a process");
    let (_, fields) = text.rsplit_once(')').expect("the times of a process");
    let fields: Vec<&str> = fields.split_whitespace().collect();
    [11, 12, 13, 14].map(|n| fields[n].parse::<f64>().expect("a number") / 100.0)
}

/// Names of threads begin so.
const THREADS: [&str; 4] = ["journal", "feeder", "reader", "writer"];

/// CPU time of the threads of a process so far, in seconds. Those that ended keep what was seen of them last.
fn threads(process: u32, before: [f64; 4]) -> [f64; 4] {
    let mut seconds = [0.0; 4];
    for task in std::fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten() {
        let Ok(name) = std::fs::read_to_string(task.path().join("comm")) else { continue };
        let Some(n) = THREADS.iter().position(|thread| name.starts_with(thread)) else { continue };
        let Ok(times) = std::fs::read_to_string(task.path().join("schedstat")) else { continue };
        seconds[n] += times.split_whitespace().next().and_then(|ns| ns.parse::<f64>().ok()).unwrap_or(0.0) / 1e9;
    }
    [0, 1, 2, 3].map(|n| seconds[n].max(before[n]))
}

/// The most memory that was resident, in KiB.
fn peak(path: &str) -> Option<u64> {
    let text = std::fs::read_to_string(path).ok()?;
    text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.split_whitespace().next()?.parse().ok()
}

/// What the journal says.
struct Facts {
    seconds: f64,
    answers: u64,
    receipts: u64,
    claims: u64,
    octets: u64,
    answer_ms: [f64; 2],
    receipt_ms: [f64; 2],
}

impl Facts {
    fn journal_octets(place: &Place) -> u64 {
        std::fs::metadata(place.path("journal.db")).map_or(0, |meta| meta.len())
    }

    fn gather(place: &Place, options: &Options) -> Self {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        let journal = Connection::open_with_flags(place.path("journal.db"), flags).expect("the journal");
        let (first, end): (i64, i64) = journal
            .query_row("SELECT first_id, end_id FROM campaign WHERE name = 'bench'", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .expect("the campaign");
        let one = |sql: &str| -> f64 {
            let found: Option<f64> = journal.query_row(sql, [first, end], |row| row.get(0)).expect(sql);
            found.unwrap_or(f64::NAN)
        };
        let began = one("SELECT min(claimed_at) * 1.0 FROM claim WHERE first_part >= ?1 AND first_part < ?2");
        let answers = "FROM answer WHERE outcome = 0 AND attempt >= ?1 << 12 AND attempt < ?2 << 12";
        let receipts = "FROM receipt WHERE final = 1 AND id >= ?1 << 20 AND id < ?2 << 20";
        let answered = one(&format!("SELECT max(answered_at) * 1.0 {answers}"));
        let received = one(&format!("SELECT max(received_at) * 1.0 {receipts}"));
        let ended = if options.complete() { answered.max(received) } else { answered };
        let messages = options.messages as f64;
        let quantiles =
            |sql: &str| [0.5, 0.99].map(|share| one(&format!("{sql} LIMIT 1 OFFSET {}", (messages * share) as u64)));
        let limited = options.rate != Rate::Unlimited;
        let none = [f64::NAN; 2];
        Self {
            seconds: (ended - began) / 1_000.0,
            answers: one(&format!("SELECT count(*) * 1.0 {answers}")) as u64,
            receipts: one(&format!("SELECT count(*) * 1.0 {receipts}")) as u64,
            claims: one("SELECT count(*) * 1.0 FROM claim WHERE first_part >= ?1 AND first_part < ?2") as u64,
            octets: Self::journal_octets(place),
            answer_ms: if limited {
                quantiles(&format!("SELECT answer_ms * 1.0 {answers} ORDER BY answer_ms"))
            } else {
                none
            },
            receipt_ms: if limited && options.complete() {
                quantiles(
                    "SELECT (r.received_at - a.answered_at) * 1.0 AS took FROM receipt r JOIN answer a ON a.attempt = r.id >> 8
                      WHERE r.id >= ?1 << 20 AND r.id < ?2 << 20 ORDER BY took",
                )
            } else {
                none
            },
        }
    }

    /// Nothing is lost, nothing comes twice.
    fn check(&self, options: &Options) {
        assert_eq!(self.answers, options.messages, "messages accepted");
        if options.complete() {
            assert_eq!(self.receipts, options.messages, "receipts matched");
        }
    }
}
