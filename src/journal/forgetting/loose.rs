//! What belongs to no campaign, by its age.

use super::pseudonym::Key;
use super::{Purged, Rows, Wish, change, in_pieces, in_ranges};
use crate::journal::error::JournalError;
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

/// All rows of a table by their number.
fn all(table: &'static str, first: i64) -> Rows<'static> {
    Rows { table, key: "id", which: "1", range: (first, i64::MAX) }
}

/// Deletes it, or makes it pseudonymous.
pub(super) fn purge(
    connection: &Connection,
    wish: &Wish<'_>,
    key: Option<&Key>,
    purged: &mut Purged,
) -> Result<(), JournalError> {
    let up_to = wish.up_to;
    let with = |sql: &str| sql.replace("?1", &up_to.to_string());
    let receipts = Rows { range: (i64::MIN, 0), ..all("receipt", i64::MIN) };
    let unmatched = with(&unmatched(wish));
    let inbound = with(inbound(wish));
    match key {
        Some(key) => {
            purged.unmatched = hash_addresses(
                connection,
                receipts,
                key,
                &format!("SELECT r.id, r.source, r.destination {unmatched} AND r.id >= ?1 AND r.id < ?2"),
                "UPDATE receipt SET source = ?2, destination = ?3, text = NULL, tlvs = NULL WHERE id = ?1",
            )?;
            purged.inbound = hash_addresses(
                connection,
                all("inbound", i64::MIN),
                key,
                &format!("SELECT i.id, i.source, i.destination {inbound} AND i.id >= ?1 AND i.id < ?2"),
                "UPDATE inbound SET source = ?2, destination = coalesce(?3, ''), text = '', pdu = x'' WHERE id = ?1",
            )?;
        }
        None => {
            let some = format!("SELECT r.id {unmatched} AND r.id >= ?1 AND r.id < ?2");
            let statements = [("stray", "receipt"), ("receipt_match", "receipt_id"), ("receipt", "id")];
            purged.unmatched = in_ranges(connection, receipts, |from, end| {
                let ids: Vec<i64> = connection
                    .prepare_cached(&some)?
                    .query_map([from, end], |row| row.get(0))?
                    .collect::<Result<_, _>>()?;
                for (table, column) in statements {
                    let sql = format!("DELETE FROM {table} WHERE {column} = ?1");
                    let mut delete = connection.prepare_cached(&sql)?;
                    for id in &ids {
                        delete.execute([id])?;
                    }
                }
                Ok(ids.len() as i64)
            })?;
            let sql = format!("DELETE FROM inbound WHERE id IN (SELECT i.id {inbound} AND i.id >= ?1 AND i.id < ?2)");
            purged.inbound = change(connection, all("inbound", i64::MIN), &[&sql])?;
            purged.events = events_of_list(connection, &with(events(wish)))?;
        }
    }
    let first = "UPDATE receipt SET source = NULL, destination = NULL, text = NULL, tlvs = NULL, message_id = '', text_id = NULL
                  WHERE id IN (SELECT r.id FROM receipt r WHERE r.id < 0 AND r.id = (SELECT min(id) FROM receipt)
                                  AND r.received_at <= ?1 AND r.message_id <> ''
                                  AND NOT EXISTS (SELECT 1 FROM receipt_match x WHERE x.receipt_id = r.id) LIMIT ?2)";
    in_pieces(connection, first, &[&up_to])?;
    let commands = "UPDATE command SET options = '{}' WHERE id IN
        (SELECT id FROM command WHERE coalesce(answered_at, withdrawn_at) <= ?1 AND options <> '{}' LIMIT ?2)";
    in_pieces(connection, commands, &[&up_to])?;
    Ok(())
}

/// Deletes what happened to the list; of the newest row the number stays.
fn events_of_list(connection: &Connection, events: &str) -> Result<i64, JournalError> {
    let some = format!("SELECT e.id {events} AND e.id >= ?1 AND e.id < ?2");
    in_ranges(connection, all("suppression_event", i64::MIN), |from, end| {
        let newest: i64 =
            connection.query_row("SELECT coalesce(max(id), 0) FROM suppression_event", [], |row| row.get(0))?;
        let ids: Vec<i64> =
            connection.prepare_cached(&some)?.query_map([from, end], |row| row.get(0))?.collect::<Result<_, _>>()?;
        for &id in &ids {
            let sql = match id == newest {
                true => "UPDATE suppression_event SET destination = '', reason = '' WHERE id = ?1",
                false => "DELETE FROM suppression_event WHERE id = ?1",
            };
            connection.prepare_cached(sql)?.execute([id])?;
        }
        Ok(ids.len() as i64)
    })
}

fn hash_addresses(
    connection: &Connection,
    rows: Rows<'_>,
    key: &Key,
    some: &str,
    update: &str,
) -> Result<i64, JournalError> {
    in_ranges(connection, rows, |from, end| {
        let rows: Vec<(i64, Option<String>, Option<String>)> = connection
            .prepare_cached(some)?
            .query_map([from, end], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
            .collect::<Result<_, _>>()?;
        let hashed = |address: &Option<String>| address.as_ref().map(|address| key.pseudonym(address));
        for (id, source, destination) in &rows {
            connection.prepare_cached(update)?.execute((id, hashed(source), hashed(destination)))?;
        }
        Ok(rows.len() as i64)
    })
}
