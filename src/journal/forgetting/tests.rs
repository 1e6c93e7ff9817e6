use super::*;
use crate::journal::handle::Journal;
use crate::journal::open::open_or_create;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

/// Messages of the campaign; with their answers, receipts and what is stored of their states that is a million rows.
const MESSAGES: i64 = 250_000;
/// Receipts of it that were matched only later, and as many of nobody, inbound parts and events of the list.
const OTHERS: i64 = 20_000;
/// Rows that one transaction may change: those of a piece in each table that it goes through.
const CHANGED_MAX: i64 = 4 * ROWS_PER_TRANSACTION;
/// SQLite's steps for each row that goes, on average: what looks again at what it has passed would take hundreds.
const STEPS_A_ROW_MAX: i64 = 250;

/// What the work came to.
#[derive(Default)]
struct Work {
    /// Rows that the transaction at hand changed, and the most that one did.
    rows: AtomicI64,
    rows_max: AtomicI64,
    commits: AtomicI64,
    all: AtomicI64,
    hundred_steps: AtomicI64,
}

/// A journal with a campaign that ended long ago.
fn with_many(path: &Path) -> (Journal, Arc<Work>) {
    let mut connection = open_or_create(path).unwrap();
    connection
        .execute_batch(&format!(
            "BEGIN;
             INSERT INTO campaign (id, name, file, digest, options, first_id, end_id, created_at, imported_at)
                 VALUES (1, 'many', 'many.csv', '', '{{}}', 1, {MESSAGES} + 1, 1, 1);
             INSERT INTO campaign_count (campaign_id, messages, parts, delivered, first_sent_at, last_sent_at)
                 VALUES (1, {MESSAGES}, {MESSAGES}, {MESSAGES}, 1, 1);
             INSERT INTO session (id, opened_at, closed_at, boot_id, first_serial, peer, system_id, bind, smpp_version)
                 VALUES (1, 1, 2, '', 1, '', '', 'trx', '3.4');
             CREATE TEMP TABLE n (n INTEGER PRIMARY KEY);
             INSERT INTO n WITH RECURSIVE up (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM up WHERE n < {MESSAGES})
                 SELECT n FROM up;
             INSERT INTO message (id, line, destination, text, encoding, parts)
                 SELECT n, n + 1, 447700000000 + n, 'Hello', 0, 1 FROM n;
             INSERT INTO claim SELECT n, 0, n, 10, n, 1, n, 1 FROM n WHERE n % 10 = 1;
             INSERT INTO answer SELECT n << 12, 1, 1, 0, 0, 'id-' || n FROM n;
             INSERT INTO message_state (message, state) SELECT n, 3 FROM n;
             INSERT INTO receipt (id, received_at, state, final, rule)
                 SELECT CASE WHEN n <= {OTHERS} THEN -n ELSE n << 20 END, 1, 2, 1, 1 FROM n;
             INSERT INTO receipt_match (receipt_id, attempt, rule, at)
                 SELECT -n, NULL, 6, 1 FROM n WHERE n <= {OTHERS} UNION ALL SELECT -n, n << 12, 1, 1 FROM n WHERE n <= {OTHERS};
             INSERT INTO receipt (id, received_at, final, rule, message_id, source)
                 SELECT -{OTHERS} - n, 1 + 999 * (n % 2), 1, 0, 'x', '447700900001' FROM n WHERE n <= {OTHERS};
             INSERT INTO inbound (received_at, session_id, source, destination, esm_class, data_coding, text, pdu)
                 SELECT 1 + 999 * (n % 2), 1, '447700900001', '5', 0, 0, 'x', x'00' FROM n WHERE n <= {OTHERS};
             INSERT INTO suppression_event (at, destination, kind, source, reason)
                 SELECT 1 + 999 * (n % 2), '447700900001', 2, 1, '' FROM n WHERE n <= {OTHERS};
             DROP TABLE n;
             COMMIT;"
        ))
        .unwrap();
    let work = Arc::new(Work::default());
    let (changes, commits, steps) = (Arc::clone(&work), Arc::clone(&work), Arc::clone(&work));
    let update = move |_: rusqlite::hooks::Action, _: &str, _: &str, _: i64| {
        changes.rows.fetch_add(1, Relaxed);
    };
    let commit = move || {
        let rows = commits.rows.swap(0, Relaxed);
        commits.rows_max.fetch_max(rows, Relaxed);
        commits.all.fetch_add(rows, Relaxed);
        commits.commits.fetch_add(1, Relaxed);
        false
    };
    let step = move || {
        steps.hundred_steps.fetch_add(1, Relaxed);
        false
    };
    connection.update_hook(Some(update)).unwrap();
    connection.commit_hook(Some(commit)).unwrap();
    connection.progress_handler(100, Some(step)).unwrap();
    (Journal::of(connection), work)
}

fn one(journal: &Journal, sql: &str) -> i64 {
    journal.connection().query_row(sql, [], |row| row.get(0)).unwrap()
}

fn bounded(work: &Work, rows_min: i64) {
    let (all, most) = (work.all.swap(0, Relaxed), work.rows_max.swap(0, Relaxed));
    let steps = 100 * work.hundred_steps.swap(0, Relaxed);
    let commits = work.commits.swap(0, Relaxed);
    assert!(all >= rows_min, "{all} rows");
    assert!(most <= CHANGED_MAX, "{most} rows in one transaction of {commits}");
    assert!(steps <= STEPS_A_ROW_MAX * all, "{steps} steps for {all} rows");
}

#[test]
fn a_million_rows_go_in_bounded_transactions() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let (journal, work) = with_many(&path);
    let wish = Wish { up_to: 500, campaign: None, pseudonymise: true, without_receipts: false, is_alone: true };
    let run = |wish: &Wish<'_>| {
        let planned = plan(&journal, &path, wish).unwrap();
        assert_eq!(planned.due.len(), 1);
        let purged = purge(&journal, &path, wish, &planned).unwrap();
        assert_eq!((purged.campaigns, purged.messages), (1, MESSAGES));
        assert_eq!(purged.unmatched + purged.inbound, planned.unmatched + planned.inbound);
    };
    run(&wish);
    bounded(&work, 2 * MESSAGES);
    assert_eq!(one(&journal, "SELECT count(*) FROM message WHERE text = '' AND destination LIKE '~%'"), MESSAGES);
    // It counts from the moment at which it lost its numbers.
    let wish = Wish { up_to: crate::platform::clock::now_ms(), pseudonymise: false, ..wish };
    run(&wish);
    bounded(&work, 4 * MESSAGES);
    for table in ["message", "answer", "message_state", "receipt_match", "inbound", "stray"] {
        assert_eq!(one(&journal, &format!("SELECT count(*) FROM {table}")), 0, "{table}");
    }
    // The last of each that gives the next one its number.
    for table in ["receipt", "suppression_event", "claim"] {
        assert_eq!(one(&journal, &format!("SELECT count(*) FROM {table}")), 1, "{table}");
    }
    assert_eq!(one(&journal, "SELECT sum(submitted) * 10 + sum(delivered) FROM throughput_per_minute"), 11 * MESSAGES);
    assert!(crate::journal::verify::verify(&journal).unwrap().is_sound());
}
