//! A month of a service in little time: campaigns one after another, receipts, sessions that the SMSC ends, and readers beside it.
//!
//! `SMPPOST_SOAK=10000000`: as many messages, in campaigns of at least 1,000 (1,000 campaigns at most), with 3,000 reconnects; take a release
//! build for it. From five million on memory has to be flat, and no commit may be waited for
//! longer than a second, and than this machine makes everybody wait.

use crate::common::{Running, Smppost, one};
use crate::lab::{Simulator, connect};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Messages from which on a slope says something: the index of message ids is filled by and by.
const MANY: u64 = 5_000_000;
/// Campaigns that are imported ahead.
const AHEAD: u64 = 3;

struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What a process holds at a moment.
#[derive(Clone, Copy, Debug, Default)]
struct Sample {
    messages: f64,
    rss_kib: f64,
    threads: f64,
    files: f64,
    wal_kib: f64,
}

impl Sample {
    fn take(process: u32, journal: &Path, messages: usize) -> Option<Self> {
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
        let number = |key: &str| -> Option<f64> {
            status.lines().find_map(|line| line.strip_prefix(key))?.split_whitespace().next()?.parse().ok()
        };
        let wal = std::fs::metadata(journal.with_extension("db-wal")).map_or(0, |meta| meta.len());
        Some(Self {
            messages: messages as f64,
            rss_kib: number("VmRSS:")?,
            threads: number("Threads:")?,
            files: std::fs::read_dir(format!("/proc/{process}/fd")).ok()?.count() as f64,
            wal_kib: wal as f64 / 1_024.0,
        })
    }
}

/// The longest time in which this machine's disk, or its processors, kept another process from writing down a line: what a commit
/// beside it waits for as well.
fn stalls(folder: &Path, is_over: &AtomicBool, longest_ms: &AtomicUsize) {
    let file = std::fs::File::create(folder.join("stalls")).unwrap();
    while !is_over.load(Ordering::Relaxed) {
        let begun = Instant::now();
        (&file).write_all(b"a line\n").unwrap();
        file.sync_data().unwrap();
        std::thread::sleep(Duration::from_millis(20));
        let stalled = begun.elapsed().saturating_sub(Duration::from_millis(20)).as_millis();
        longest_ms.fetch_max(stalled as usize, Ordering::Relaxed);
    }
}

/// By how much it rises in a million messages, by least squares.
fn slope(samples: &[Sample], of: impl Fn(&Sample) -> f64) -> f64 {
    let n = samples.len() as f64;
    let (x, y) = samples.iter().fold((0.0, 0.0), |(x, y), sample| (x + sample.messages / n, y + of(sample) / n));
    let products = samples.iter().map(|sample| (sample.messages - x) * (of(sample) - y)).sum::<f64>();
    let squares = samples.iter().map(|sample| (sample.messages - x).powi(2)).sum::<f64>();
    1e6 * products / squares.max(1.0)
}

/// Messages that the SMSC took, and those that it got.
fn counted(ledger: &Path) -> (usize, usize) {
    let (mut taken, mut submits) = (0, 0);
    for line in BufReader::new(std::fs::File::open(ledger).unwrap()).lines() {
        let line = line.unwrap();
        if line.contains("\"kind\":\"submit\"") {
            submits += 1;
            taken += usize::from(line.contains("\"status\":0,"));
        }
    }
    (taken, submits)
}

#[test]
fn a_month_of_campaigns_reconnects_and_readers_costs_no_more_at_its_end() {
    let messages = crate::lab::setting("SMPPOST_SOAK", 20_000);
    let campaigns = (messages / 1_000).clamp(1, 1_000);
    let reconnects = crate::lab::setting("SMPPOST_SOAK_RECONNECTS", (messages / 3_333).max(30));
    let smppost = Smppost::new().deadline(Duration::from_secs(4 * 3_600));
    let unbind = format!("unbind={}", messages / reconnects);
    let simulator = Simulator::start(&smppost.path(""), &["--receipt-delay", "50ms..500ms", "--fault", &unbind]);
    let run = ["--create", "--rate", "unlimited", "--window", "100", "--connections", "2"];
    let mut service =
        smppost.spawn_with(&connect("run", simulator.port, &run).each(), &[("RUST_LOG", "smppost::journal=debug")]);
    service.wait_for_words("bound to");
    let begun = Instant::now();
    let (journal, process) = (smppost.journal(), service.id());
    let (delivered, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let (mut samples, folder) = (Vec::new(), smppost.path(""));
    let stalled = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        // Whatever comes of it, the readers end.
        let _ends = Ends(&is_over);
        scope.spawn(|| stalls(&folder, &is_over, &stalled));
        scope.spawn(|| {
            // Readers, one after another.
            for n in 0.. {
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
                let newest = format!("c{}", delivered.load(Ordering::Relaxed) as u64 * campaigns / messages.max(1));
                let read: &[&str] = match n % 4 {
                    0 => &["list"],
                    1 => &["report", &newest],
                    2 => &["status", "--format", "json"],
                    _ => &["report", &newest, "--messages", "--format", "csv"],
                };
                reader(&folder, &journal, read);
                std::thread::sleep(Duration::from_millis(300));
            }
        });
        let size = messages / campaigns;
        let mut next = 0;
        let mut left = one_or(&journal, 0);
        let mut news = Instant::now();
        while left < messages as i64 {
            let is_due = left as u64 + AHEAD * size >= next * size;
            if next < campaigns && is_due {
                let rows: String =
                    (next * size..(next + 1) * size).map(|row| format!("4477{row:08},Hello number {row}\n")).collect();
                let file = format!("c{next}.csv");
                smppost.file(&file, format!("to,text\n{rows}"));
                let sent = smppost.run(&["send", &file, "--from", "Test", "--receipts", "all", "--detach"]);
                sent.assert_code(0);
                std::fs::remove_file(smppost.path(&file)).unwrap();
                next += 1;
            } else {
                std::thread::sleep(Duration::from_millis(100));
            }
            let now = one_or(&journal, left);
            if now > left {
                news = Instant::now();
            }
            left = now;
            assert!(news.elapsed() < Duration::from_secs(120), "it stands still: {left} {}", tail(&service));
            delivered.store(left as usize, Ordering::Relaxed);
            samples.extend(Sample::take(process, &journal, left as usize));
        }
    });
    let took = begun.elapsed();
    service.signal("TERM");
    let ended = service.wait();
    ended.assert_code(0);
    let (taken, submits) = counted(&simulator.ledger);
    let binds = one(&journal, "SELECT count(*) FROM session");
    let pause =
        ended.stderr.split("the longest ").nth(1).and_then(|words| words.split(' ').next()?.parse::<u64>().ok());
    let pause = pause.unwrap_or_else(|| panic!("no longest pause: {}", ended.stderr));
    let stalled = stalled.into_inner() as u64;
    // The first third fills what is kept in memory.
    let later = &samples[samples.len() / 3..];
    let most = |of: fn(&Sample) -> f64| samples.iter().map(of).fold(0.0, f64::max);
    let rise = slope(later, |sample| sample.rss_kib) / 1_024.0;
    println!(
        "{messages} messages and receipts, {campaigns} campaigns, {binds} sessions, in {took:?} ({:.0}/s); RSS {:.0} MiB at most, {rise:+.1} MiB a \
         million; threads {:.0} ({:+.2}), files {:.0} ({:+.2}), WAL {:.0} MiB at most; longest pause {pause} ms, of the machine {stalled} ms; {} samples",
        messages as f64 / took.as_secs_f64(),
        most(|sample| sample.rss_kib) / 1_024.0,
        most(|sample| sample.threads),
        slope(later, |sample| sample.threads),
        most(|sample| sample.files),
        slope(later, |sample| sample.files),
        most(|sample| sample.wal_kib) / 1_024.0,
        samples.len(),
    );
    assert_eq!(taken, messages as usize, "none twice: {submits} came");
    let states = "SELECT count(*) FROM campaign_summary WHERE delivered < messages";
    assert_eq!(one(&journal, states), 0);
    assert!(binds as u64 >= reconnects / 3, "{binds} sessions");
    // Each session has two threads and two or three files; they are as many at the end as at the beginning.
    assert!(most(|sample| sample.threads) <= 20.0 && most(|sample| sample.files) <= 60.0);
    assert!(most(|sample| sample.rss_kib) < 400.0 * 1_024.0);
    assert!(most(|sample| sample.wal_kib) < 256.0 * 1_024.0);
    if messages >= MANY {
        assert!(rise < 8.0, "{rise} MiB in a million messages");
        assert!(slope(later, |sample| sample.files).abs() < 2.0 && slope(later, |sample| sample.threads).abs() < 2.0);
        assert!(pause < 1_000 + stalled, "{pause} ms");
    }
    crate::lab::verify(&smppost);
}

fn one_or(journal: &Path, before: i64) -> i64 {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let read = rusqlite::Connection::open_with_flags(journal, flags).and_then(|connection| {
        connection.query_row("SELECT coalesce(sum(delivered), 0) FROM campaign_summary", [], |row| row.get(0))
    });
    read.unwrap_or(before)
}

/// Whatever it finds: campaigns may not be there yet.
fn reader(folder: &Path, journal: &Path, arguments: &[&str]) {
    use std::process::{Command, Stdio};
    let mut command = Command::new(env!("CARGO_BIN_EXE_smppost"));
    command.args(arguments).current_dir(folder).env("SMPPOST_JOURNAL", journal);
    command.env("HOME", folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().unwrap();
}

fn tail(service: &Running) -> String {
    let said = service.stderr();
    said.lines().rev().take(20).collect::<Vec<_>>().join("\n")
}
