//! The agreement of what is read with the public views.

use super::*;
use crate::journal::open::open_read_only;
use crate::journal::testkit::story::{START, Story};
use crate::report::rows::Record;
use rusqlite::types::ValueRef;

/// What a view says, as text.
fn view(connection: &Connection, sql: &str) -> Vec<Vec<String>> {
    let mut statement = connection.prepare(sql).unwrap();
    let columns = statement.column_count();
    let mut rows = statement.query([]).unwrap();
    let mut found = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        let cell = |n| match row.get_ref(n).unwrap() {
            ValueRef::Null => String::new(),
            ValueRef::Integer(number) => number.to_string(),
            ValueRef::Real(number) => number.to_string(),
            ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
            ValueRef::Blob(octets) => octets.escape_ascii().to_string(),
        };
        found.push((0..columns).map(cell).collect());
    }
    found
}

fn cells<R: Record>(record: &R) -> Vec<String> {
    let cell = |column| {
        let mut cell = String::new();
        record.cell(column, &mut cell);
        cell
    };
    (0..R::COLUMNS.len()).map(cell).collect()
}

fn columns(connection: &Connection, view: &str) -> Vec<String> {
    let statement = connection.prepare(&format!("SELECT * FROM {view}")).unwrap();
    statement.column_names().map(ToOwned::to_owned).collect()
}

type Listed<T> = Result<T, JournalError>;

/// Keeps the cells of what is handed out.
fn keep<R: Record>(to: &mut Vec<Vec<String>>) -> impl FnMut(&R) -> Listed<()> {
    |row| {
        to.push(cells(row));
        Ok(())
    }
}

#[test]
fn messages_are_those_of_the_view() {
    let story = Story::all_kinds();
    let connection = open_read_only(&story.path).unwrap();
    assert_eq!(columns(&connection, "message_status"), MessageRow::COLUMNS);
    let mut found = Vec::new();
    for campaign in campaigns(&connection).unwrap() {
        messages(&connection, &campaign.campaign, &[], |row| -> Listed<()> {
            found.push(cells(row));
            Ok(())
        })
        .unwrap();
    }
    let expected = view(&connection, "SELECT * FROM message_status");
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found, expected);
    }
    let states: std::collections::BTreeSet<_> = found.iter().map(|row| row[7].clone()).collect();
    assert_eq!(states.len(), State::COUNT, "a state is not told of: {states:?}");
    // Filters, the quick way and the other.
    for state in State::ALL {
        for also in [State::Queued, State::InDoubt] {
            let mut some = Vec::new();
            messages(&connection, "spring", &[state, also], |row| -> Listed<()> {
                some.push(cells(row));
                Ok(())
            })
            .unwrap();
            let wanted: Vec<_> = found
                .iter()
                .filter(|row| row[0] == "spring" && (row[7] == state.name() || row[7] == also.name()))
                .cloned()
                .collect();
            assert_eq!(some, wanted, "{state:?} {also:?}");
        }
    }
}

#[test]
fn a_receipt_matched_later_ends_a_message_and_one_taken_back_does_not() {
    let story = Story::all_kinds();
    let of = |text: &str| {
        let sql = format!("SELECT state, error, done_at FROM message_status WHERE text = '{text}'");
        view(&story.connection, &sql).remove(0)
    };
    let at = |ms: i64| Stamp(START + ms).to_string();
    assert_eq!(of("settled by a receipt"), ["delivered".to_owned(), String::new(), at(21_000)]);
    assert_eq!(of("ahead of its answer"), ["failed".to_owned(), "late".to_owned(), at(8_005)]);
    assert_eq!(of("taken back"), ["accepted", "", ""]);
    assert_eq!(of("abandoned"), ["failed".to_owned(), "resolve --abandon".to_owned(), at(9_000)]);
}

#[test]
fn deliveries_count_once_whichever_way_their_receipt_was_matched() {
    let story = Story::all_kinds();
    let latency = |text: &str| {
        let sql = format!(
            "SELECT l.answer_ms, l.delivery_s FROM delivery_latency l
               JOIN message_status s ON s.campaign = l.campaign AND s.line = l.line WHERE s.text = '{text}'"
        );
        view(&story.connection, &sql).remove(0)
    };
    assert_eq!(latency("plain, delivered"), ["10", "2"]);
    assert_eq!(latency("retried"), ["12", "6"]);
    assert_eq!(latency("first failed, then delivered"), ["30", "0.8"]);
    assert_eq!(latency("taken back"), ["50", ""]);
    // Three parts, the last of them receipted last.
    assert_eq!(latency("d"), ["10", "3.01"]);
    let delivered = "SELECT sum(delivered) FROM throughput_per_minute WHERE campaign = 'spring'";
    let receipts = "SELECT count(*) FROM receipt_log WHERE campaign = 'spring' AND state = 'DELIVERED'";
    assert_eq!(view(&story.connection, delivered), view(&story.connection, receipts));
    let number = crate::journal::model::key::Attempt::new(1, 0).receipt(1);
    story
        .connection
        .execute("INSERT INTO receipt (id, received_at, state, final, rule) VALUES (?1, ?2, 2, 1, 1)", [number, START])
        .unwrap();
    assert_ne!(view(&story.connection, delivered), view(&story.connection, receipts));
}

#[test]
fn lists_are_those_of_the_views() {
    let story = Story::all_kinds();
    let connection = open_read_only(&story.path).unwrap();
    let check = |name: &str, sql: &str, columns_of: &[&str], mut found: Vec<Vec<String>>| {
        assert_eq!(columns(&connection, name), columns_of, "{name}");
        let mut expected = view(&connection, sql);
        assert!(!expected.is_empty(), "{name}");
        expected.sort();
        found.sort();
        assert_eq!(found, expected, "{name}");
    };
    let all = campaigns(&connection).unwrap();
    check(
        "campaign_summary",
        "SELECT * FROM campaign_summary",
        CampaignSummary::COLUMNS,
        all.iter().map(cells).collect(),
    );
    let (mut of_attempts, mut of_receipts, mut rejected, mut duplicates) = (vec![], vec![], vec![], vec![]);
    for CampaignSummary { campaign, .. } in &all {
        attempts(&connection, campaign, keep(&mut of_attempts)).unwrap();
        receipts(&connection, campaign, keep(&mut of_receipts)).unwrap();
        skipped_rows(&connection, campaign, false, keep(&mut rejected)).unwrap();
        skipped_rows(&connection, campaign, true, keep(&mut duplicates)).unwrap();
    }
    unmatched(&connection, keep(&mut of_receipts)).unwrap();
    check("attempt_log", "SELECT * FROM attempt_log", AttemptRow::COLUMNS, of_attempts);
    check("receipt_log", "SELECT * FROM receipt_log", ReceiptRow::COLUMNS, of_receipts);
    check("rejected_row", "SELECT * FROM rejected_row", SkippedRow::COLUMNS, rejected);
    check("duplicate_row", "SELECT * FROM duplicate_row", SkippedRow::COLUMNS, duplicates);
    assert_eq!(strays(&connection).unwrap(), Strays { unmatched: 2, ambiguous: 1 });
}

#[test]
fn the_report_counts_what_the_views_show() {
    let story = Story::all_kinds();
    let connection = open_read_only(&story.path).unwrap();
    let report = campaign_report(&connection, "spring").unwrap();
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    for state in State::ALL {
        let sql =
            format!("SELECT count(*) FROM message_status WHERE campaign = 'spring' AND state = '{}'", state.name());
        assert_eq!(report.summary.counts.of(state), number(&sql), "{state:?}");
    }
    let statuses: Vec<_> = report
        .statuses
        .iter()
        .map(|row| vec![row.command_status.to_string(), row.name.to_owned(), row.attempts.to_string()])
        .collect();
    assert_eq!(
        statuses,
        view(
            &connection,
            "SELECT command_status, name, attempts FROM status_breakdown WHERE campaign = 'spring' ORDER BY 1"
        )
    );
    let left = "SELECT count(*) FROM attempt_log WHERE campaign = 'spring' AND state <> 'not written'";
    assert_eq!(report.attempts, number(left));
    assert_eq!(report.attempts, number("SELECT sum(submitted) FROM throughput_per_minute WHERE campaign = 'spring'"));
    let rejected: i64 = report.rejections.iter().map(|row| row.messages).sum();
    assert_eq!(rejected, report.summary.counts.of(State::Rejected));
    assert_eq!(report.rejections, rejections(&connection, &report.summary).unwrap());
    let receipts: i64 = report.receipts.iter().map(|row| row.receipts).sum();
    assert_eq!(receipts, number("SELECT count(*) FROM receipt_log WHERE campaign = 'spring'"));
    let failures: Vec<_> =
        report.failures.iter().map(|row| (row.state.as_str(), row.error.as_deref(), row.parts)).collect();
    assert_eq!(
        failures,
        [
            ("EXPIRED", Some("044"), 5),
            ("ABANDONED", Some("resolve --abandon"), 1),
            ("FAILED", Some("late"), 1),
            ("UNDELIVERABLE", Some("\u{1b}7"), 1),
            ("UNDELIVERABLE", Some("2"), 1)
        ]
    );
    assert_eq!(report.doubts.len() as i64, report.summary.counts.of(State::InDoubt));
    assert_eq!(report.outstanding_receipts.messages, report.summary.counts.of(State::Accepted));
    assert_eq!(report.outstanding_receipts.oldest_answered_at, Some(Stamp(START + 1_030)));
    // Percentiles of the attempts' own times.
    let answers = number("SELECT count(*) FROM attempt_log WHERE campaign = 'spring' AND answered_at IS NOT NULL");
    assert_eq!((report.latency.answer_ms.count as i64, report.latency.answer_ms.max), (answers, Some(14_000)));
    let delivered = number("SELECT count(*) FROM receipt_log WHERE campaign = 'spring' AND state = 'DELIVERED'");
    assert_eq!((report.latency.delivery_s.count as i64, report.latency.delivery_s.max), (delivered, Some(15.0)));
    assert!(matches!(campaign_report(&connection, "no"), Err(JournalError::NoCampaign { .. })));
    assert!(matches!(campaign_report(&connection, "hidden"), Err(JournalError::NoCampaign { .. })));
}

#[test]
fn f45_no_snapshot_is_held_while_rows_are_looked_at() {
    let mut story = Story::new();
    story.campaign("big");
    for _ in 0..3 {
        story.message(1, "x");
    }
    story.settle();
    let connection = open_read_only(&story.path).unwrap();
    let mut seen = 0;
    messages(&connection, "big", &[], |_| -> Listed<()> {
        seen += 1;
        assert!(connection.is_autocommit());
        story.connection.execute("UPDATE campaign_count SET parts = parts + 1", [])?;
        // A reader in the way would keep the checkpoint from going to the end.
        let (busy, log, done): (i64, i64, i64) =
            story
                .connection
                .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        assert_eq!((busy, log, done), (0, 0, 0));
        Ok(())
    })
    .unwrap();
    assert_eq!(seen, 3);
}

#[test]
fn stamps_are_those_of_sqlite() {
    let connection = Connection::open_in_memory().unwrap();
    for ms in [
        0,
        1,
        999,
        START,
        951_782_399_999,
        951_782_400_000,
        4_102_444_800_123,
        253_402_300_799_999,
        -1,
        -62_135_596_800_000,
    ] {
        let expected: String = connection
            .query_row("SELECT strftime('%Y-%m-%dT%H:%M:%fZ', ?1 / 1000.0, 'unixepoch')", [ms], |row| row.get(0))
            .unwrap();
        assert_eq!(Stamp(ms).to_string(), expected);
    }
}

#[test]
fn a_message_was_sent_when_it_was_first_written() {
    use crate::journal::model::key::Outcome::{Accepted, Retry};
    use crate::journal::model::key::Verdict::{InDoubt, NotWritten};
    let mut story = Story::new();
    let s = &mut story;
    s.campaign("c");
    let id = s.message(1, "claimed, not written, written later and never answered");
    s.claim(id, 1, 0, 1_000).verdict(id, 0, NotWritten, "").claim(id, 1, 1, 13_000).verdict(id, 1, InDoubt, "");
    let id = s.message(1, "not written twice, then on its way");
    s.claim(id, 1, 0, 1_000).verdict(id, 0, NotWritten, "").claim(id, 1, 1, 2_000).verdict(id, 1, NotWritten, "");
    s.claim(id, 1, 2, 14_000);
    let id = s.message(1, "never written");
    s.claim(id, 1, 0, 1_000).verdict(id, 0, NotWritten, "");
    let id = s.message(2, "the second part was written at once");
    s.claim(id, 2, 0, 1_000).verdict(id, 0, NotWritten, "").verdict(id + 1, 0, InDoubt, "");
    s.claim(id, 1, 1, 15_000).answer(id, 1, 0, Accepted, 15_010);
    let id = s.message(1, "throttled, and never answered then");
    s.claim(id, 1, 0, 1_000).verdict(id, 0, NotWritten, "").claim(id, 1, 1, 16_000).answer(id, 1, 0x58, Retry, 16_010);
    s.claim(id, 1, 2, 17_000).verdict(id, 2, InDoubt, "");
    let id = s.message(1, "written, not written, in doubt");
    s.claim(id, 1, 0, 1_000).answer(id, 0, 0x58, Retry, 1_010).claim(id, 1, 1, 2_000).verdict(id, 1, NotWritten, "");
    s.claim(id, 1, 2, 18_000).verdict(id, 2, InDoubt, "");
    s.settle();
    let connection = open_read_only(&story.path).unwrap();
    let mut found = Vec::new();
    messages(&connection, "c", &[], keep::<MessageRow>(&mut found)).unwrap();
    assert_eq!(found, view(&connection, "SELECT * FROM message_status"));
    let column = MessageRow::COLUMNS.iter().position(|column| *column == "sent_at").unwrap();
    let sent: Vec<_> = found.iter().map(|row| row[column].clone()).collect();
    let at = |ms: i64| Stamp(START + ms).to_string();
    assert_eq!(sent, [at(13_000), at(14_000), String::new(), at(1_000), at(16_000), at(1_000)]);
}

#[test]
fn f37_what_went_out_in_part_has_failed_where_no_receipt_will_come_and_is_counted_where_one_may() {
    use crate::journal::model::key::Outcome::{Accepted, Rejected, Retry};
    use crate::journal::model::key::Verdict;
    for (receipts, state) in [("none", State::Failed), ("failures", State::Failed), ("all", State::Accepted)] {
        let mut story = Story::new();
        let s = &mut story;
        s.campaign("c");
        s.connection.execute("UPDATE campaign SET options = json_object('receipts', ?1)", [receipts]).unwrap();
        let id = s.message(3, "refused");
        s.claim(id, 3, 0, 1_000).answer(id, 0, 0, Accepted, 1_010).answer(id + 1, 0, 0x0B, Rejected, 1_020);
        s.verdict(id + 2, 0, Verdict::NotWritten, "");
        let id = s.message(2, "given up");
        s.claim(id, 2, 0, 1_000).answer(id, 0, 0, Accepted, 1_010);
        s.verdict(id + 1, 0, Verdict::InDoubt, "").verdict(id + 1, 0, Verdict::Abandon, "resolve --abandon");
        let id = s.message(2, "whole");
        s.claim(id, 2, 0, 1_000).answer(id, 0, 0, Accepted, 1_010).answer(id + 1, 0, 0, Accepted, 1_020);
        let id = s.message(2, "whole, as the operator says");
        s.claim(id, 2, 0, 1_000).answer(id, 0, 0, Accepted, 1_010);
        s.verdict(id + 1, 0, Verdict::InDoubt, "").verdict(id + 1, 0, Verdict::AssumeSent, "");
        let id = s.message(1, "short");
        s.claim(id, 1, 0, 1_000).answer(id, 0, 0, Accepted, 1_010);
        s.campaign("cancelled");
        s.connection.execute("UPDATE campaign SET options = json_object('receipts', ?1)", [receipts]).unwrap();
        let id = s.message(2, "throttled");
        s.claim(id, 2, 0, 1_000).answer(id, 0, 0, Accepted, 1_010).answer(id + 1, 0, 0x58, Retry, 1_020);
        s.connection.execute("UPDATE campaign SET cancelled_at = ?1 WHERE name = 'cancelled'", [START]).unwrap();
        s.settle();
        let connection = open_read_only(&story.path).unwrap();
        let mut found = Vec::new();
        for name in ["c", "cancelled"] {
            messages(&connection, name, &[], keep::<MessageRow>(&mut found)).unwrap();
        }
        assert_eq!(found, view(&connection, "SELECT * FROM message_status"));
        let column = |name| MessageRow::COLUMNS.iter().position(|column| *column == name).unwrap();
        let told: Vec<_> =
            found.iter().map(|row| (row[column("state")].as_str(), row[column("error")].as_str())).collect();
        let failed = |error: &'static str| (state.name(), if receipts == "all" { "" } else { error });
        let cancelled = failed("cancelled before all of its parts were sent");
        let whole = ("accepted", "");
        let refused = (state.name(), "ESME_RINVDSTADR");
        assert_eq!(told, [refused, failed("resolve --abandon"), whole, whole, whole, cancelled], "{receipts}");
        for (name, expected) in [("c", 2), ("cancelled", 1)] {
            assert_eq!(sent_in_part(&connection, &campaign(&connection, name).unwrap()).unwrap(), expected);
            assert_eq!(campaign_report(&connection, name).unwrap().sent_in_part, expected, "{receipts}");
        }
        assert!(
            crate::journal::verify::verify(&connection)
                .unwrap()
                .checks
                .iter()
                .all(|check| { !check.what.starts_with("messages") || check.problems == 0 })
        );
    }
}

#[test]
fn what_only_a_part_or_a_receipt_tells_is_told() {
    use crate::journal::model::key::Outcome::{Accepted, Rejected};
    use crate::journal::model::key::{Attempt, Verdict};
    let mut story = Story::new();
    let s = &mut story;
    s.campaign("c");
    let id = s.message(2, "a part rejected");
    s.claim(id, 2, 0, 1_000).answer(id, 0, 0, Accepted, 1_010).answer(id + 1, 0, 0x0B, Rejected, 1_020);
    s.receipt(Attempt::new(id, 0).receipt(0), 2, None, 2_000);
    let id = s.message(2, "the first part in doubt");
    s.claim(id, 1, 0, 3_000).claim(id + 1, 1, 0, 3_500);
    s.verdict(id, 0, Verdict::InDoubt, "no answer").answer(id + 1, 0, 0, Accepted, 4_000);
    let id = s.message(1, "settled by a receipt");
    s.claim(id, 1, 0, 4_000).verdict(id, 0, Verdict::InDoubt, "no answer");
    s.receipt(-1, 2, None, 21_000).matched(-1, Some(Attempt::new(id, 0)), 4);
    let id = s.message(1, "assumed");
    s.claim(id, 1, 0, 2_500).verdict(id, 0, Verdict::InDoubt, "").verdict(id, 0, Verdict::AssumeSent, "");
    let id = s.message(1, "not final");
    s.claim(id, 1, 0, 5_000).answer(id, 0, 0, Accepted, 5_010);
    s.receipt(Attempt::new(id, 0).receipt(0), 1, Some("BLACKLST 099"), 6_000);
    let id = s.message(1, "resent and refused");
    s.claim(id, 1, 0, 5_500).verdict(id, 0, Verdict::InDoubt, "no answer").verdict(id, 0, Verdict::Resend, "resend");
    s.claim(id, 1, 1, 6_500).answer(id, 1, 0x0B, Rejected, 6_510);
    s.settle();
    let connection = open_read_only(&story.path).unwrap();
    let mut found = Vec::new();
    messages(&connection, "c", &[], keep::<MessageRow>(&mut found)).unwrap();
    assert_eq!(found, view(&connection, "SELECT * FROM message_status"));
    let of = |n: usize, name: &str| {
        let column = MessageRow::COLUMNS.iter().position(|column| *column == name).unwrap();
        found[n][column].clone()
    };
    assert_eq!((of(0, "state").as_str(), of(0, "error").as_str()), ("partly_delivered", "ESME_RINVDSTADR"));
    assert_eq!((of(1, "state"), of(1, "sent_at")), ("in_doubt".to_owned(), Stamp(START + 3_000).to_string()));
    assert_eq!((of(2, "state").as_str(), of(2, "message_ids").as_str()), ("delivered", "stray-1"));
    let words = "no answer; another try or part was rejected: ESME_RINVDSTADR";
    assert_eq!((of(5, "state").as_str(), of(5, "error").as_str()), ("in_doubt", words));
    assert_eq!(campaign_report(&connection, "c").unwrap().doubts.pop().unwrap().reason.as_deref(), Some(words));
    let against = |line| crate::journal::store::decisions::against(&connection, "c", &[3, line]).unwrap();
    assert_eq!(against(3), None);
    assert!(against(99).unwrap().contains("no message of that line"));
    assert!(against(2).unwrap().contains("partly_delivered"));
    let report = campaign_report(&connection, "c").unwrap();
    let rejections: Vec<_> = report.rejections.iter().map(|each| (each.command_status, each.messages)).collect();
    assert_eq!(rejections, [(0x0B, 1)]);
    let not_final: Vec<_> = report.not_final.iter().map(|kind| (kind.state.as_str(), kind.parts)).collect();
    assert_eq!(not_final, [("ENROUTE", 1)]);
    assert_eq!(report.outstanding_receipts.oldest_answered_at, Some(Stamp(START + 2_500)));
}
