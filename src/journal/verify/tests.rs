use super::*;
use crate::journal::model::key::{Attempt, Outcome, Verdict};
use crate::journal::open::open_read_only;
use crate::journal::testkit::story::{START, Story};

/// Does something to a good journal, and says which checks fail then.
fn check(damage: &str, expected: &[&str]) {
    let story = Story::all_kinds();
    story.connection.execute_batch(&format!("PRAGMA foreign_keys = OFF; {damage}")).unwrap();
    let report = verify(&open_read_only(&story.path).unwrap()).unwrap();
    let failed: Vec<_> = report
        .checks
        .iter()
        .filter(|check| check.problems > 0)
        .map(|check| check.what.split(':').next().unwrap())
        .collect();
    assert_eq!(failed, expected, "{damage}: {report:#?}");
    for check in report.checks.iter().filter(|check| check.problems > 0) {
        assert!(!check.examples.is_empty() && check.examples.len() <= EXAMPLES_MAX);
    }
}

#[test]
fn a_journal_of_every_kind_of_story_agrees_with_itself() {
    check("", &[]);
    let story = Story::all_kinds();
    let report = verify(&open_read_only(&story.path).unwrap()).unwrap();
    assert!(report.is_sound() && report.changing.is_empty());
    assert!(report.checks.iter().all(|check| check.checked > 0), "{report:#?}");
    // Nothing at all is sound too.
    assert!(verify(&Story::new().connection).unwrap().is_sound());
}

#[test]
fn every_contradiction_is_found() {
    for (damage, expected) in [
        ("UPDATE campaign_count SET queued = queued + 1 WHERE campaign_id = 1", &["campaigns"][..]),
        ("UPDATE campaign_count SET campaign_id = 77 WHERE campaign_id = 3", &["references"]),
        ("UPDATE message_state SET state = 3 WHERE state = 7", &["campaigns", "messages"]),
        ("DELETE FROM message_state WHERE state = 4", &["campaigns", "messages"]),
        ("UPDATE answer SET outcome = 2 WHERE attempt = 3 << 12", &["campaigns"]),
        ("INSERT INTO answer VALUES ((7 << 12), 0, 0, 0, 0, NULL)", &["answers, verdicts and receipts"]),
        ("INSERT INTO answer VALUES (((1 << 12) | 1), 0, 0, 0, 0, NULL)", &["answers, verdicts and receipts"]),
        (
            "INSERT INTO verdict (attempt, at, kind, reason) VALUES ((99999 << 12), 0, 1, '')",
            &["answers, verdicts and receipts"],
        ),
        ("UPDATE receipt SET id = id + 1 WHERE id = (1 << 20)", &["receipts"]),
        ("INSERT INTO receipt_match (receipt_id, attempt, rule, at) VALUES (-99, NULL, 1, 0)", &["references"]),
        ("UPDATE claim SET session_id = 9 WHERE first_serial = 1", &["references", "intents", "attempts"]),
        ("UPDATE claim SET first_sequence_number = 65540 WHERE first_serial = 7", &["intents"]),
        ("UPDATE session SET closed_at = 5 WHERE closed_at IS NULL", &["attempts"]),
        ("UPDATE claim SET parts = parts + 1 WHERE first_serial = 10", &["intents", "intents", "attempts"]),
        ("UPDATE claim SET first_message = 2 WHERE first_serial = 1", &["attempts"]),
        ("UPDATE campaign SET first_id = first_id - 2 WHERE id = 2", &["campaigns", "campaigns"]),
        ("UPDATE campaign SET rejected_rows = 5 WHERE id = 1", &["rows left out"]),
        ("DELETE FROM message WHERE id = 7", &["campaigns", "messages"]),
    ] {
        check(damage, expected);
    }
}

#[test]
fn f46_an_attempt_after_one_that_was_not_to_be_repeated_is_found() {
    for (verdicts, sound) in [
        (&[][..], false),
        (&[Verdict::InDoubt][..], false),
        (&[Verdict::InDoubt, Verdict::AssumeSent][..], false),
        (&[Verdict::InDoubt, Verdict::Resend][..], true),
        (&[Verdict::NotWritten][..], true),
    ] {
        let mut story = Story::new();
        let message = story.campaign("c").message(1, "x");
        story.claim(message, 1, 0, 10);
        for &verdict in verdicts {
            story.verdict(message, 0, verdict, "");
        }
        story.answer(message, 0, 0, Outcome::Accepted, 20);
        story.claim(message, 1, 1, 30).answer(message, 1, 0, Outcome::Accepted, 40).settle();
        story.receipt(Attempt::new(message, 1).receipt(0), 1, None, START).settle();
        let report = verify(&story.connection).unwrap();
        let wrong: Vec<_> = report.checks.iter().filter(|check| check.problems > 0).map(|check| check.what).collect();
        assert_eq!(wrong.is_empty(), sound, "{verdicts:?} {wrong:?}");
        assert!(wrong.iter().all(|what| what.contains("was not to be tried again")), "{wrong:?}");
    }
}

#[test]
fn f43_a_damaged_file_is_found() {
    use std::os::unix::fs::FileExt;
    let story = Story::all_kinds();
    story.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    let root: i64 = story
        .connection
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'campaign_by_first_id'", [], |row| row.get(0))
        .unwrap();
    let path = story.path.clone();
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    // The cells of an index page, written over.
    file.write_all_at(&[0; 40], root as u64 * 4_096 - 40).unwrap();
    let report = verify(&open_read_only(&path).unwrap());
    assert!(report.map_or(true, |report| !report.is_sound()));
}
