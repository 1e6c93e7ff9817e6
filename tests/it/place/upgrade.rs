//! Journals of older programs.

use crate::common::independent_smsc::{IndependentSmsc, Settings};
use crate::common::{Smppost, expected, one, skipped, states};
use rusqlite::Connection;
use std::path::Path;
use std::process::Command;

/// As the program of version 1 left it: campaigns in all states, a receipt of nobody, and a sender that was killed.
const V1: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/journals/v1.db");

fn with_old_journal() -> Smppost {
    let smppost = Smppost::new();
    std::fs::copy(V1, smppost.journal()).unwrap();
    smppost
}

fn told(journal: &Path) -> Vec<String> {
    let connection = Connection::open(journal).unwrap();
    let mut all = Vec::new();
    for sql in [
        "SELECT campaign, messages, queued, accepted, delivered, failed, rejected, in_doubt, cancelled, suppressed,
                rejected_rows, duplicate_rows, first_sent_at, last_sent_at FROM campaign_summary",
        "SELECT campaign, line, destination, source, text, encoding, parts, state, command_status, message_ids, error,
                queued_at, sent_at, answered_at, done_at FROM message_status ORDER BY 1, 2",
        "SELECT campaign, line, part, attempt, session_id, sequence_number, claimed_at, answered_at, state
           FROM attempt_log ORDER BY 1, 2, 3, 4",
        "SELECT received_at, message_id, state, error, rule, campaign, line, part FROM receipt_log ORDER BY 1, 2",
        "SELECT campaign, line, reason, row FROM rejected_row",
        "SELECT destination, added_at, reason FROM suppression",
    ] {
        let mut statement = connection.prepare(sql).unwrap();
        let width = statement.column_count();
        let rows = statement
            .query_map([], |row| {
                (0..width).map(|at| row.get::<_, rusqlite::types::Value>(at)).collect::<Result<Vec<_>, _>>()
            })
            .unwrap();
        all.extend(rows.map(|row| format!("{:?}", row.unwrap())));
    }
    all
}

#[test]
fn an_old_journal_is_reported_as_it_is_and_stays_so() {
    let smppost = with_old_journal();
    let before = std::fs::read(smppost.journal()).unwrap();
    let list = smppost.run(&["list"]);
    list.assert_code(0);
    assert!(list.stderr.contains("made by an older smppost (version 1)"), "{}", list.said());
    for campaign in ["spring", "refused", "doubt", "cancelled", "queued", "crashed"] {
        assert!(list.stdout.contains(campaign), "{}", list.said());
        smppost.run(&["report", campaign]).assert_code(0);
    }
    let unmatched = smppost.run(&["report", "--unmatched"]);
    assert!(unmatched.stdout.contains("4000000000000000"), "{}", unmatched.said());
    let csv = smppost.run(&["report", "spring", "--format", "csv"]);
    assert_eq!(csv.stdout.lines().count(), 8, "{}", csv.said());
    smppost.run(&["verify"]).assert_code(0);
    assert!(smppost.run(&["suppress", "list"]).stdout.contains("447700900003"));
    assert_eq!(std::fs::read(smppost.journal()).unwrap(), before);
    assert!(!smppost.path("journal.db.v1-backup").exists());
}

#[test]
fn an_old_journal_is_upgraded_after_a_backup_and_tells_the_same() {
    let smppost = with_old_journal();
    let before = told(Path::new(V1));
    let upgraded = smppost.run(&["upgrade"]);
    upgraded.assert_code(0);
    let backup = smppost.path("journal.db.v1-backup");
    assert!(upgraded.stderr.contains("version 1 to 2"), "{}", upgraded.said());
    assert!(upgraded.stderr.contains(&format!("as it was before: {}", backup.display())), "{}", upgraded.said());
    assert_eq!(told(&smppost.journal()), before);
    assert_eq!(one(&smppost.journal(), "PRAGMA user_version"), 2);
    assert_eq!(told(&backup), before);
    assert_eq!(one(&backup, "PRAGMA user_version"), 1);
    let again = smppost.run(&["upgrade"]);
    assert!(again.assert_code(0).stderr.contains("is up to date (version 2)"), "{}", again.said());
    let none = smppost.run(&["upgrade", "--journal", "none.db"]);
    assert!(
        none.assert_code(1).stderr.contains(&format!("no journal at {}", smppost.path("none.db").display())),
        "{}",
        none.said()
    );
    smppost.file("list.csv", "to,text\n447700900001,Hello\n");
    let foreign = smppost.run(&["upgrade", "--journal", "list.csv"]);
    assert!(foreign.assert_code(1).stderr.contains("is not a journal"), "{}", foreign.said());
}

#[test]
fn an_old_journal_sends_what_is_queued_and_nothing_else() {
    let smppost = with_old_journal();
    let smsc = IndependentSmsc::start(Settings::default());
    let port = smsc.port().to_string();
    let resume = |campaign: &str| {
        let account = ["--host", "127.0.0.1", "--port", &port, "--system-id", "test", "--wait-receipts", "2s"];
        smppost.run(&[&["resume", campaign], &account[..]].concat())
    };
    let queued = resume("queued");
    queued.assert_code(0);
    assert!(queued.stderr.contains("as it was before: "), "{}", queued.said());
    // What the sender that was killed had written is in doubt: two were never answered.
    resume("crashed").assert_code(3);
    for campaign in ["spring", "doubt", "cancelled", "refused"] {
        resume(campaign);
    }
    let report = smsc.finish();
    report.assert_clean();
    let mut destinations: Vec<&str> = report.submits.iter().map(|submit| submit.destination.as_str()).collect();
    destinations.sort_unstable();
    assert_eq!(destinations, ["447700900040", "447700900041", "447700900042"]);
    assert_eq!(states(&smppost.journal(), "queued"), expected([("delivered", 3)]));
    assert_eq!(states(&smppost.journal(), "crashed"), expected([("accepted", 4), ("in_doubt", 2)]));
    assert_eq!(states(&smppost.journal(), "cancelled"), expected([("cancelled", 2)]));
    smppost.run(&["verify"]).assert_code(0);
}

#[test]
fn every_command_that_writes_upgrades_first() {
    for arguments in [
        &["cancel", "queued"][..],
        &["suppress", "add", "447700900099"],
        &["resolve", "doubt", "--assume-sent"],
        &["import", "more.csv"],
    ] {
        let smppost = with_old_journal();
        smppost.file("more.csv", "to,text\n447700900090,Hello\n");
        let ended = smppost.run(arguments);
        ended.assert_code(0);
        assert!(ended.stderr.contains("upgrading it, version 1 to 2"), "{arguments:?}: {}", ended.said());
        assert!(smppost.path("journal.db.v1-backup").exists(), "{arguments:?}");
        smppost.run(&["verify"]).assert_code(0);
    }
}

#[test]
fn a_newer_journal_is_refused_with_the_right_words() {
    let smppost = with_old_journal();
    Connection::open(smppost.journal()).unwrap().execute_batch("PRAGMA user_version = 99").unwrap();
    let before = std::fs::read(smppost.journal()).unwrap();
    for arguments in [&["list"][..], &["cancel", "queued"], &["upgrade"]] {
        let refused = smppost.run(arguments);
        refused.assert_code(1);
        assert!(refused.stderr.contains("made by a newer smppost (version 99 of the file"), "{}", refused.said());
    }
    assert_eq!(std::fs::read(smppost.journal()).unwrap(), before);
}

#[test]
fn where_space_lacks_the_backup_is_left_out_only_when_told() {
    let smppost = Smppost::new();
    let disk = smppost.path("disk");
    std::fs::create_dir(&disk).unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=2m", "none"]).arg(&disk).output();
    if !mounted.as_ref().is_ok_and(|output| output.status.success()) {
        return skipped(&format!("no file system may be mounted here ({mounted:?})"));
    }
    let journal = disk.join("journal.db");
    std::fs::copy(V1, &journal).unwrap();
    let before = std::fs::read(&journal).unwrap();
    let smppost = smppost.environment("SMPPOST_JOURNAL", journal.to_str().unwrap());
    let refused = smppost.run(&["cancel", "queued"]);
    let untouched = std::fs::read(&journal).unwrap() == before;
    let left: Vec<_> = std::fs::read_dir(&disk).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    let upgraded = smppost.run(&["upgrade", "--no-backup"]);
    let cancelled = smppost.run(&["cancel", "queued"]);
    let _ = Command::new("umount").arg("-l").arg(&disk).status();
    refused.assert_code(1);
    assert!(
        refused.stderr.contains("no room for the backup") && refused.stderr.contains("--no-backup"),
        "{}",
        refused.said()
    );
    assert!(untouched, "it was changed");
    assert!(left.iter().all(|name| !name.to_string_lossy().contains("backup")), "{left:?}");
    upgraded.assert_code(0);
    assert!(!upgraded.stderr.contains("as it was before"), "{}", upgraded.said());
    cancelled.assert_code(0);
}
