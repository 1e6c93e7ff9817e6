//! A disk that is full, read-only, damaged, or whose journal is taken away, and a report that is held open.

use crate::common::{Running, Smppost, one, rows, skipped};
use crate::lab::{Ledger, Simulator, oracle};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A file system of a size of its own.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None`, with words, where file systems may not be mounted.
    fn mount(at: PathBuf, kib: u64) -> Option<Self> {
        std::fs::create_dir(&at).unwrap();
        let size = format!("size={kib}k");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "none"]).arg(&at).output();
        if mounted.as_ref().is_ok_and(|output| output.status.success()) {
            return Some(Self(at));
        }
        skipped(&format!("no file system may be mounted here ({mounted:?})"));
        None
    }

    fn grow(&self, kib: u64) {
        self.remount(&format!("size={kib}k"));
    }

    fn remount(&self, option: &str) {
        let option = format!("remount,{option}");
        assert!(Command::new("mount").args(["-o", &option]).arg(&self.0).status().unwrap().success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Sends from a journal on a disk of that size until it is full; then makes room and resumes.
fn fill(kib: u64) -> Option<String> {
    const MESSAGES: usize = 20_000;
    let smppost = Smppost::new();
    let disk = SmallDisk::mount(smppost.path("disk"), kib)?;
    let journal = disk.0.join("journal.db");
    let smppost = smppost.environment("SMPPOST_JOURNAL", journal.to_str().unwrap());
    let simulator = Simulator::start(&smppost.path(""), &["--receipt-delay", "20ms"]);
    smppost.file("c.csv", rows(MESSAGES));
    let arguments = crate::lab::send(simulator.port, &["--rate", "5000", "--window", "50", "--wait-receipts", "2s"]);
    let full = smppost.run(&arguments.each());
    let sent = simulator.read().submits.len();
    let mut in_doubt = 0;
    if full.code == Some(1) {
        assert!(full.stderr.contains("no space left"), "{kib} KiB: {}", full.said());
        if sent > 0 {
            in_doubt = one(&journal, "SELECT count(*) FROM attempt_log WHERE state NOT IN ('accepted', 'not written')");
            assert_eq!(in_doubt, 0, "{kib} KiB: answers that were owed were not recorded\n{}", full.said());
            oracle::assert_kept(&format!("{kib} KiB"), &journal, &simulator.read());
        }
    } else {
        full.assert_code(0);
    }
    disk.grow(256 * 1024);
    smppost.run(&arguments.each()).assert_code(0);
    crate::lab::verify(&smppost);
    oracle::assert_kept(&format!("{kib} KiB, resumed"), &journal, &simulator.read());
    assert_eq!(one(&journal, "SELECT count(*) FROM message_status WHERE state = 'delivered'"), MESSAGES as i64);
    Some(format!("{kib:>6} KiB: exit {:?} after {sent} messages, {in_doubt} of them in doubt", full.code.unwrap()))
}

#[test]
fn f40_a_full_disk_stops_sending_and_what_is_owed_is_still_recorded() {
    let sizes = crate::lab::setting("SMPPOST_SIZES", 3);
    for n in 0..sizes {
        let Some(words) = fill(5_000 + n * 15_000 / sizes) else { return };
        println!("{words}");
    }
}

/// Octets that are free on it.
fn free(disk: &SmallDisk) -> u64 {
    let disk = rustix::fs::statvfs(&disk.0).unwrap();
    disk.f_bavail * disk.f_frsize
}

/// A service whose disk is full after so many KiB more, while it sends.
fn serve_until_full(kib: u64) -> Option<(Smppost, SmallDisk, Simulator, Running)> {
    const DISK: u64 = 64 * 1_024;
    let smppost = Smppost::new();
    let disk = SmallDisk::mount(smppost.path("disk"), DISK)?;
    let journal = disk.0.join("journal.db");
    let smppost = smppost.environment("SMPPOST_JOURNAL", journal.to_str().unwrap());
    let simulator = Simulator::start(&smppost.path(""), &["--receipt-delay", "20ms"]);
    smppost.file("c.csv", rows(FILLING));
    let arguments = ["run", "--create", "--rate", "2000", "--window", "50"];
    let mut service = smppost.spawn(&crate::lab::connect(arguments[0], simulator.port, &arguments[1..]).each());
    service.wait_for_words("bound to");
    smppost.run(&["import", "c.csv", "--campaign", "c", "--from", "Test", "--receipts", "all"]).assert_code(0);
    disk.grow(DISK - free(&disk) / 1_024 + kib);
    smppost.run(&["resume", "c", "--detach"]).assert_code(0);
    service.wait_for_words("no space left");
    Some((smppost, disk, simulator, service))
}

/// Messages that need more room than there is.
const FILLING: usize = 20_000;

#[test]
fn on_a_full_disk_a_service_takes_no_receipts_and_goes_on_when_there_is_room() {
    for kib in [100, 1_500] {
        let Some((smppost, disk, simulator, mut service)) = serve_until_full(kib) else { return };
        let journal = disk.0.join("journal.db");
        // Until nothing moves any more.
        let (mut sent, mut still) = (0, 0);
        while still < 5 {
            std::thread::sleep(Duration::from_millis(300));
            let now = simulator.read().submits.len();
            still = if now == sent { still + 1 } else { 0 };
            sent = now;
        }
        assert!(sent < FILLING && service.is_running(), "{kib} KiB: {sent} {}", service.stderr());
        let check = smppost.run(&["status", "--check"]);
        check.assert_code(1);
        assert!(check.said().contains("no space left") || check.said().contains("full"), "{}", check.said());
        disk.grow(256 * 1_024);
        service.wait_for_words("there is room on the disk again");
        let until = Instant::now() + Duration::from_secs(100);
        let done = || one(&journal, "SELECT delivered FROM campaign_summary") == FILLING as i64;
        while !done() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(100));
        }
        assert!(done(), "{:?} {}", crate::common::states(&journal, "c"), service.stderr());
        smppost.run(&["status", "--check"]).assert_code(0);
        service.signal("TERM");
        service.wait().assert_code(0);
        let ledger = simulator.read();
        println!("full after {sent} of {FILLING}; {} binds", ledger.binds);
        assert_eq!(ledger.submits.len(), FILLING, "none twice");
        oracle::assert_kept(&format!("{kib} KiB"), &journal, &ledger);
        crate::lab::verify(&smppost);
    }
}

#[test]
fn a_service_that_waits_for_room_ends_when_it_is_told_to() {
    let Some((smppost, disk, simulator, service)) = serve_until_full(800) else { return };
    let journal = disk.0.join("journal.db");
    std::thread::sleep(Duration::from_secs(1));
    service.signal("TERM");
    let ended = service.wait_at_most(Duration::from_secs(60));
    assert!(matches!(ended.code, Some(0 | 1)), "{}", ended.said());
    disk.grow(256 * 1_024);
    let run = crate::lab::connect("run", simulator.port, &["--rate", "unlimited"]);
    let mut service = smppost.spawn(&run.each());
    let until = Instant::now() + Duration::from_secs(100);
    let done = || one(&journal, "SELECT delivered FROM campaign_summary") == FILLING as i64;
    while !done() && Instant::now() < until && service.is_running() {
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(done(), "{:?} {}", crate::common::states(&journal, "c"), service.stderr());
    service.signal("TERM");
    service.wait().assert_code(0);
    let ledger = simulator.read();
    assert_eq!(ledger.submits.len(), FILLING, "none twice");
    oracle::assert_kept("ended on a full disk", &journal, &ledger);
}

/// A sender in the middle of its work.
fn sending(messages: usize) -> (Smppost, Simulator, crate::common::Running) {
    let smppost = Smppost::new();
    let simulator = Simulator::start(&smppost.path(""), &["--receipt-delay", "20ms"]);
    smppost.file("c.csv", rows(messages));
    let arguments = crate::lab::send(simulator.port, &["--rate", "500", "--window", "10", "--wait-receipts", "2s"]);
    let run = smppost.spawn(&arguments.each());
    let mut ledger = Ledger::default();
    assert!(ledger.wait_for(&simulator.ledger, 50, Duration::from_secs(30)), "{}", run.stderr());
    (smppost, simulator, run)
}

#[test]
fn f42_a_journal_deleted_or_replaced_is_noticed_within_a_second() {
    type Harm = fn(&Path);
    let harms: [(&str, Harm); 2] = [
        ("deleted", |journal| std::fs::remove_file(journal).unwrap()),
        ("replaced", |journal| {
            let copy = journal.with_extension("copy");
            std::fs::copy(journal, &copy).unwrap();
            std::fs::rename(&copy, journal).unwrap();
        }),
    ];
    for (what, harm) in harms {
        let (smppost, simulator, run) = sending(5_000);
        harm(&smppost.journal());
        let before = simulator.read().submits.len();
        let ended = run.wait();
        ended.assert_code(1);
        assert!(ended.stderr.contains("deleted or replaced"), "{what}: {}", ended.said());
        let more = simulator.read().submits.len() - before;
        println!("{what}: {more} messages sent after it");
        // At 500 a second: what a second holds and what was on its way, and two seconds more for a busy machine.
        assert!(more <= 1_650, "{what}: {more}");
    }
}

/// A journal in which a campaign is done.
fn done() -> (Smppost, Simulator) {
    let smppost = Smppost::new();
    let simulator = Simulator::start(&smppost.path(""), &["--receipt-delay", "20ms"]);
    smppost.file("c.csv", rows(2_000));
    smppost
        .run(&crate::lab::send(simulator.port, &["--rate", "unlimited", "--wait-receipts", "5s"]).each())
        .assert_code(0);
    (smppost, simulator)
}

#[test]
fn f43_a_damaged_journal_is_refused_with_the_steps_to_recover() {
    let (smppost, simulator) = done();
    let whole = std::fs::read(smppost.journal()).unwrap();
    let mut random = fastrand::Rng::with_seed(crate::lab::seed("damage"));
    for n in 0..12 {
        let mut octets = whole.clone();
        match n % 3 {
            // A page, the first page after its header, the end.
            0 => {
                let page = random.usize(1..octets.len() / 4_096) * 4_096;
                random.fill(&mut octets[page..page + 4_096]);
            }
            1 => random.fill(&mut octets[100..4_096]),
            _ => octets.truncate(random.usize(1..octets.len() / 4_096) * 4_096),
        }
        std::fs::write(smppost.journal(), octets).unwrap();
        let before = simulator.read().submits.len();
        let verified = smppost.run(&["verify"]);
        assert_ne!(verified.code, Some(0), "{n}: {}", verified.said());
        let resumed = smppost.run(&crate::lab::connect("resume", simulator.port, &["--give-up-after", "1s"]).each());
        assert!(matches!(resumed.code, Some(0 | 1)), "{n}: {}", resumed.said());
        if resumed.code == Some(1) {
            assert!(resumed.stderr.contains(".recover"), "{n}: {}", resumed.said());
        }
        assert_eq!(simulator.read().submits.len(), before, "{n}: it sent from a damaged journal");
    }
}

#[test]
fn f45_a_report_held_open_neither_stops_the_sender_nor_grows_the_wal_for_ever() {
    let (smppost, simulator, run) = sending(2_000);
    let reader = crate::common::open(&smppost.journal());
    reader.execute_batch("BEGIN").unwrap();
    let _: i64 = reader.query_row("SELECT count(*) FROM claim", [], |row| row.get(0)).unwrap();
    run.wait().assert_code(0);
    let wal = std::fs::metadata(smppost.path("journal.db-wal")).map_or(0, |meta| meta.len());
    println!("{} KiB of WAL for 2000 messages under a report held open", wal / 1_024);
    assert!(wal < 16 * 1024 * 1024, "{wal}");
    drop(reader);
    crate::lab::verify(&smppost);
    oracle::assert_kept("under a report", &smppost.journal(), &simulator.read());
}

/// `SMPPOST_HELD=400000`: as many messages, more than an hour's worth at a hundred a second. With fail points a commit folds
/// the WAL as soon as it has 200 pages, so that fewer will do.
#[test]
fn f45_a_report_that_nobody_reads_on_lets_the_wal_be_folded_while_messages_are_sent() {
    let short = if cfg!(any(feature = "failpoints", debug_assertions)) { 40_000 } else { 10_000 };
    let messages = crate::lab::setting("SMPPOST_HELD", short) as usize;
    let smppost = Smppost::new().deadline(Duration::from_secs(3_600)).environment("SMPPOST_CHECKPOINT_PAGES", "200");
    let simulator = Simulator::start(&smppost.path(""), &["--receipt-delay", "20ms"]);
    smppost.file("c.csv", numbered(messages));
    smppost.run(&["import", "c.csv", "--campaign", "c", "--from", "Test", "--receipts", "all"]).assert_code(0);
    let mut report = Command::new(env!("CARGO_BIN_EXE_smppost"))
        .args(["report", "c", "--messages", "--format", "csv"])
        .env("SMPPOST_JOURNAL", smppost.journal())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut rows = BufReader::new(report.stdout.take().unwrap()).lines();
    assert!(rows.next().unwrap().unwrap().contains("destination"), "a report that has begun");
    let arguments =
        crate::lab::send(simulator.port, &["--rate", "unlimited", "--window", "100", "--wait-receipts", "5s"]);
    let mut run = smppost.spawn(&arguments.each());
    let mut most = 0;
    while run.is_running() {
        most = most.max(std::fs::metadata(smppost.path("journal.db-wal")).map_or(0, |meta| meta.len()));
        std::thread::sleep(Duration::from_millis(10));
    }
    let ended = run.wait();
    ended.assert_code(0);
    println!("{messages} messages in {:?}, {} KiB of WAL at most", ended.took, most / 1_024);
    // The pages after which it is folded, and what was written until a commit came to do it.
    let pages = if cfg!(any(feature = "failpoints", debug_assertions)) { 200 } else { 8_000 };
    assert!(most < (pages + 800) * 4_096, "{most}");
    assert_eq!(rows.map(Result::unwrap).count(), messages, "rows of a report");
    assert!(report.wait().unwrap().success());
    crate::lab::verify(&smppost);
    let delivered = one(&smppost.journal(), "SELECT delivered FROM campaign_summary");
    assert_eq!(delivered, messages as i64, "{}", ended.said());
}

/// Rows for more numbers than [`rows`] has.
fn numbered(messages: usize) -> String {
    let rows = (0..messages).map(|row| format!("4477{row:08},Hello number {row}\n"));
    std::iter::once("to,text\n".to_owned()).chain(rows).collect()
}

#[test]
fn f43_on_a_read_only_disk_sending_is_refused_and_reports_work() {
    let smppost = Smppost::new();
    let Some(disk) = SmallDisk::mount(smppost.path("read only? 100%"), 30_000) else { return };
    let journal = disk.0.join("journal.db");
    let smppost = smppost.environment("SMPPOST_JOURNAL", journal.to_str().unwrap());
    let simulator = Simulator::start(&smppost.path(""), &["--receipt-delay", "20ms"]);
    smppost.file("c.csv", rows(100));
    let arguments = crate::lab::send(simulator.port, &["--rate", "unlimited", "--wait-receipts", "5s"]);
    smppost.run(&arguments.each()).assert_code(0);
    disk.remount("ro");
    for command in ["send", "resume"] {
        let refused = match command {
            "send" => smppost.run(&arguments.each()),
            _ => smppost.run(&crate::lab::connect(command, simulator.port, &[]).each()),
        };
        refused.assert_code(1);
        assert!(refused.stderr.contains("cannot be written"), "{}", refused.said());
    }
    for report in [&["report", "c"][..], &["list"], &["verify"]] {
        let ended = smppost.run(report);
        ended.assert_code(0);
        assert!(ended.stdout.contains("100"), "{}", ended.said());
    }
}
