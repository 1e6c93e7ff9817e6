//! Journals of finished messages, by SQL.

use rusqlite::Connection;
use smppost::testing::journal::open_or_create;
use std::path::Path;

/// The key of the n-th message's number: spread over a thousand million, as numbers of a country are.
pub fn number(n: i64) -> u64 {
    1_447_000_000_000 + (n as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) % 1_000_000_000
}

/// A journal of so many messages, each sent, accepted and receipted, in campaigns of `size`.
pub fn journal(path: &Path, messages: i64, size: i64) {
    drop(open_or_create(path).unwrap());
    let connection = Connection::open(path).unwrap();
    connection.execute_batch("PRAGMA synchronous = OFF").unwrap();
    let now = smppost::testing::journal::now_ms();
    connection
        .execute(
            "INSERT INTO session (id, opened_at, closed_at, boot_id, first_serial, peer, system_id, bind, smpp_version)
             VALUES (1, ?1, ?1, '', 1, '127.0.0.1', 'smppost', 'trx', '3.4')",
            [now],
        )
        .unwrap();
    for (n, first) in (1..=messages).step_by(size as usize).enumerate() {
        campaign(&connection, n, first, (first + size).min(messages + 1), now - 3_600_000);
    }
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
}

fn campaign(connection: &Connection, n: usize, first: i64, end: i64, at: i64) {
    let messages = end - first;
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    connection
        .execute(
            "INSERT INTO campaign (name, file, digest, options, first_id, end_id, created_at, imported_at)
             VALUES (?1, 'file.csv', '', '{\"to_column\":\"to\",\"text_column\":\"text\"}', ?2, ?3, ?4, ?4)",
            (format!("c{n}"), first, end, at),
        )
        .unwrap();
    connection
        .execute(
            "INSERT INTO campaign_count (campaign_id, messages, parts, delivered, first_sent_at, last_sent_at)
             VALUES (?1, ?2, ?2, ?2, ?3, ?3)",
            (connection.last_insert_rowid(), messages, at),
        )
        .unwrap();
    let mut message = connection
        .prepare_cached(
            "INSERT INTO message (id, line, destination, text, encoding, parts) VALUES (?1, ?2, ?3, ?4, 0, 1)",
        )
        .unwrap();
    let mut claim = connection
        .prepare_cached(
            "INSERT INTO claim (first_serial, try, first_part, parts, first_message, session_id, first_sequence_number,
                                claimed_at) VALUES (?1, 0, ?1, ?2, ?1, 1, ?1 + 65536, ?3)",
        )
        .unwrap();
    let mut answer = connection
        .prepare_cached(
            "INSERT INTO answer (attempt, answered_at, answer_ms, command_status, outcome, message_id)
             VALUES (?1 << 12, ?2, 1, 0, 0, ?3)",
        )
        .unwrap();
    let mut receipt = connection
        .prepare_cached(
            "INSERT INTO receipt (id, received_at, state, final, rule, text) VALUES (?1 << 20, ?2, 2, 1, 1, ?3)",
        )
        .unwrap();
    let text = "Your order has been shipped and arrives tomorrow at noon, xx";
    let told =
        |n: i64| format!("id:{n:x} sub:001 dlvrd:001 submit date:2611282100 done date:2611282101 stat:DELIVRD err:000");
    let id = |n: i64| format!("{:016x}", (n as u64).wrapping_mul(0xD1B5_4A32_D192_ED03));
    for first in (first..end).step_by(500) {
        claim.execute((first, 500.min(end - first), at)).unwrap();
    }
    for n in first..end {
        message.execute((n, n - first + 2, (number(n - 1) - 1_000_000_000_000).to_string(), text)).unwrap();
    }
    for n in first..end {
        answer.execute((n, at + 1, id(n))).unwrap();
    }
    for n in first..end {
        receipt.execute((n, at + 2, told(n))).unwrap();
    }
    connection.execute_batch("COMMIT").unwrap();
}

/// Deletes a range of messages and all that is known of them.
pub fn delete(connection: &Connection, first: i64, end: i64) {
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    for sql in [
        "DELETE FROM receipt WHERE id >= ?1 << 20 AND id < ?2 << 20",
        "DELETE FROM answer WHERE attempt >= ?1 << 12 AND attempt < ?2 << 12",
        "DELETE FROM claim WHERE first_serial >= ?1 AND first_serial < ?2",
        "DELETE FROM message WHERE id >= ?1 AND id < ?2",
    ] {
        connection.execute(sql, [first, end]).unwrap();
    }
    connection.execute_batch("COMMIT").unwrap();
}
