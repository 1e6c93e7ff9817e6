//! What belongs to no campaign, by its age.

use super::pseudonym::Key;
use super::{PAUSE, Purged, ROWS_PER_TRANSACTION, Wish, in_pieces};
use crate::journal::error::JournalError;
use crate::journal::store::notes::in_transaction;
use rusqlite::Connection;

/// How the rows are counted that go; the parameter is the moment.
pub(super) struct Statements {
    pub(super) unmatched: String,
    pub(super) inbound: String,
    pub(super) events: String,
}

/// Receipts that belong to nobody. One of which a sender may yet find the owner stays beside it; the first of all keeps its
/// number, so that none is given twice.
fn unmatched(wish: &Wish<'_>) -> String {
    let settled = if wish.is_alone { "" } else { " AND r.id NOT IN (SELECT receipt FROM stray)" };
    let fresh = if wish.pseudonymise { "AND (r.text IS NOT NULL OR r.tlvs IS NOT NULL)" } else { "" };
    format!(
        "FROM receipt r WHERE r.id < 0 AND r.id > (SELECT min(id) FROM receipt) AND r.received_at <= ?1 {fresh}{settled}
            AND coalesce((SELECT x.attempt FROM receipt_match x WHERE x.receipt_id = r.id ORDER BY x.id DESC LIMIT 1), -1) < 0"
    )
}

/// Handsets' messages.
fn inbound(wish: &Wish<'_>) -> &'static str {
    match wish.pseudonymise {
        true => "FROM inbound i WHERE i.received_at <= ?1 AND length(i.pdu) > 0",
        false => "FROM inbound i WHERE i.received_at <= ?1",
    }
}

/// What happened to the list, of numbers that are not on it. The newest of all keeps its number: senders read on from it.
fn events(wish: &Wish<'_>) -> &'static str {
    match wish.pseudonymise {
        true => "FROM suppression_event e WHERE e.at <= ?1 AND 0",
        false => {
            "FROM suppression_event e WHERE e.at <= ?1 AND e.destination <> ''
                AND NOT EXISTS (SELECT 1 FROM suppression s WHERE s.destination IN (e.destination, '00' || e.destination))"
        }
    }
}

impl Statements {
    pub(super) fn of(wish: &Wish<'_>) -> Self {
        let count = |from: &str| format!("SELECT count(*) {from}");
        Self { unmatched: count(&unmatched(wish)), inbound: count(inbound(wish)), events: count(events(wish)) }
    }
}

/// Deletes it, or makes it pseudonymous.
pub(super) fn purge(
    connection: &Connection,
    wish: &Wish<'_>,
    key: Option<&Key>,
    purged: &mut Purged,
) -> Result<(), JournalError> {
    let up_to: [&dyn rusqlite::ToSql; 1] = [&wish.up_to];
    match key {
        Some(key) => {
            purged.unmatched = hash_addresses(
                connection,
                key,
                &format!("SELECT r.id, r.source, r.destination {} LIMIT ?2", unmatched(wish)),
                "UPDATE receipt SET source = ?2, destination = ?3, text = NULL, tlvs = NULL WHERE id = ?1",
                wish.up_to,
            )?;
            purged.inbound = hash_addresses(
                connection,
                key,
                &format!("SELECT i.id, i.source, i.destination {} LIMIT ?2", inbound(wish)),
                "UPDATE inbound SET source = ?2, destination = coalesce(?3, ''), text = '', pdu = x'' WHERE id = ?1",
                wish.up_to,
            )?;
        }
        None => {
            let some = format!("SELECT r.id {} LIMIT ?2", unmatched(wish));
            purged.unmatched = receipts(connection, &some, wish.up_to)?;
            let sql = format!("DELETE FROM inbound WHERE id IN (SELECT i.id {} LIMIT ?2)", inbound(wish));
            purged.inbound = in_pieces(connection, &sql, &up_to)?;
            let newest = "UPDATE suppression_event SET destination = '', reason = '' WHERE id IN
                (SELECT e.id FROM (SELECT * FROM suppression_event ORDER BY id DESC LIMIT 1) e
                  WHERE e.id IN (SELECT e.id {}) LIMIT ?2)";
            let events = events(wish);
            purged.events = in_pieces(connection, &newest.replace("{}", events), &up_to)?;
            let sql = format!("DELETE FROM suppression_event WHERE id IN (SELECT e.id {events} LIMIT ?2)");
            purged.events += in_pieces(connection, &sql, &up_to)?;
        }
    }
    let first = "UPDATE receipt SET source = NULL, destination = NULL, text = NULL, tlvs = NULL, message_id = NULL, text_id = NULL
                  WHERE id IN (SELECT r.id FROM receipt r WHERE r.id < 0 AND r.id = (SELECT min(id) FROM receipt)
                                  AND r.received_at <= ?1 AND coalesce(r.source, r.text, r.message_id) IS NOT NULL LIMIT ?2)";
    in_pieces(connection, first, &up_to)?;
    let commands = "UPDATE command SET options = '{}' WHERE id IN
        (SELECT id FROM command WHERE coalesce(answered_at, withdrawn_at) <= ?1 AND options <> '{}' LIMIT ?2)";
    in_pieces(connection, commands, &up_to)?;
    Ok(())
}

/// Deletes receipts, and with each what was said of it.
fn receipts(connection: &Connection, some: &str, up_to: i64) -> Result<i64, JournalError> {
    let mut total = 0;
    loop {
        let rows = in_transaction(connection, || {
            let ids: Vec<i64> = connection
                .prepare_cached(some)?
                .query_map([up_to, ROWS_PER_TRANSACTION / 4], |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            for id in &ids {
                for sql in [
                    "DELETE FROM stray WHERE receipt = ?1",
                    "DELETE FROM receipt_match WHERE receipt_id = ?1",
                    "DELETE FROM receipt WHERE id = ?1",
                ] {
                    connection.prepare_cached(sql)?.execute([id])?;
                }
            }
            crate::platform::failpoint::reach("purge-piece")?;
            Ok(ids.len() as i64)
        })?;
        total += rows;
        if rows == 0 {
            return Ok(total);
        }
        std::thread::sleep(PAUSE);
    }
}

fn hash_addresses(
    connection: &Connection,
    key: &Key,
    some: &str,
    update: &str,
    up_to: i64,
) -> Result<i64, JournalError> {
    let mut total = 0;
    loop {
        let rows = in_transaction(connection, || {
            let mut statement = connection.prepare_cached(some)?;
            let rows: Vec<(i64, Option<String>, Option<String>)> = statement
                .query_map([up_to, ROWS_PER_TRANSACTION], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
                .collect::<Result<_, _>>()?;
            let hashed = |address: &Option<String>| address.as_ref().map(|address| key.pseudonym(address));
            for (id, source, destination) in &rows {
                connection.prepare_cached(update)?.execute((id, hashed(source), hashed(destination)))?;
            }
            crate::platform::failpoint::reach("purge-piece")?;
            Ok(rows.len() as i64)
        })?;
        total += rows;
        if rows == 0 {
            return Ok(total);
        }
        std::thread::sleep(PAUSE);
    }
}
