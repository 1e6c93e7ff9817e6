//! What is deleted on purpose: campaigns that are old enough (`purge`), their numbers and texts (`purge --pseudonymise`), and
//! all that is there of a number (`forget`).
//!
//! It may be done beside a sender: in transactions of at most [`ROWS_PER_TRANSACTION`] rows, each followed by a pause in which
//! others have their turn. A campaign is marked first and emptied afterwards; what is marked is told from its totals, by
//! whatever reads it, so that a purge that is cut short anywhere is done again from the start of what is left.
//!
//! What is deleted is overwritten with zeros where it stood (`secure_delete`), the WAL is emptied at the end ([`scour`]), and
//! where no sender runs the file is written anew, which gives its room back.

mod campaigns;
mod loose;
mod number;
mod plan;
mod pseudonym;
pub mod scour;
#[cfg(test)]
mod tests;

pub use campaigns::purge;
pub use number::{ForgetPlan, forget, look_for};
pub use plan::{Plan, plan};

use crate::journal::error::JournalError;
use crate::journal::store::notes::{in_transaction, note, set_note};
use crate::platform::clock::now_ms;
use rusqlite::{Connection, OptionalExtension};
use std::time::Duration;

/// Rows that one transaction deletes or changes: some 20 ms of work, so that nothing a sender commits waits for long.
pub const ROWS_PER_TRANSACTION: i64 = 2_000;
/// Between two transactions a sender finds its turn.
const PAUSE: Duration = Duration::from_millis(1);
/// Key in `meta`: facts of this moment (milliseconds since 1970) and before it may be gone.
pub const PURGED: &str = "purged";

/// What is to be purged.
#[derive(Clone, Copy, Debug)]
pub struct Wish<'a> {
    /// Only what came to its end at this moment or before, in milliseconds since 1970.
    pub up_to: i64,
    /// Only this campaign.
    pub campaign: Option<&'a str>,
    /// Numbers become keyed hashes and texts go; else all goes.
    pub pseudonymise: bool,
    /// Also campaigns whose receipts never came.
    pub without_receipts: bool,
    /// No sender is at work, nor can one begin.
    pub is_alone: bool,
}

/// What was deleted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Purged {
    /// Campaigns.
    pub campaigns: i64,
    /// Their messages.
    pub messages: i64,
    /// Receipts that belong to no message.
    pub unmatched: i64,
    /// Messages from handsets, in parts.
    pub inbound: i64,
    /// What happened to the suppression list.
    pub events: i64,
    /// Backups that upgrades left.
    pub backups: i64,
}

/// Why something was deleted, as the note of it says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Purged = 1,
    Pseudonymised = 2,
    Forgotten = 3,
}

/// Does something for rows, at most [`ROWS_PER_TRANSACTION`] at a time, until none is left; returns how many there were. The
/// last parameter of the statement is that number.
fn in_pieces(connection: &Connection, sql: &str, parameters: &[&dyn rusqlite::ToSql]) -> Result<i64, JournalError> {
    let mut parameters = parameters.to_vec();
    parameters.push(&ROWS_PER_TRANSACTION);
    let mut rows = 0;
    loop {
        let changed = in_transaction(connection, || {
            let changed = connection.prepare_cached(sql)?.execute(&parameters[..])?;
            crate::platform::failpoint::reach("purge-piece")?;
            Ok(changed as i64)
        })?;
        rows += changed;
        if changed == 0 {
            return Ok(rows);
        }
        std::thread::sleep(PAUSE);
    }
}

/// Rows of a table in a range of a key.
#[derive(Clone, Copy)]
struct Rows<'a> {
    table: &'a str,
    /// A whole number, by which there is an index.
    key: &'a str,
    /// What else holds for them, as the index has it.
    which: &'a str,
    range: (i64, i64),
}

/// Goes through rows in the order of their key, a piece of [`ROWS_PER_TRANSACTION`] in each transaction, and hands each piece's
/// first key and the one behind it to `each`. Looking for what is to be done is thus as bounded as doing it.
fn in_ranges(
    connection: &Connection,
    rows: Rows<'_>,
    mut each: impl FnMut(i64, i64) -> Result<i64, JournalError>,
) -> Result<i64, JournalError> {
    let Rows { table, key, which, range: (mut from, to) } = rows;
    let next = format!(
        "SELECT {key} FROM {table} WHERE {which} AND {key} >= ?1 AND {key} < ?2 ORDER BY {key} LIMIT 1 OFFSET ?3"
    );
    let mut changed = 0;
    while from < to {
        let (end, some) = in_transaction(connection, || {
            let next: Option<i64> = connection
                .prepare_cached(&next)?
                .query_row([from, to, ROWS_PER_TRANSACTION], |row| row.get(0))
                .optional()?;
            let end = next.map_or(to, |next| next.max(from + 1));
            let some = each(from, end)?;
            crate::platform::failpoint::reach("purge-piece")?;
            Ok((end, some))
        })?;
        (from, changed) = (end, changed + some);
        std::thread::sleep(PAUSE);
    }
    Ok(changed)
}

/// As [`in_ranges`], with statements whose two parameters are the first key and the one behind the piece. Returns how many rows
/// the last one changed.
fn change(connection: &Connection, rows: Rows<'_>, statements: &[&str]) -> Result<i64, JournalError> {
    in_ranges(connection, rows, |from, end| {
        let mut changed = 0;
        for sql in statements {
            changed = connection.prepare_cached(sql)?.execute([from, end])?;
        }
        Ok(changed as i64)
    })
}

/// Notes that something is about to be deleted, before anything is: a reader that remembers how far it had come can tell that
/// it may miss facts.
fn begin(connection: &Connection, kind: Kind, up_to: i64) -> Result<i64, JournalError> {
    in_transaction(connection, || {
        let so_far = note(connection, PURGED)?.and_then(|at| at.parse().ok()).unwrap_or(i64::MIN);
        set_note(connection, PURGED, Some(&so_far.max(up_to).to_string()))?;
        connection.execute(
            "INSERT INTO forgetting (at, kind, up_to, what) VALUES (?1, ?2, ?3, 'begun, and not ended')",
            (now_ms(), kind as u8, up_to),
        )?;
        Ok(connection.last_insert_rowid())
    })
}

fn end(connection: &Connection, forgetting: i64, what: &str) -> Result<(), JournalError> {
    in_transaction(connection, || {
        connection.execute("UPDATE forgetting SET what = ?2 WHERE id = ?1", (forgetting, what))?;
        Ok(())
    })
}
