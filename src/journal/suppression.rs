//! The suppression list: numbers that are never sent to. It is looked at when a campaign is imported and again when a
//! message is claimed, also where it changed while a sender runs.

use super::{JournalError, in_transaction, now_ms};
use crate::address::Destination;
use rusqlite::Connection;

/// A number on the list.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Suppressed {
    /// Its digits.
    pub number: String,
    /// Since when, in milliseconds since 1970.
    pub added_at: i64,
    /// Why.
    pub reason: String,
}

/// Puts a number on the list, without a leading 00. Says whether it is new there; one that is there keeps its reason.
pub fn add(connection: &Connection, number: Destination<'_>, reason: &str, now_ms: i64) -> Result<bool, JournalError> {
    let added = connection
        .prepare_cached("INSERT OR IGNORE INTO suppression (destination, added_at, reason) VALUES (?1, ?2, ?3)")?
        .execute((number.international(), now_ms, reason))?;
    Ok(added > 0)
}

/// Puts numbers on the list, all or none. Returns how many were new there.
pub fn add_all<'n>(
    connection: &Connection,
    numbers: impl Iterator<Item = Destination<'n>>,
    reason: &str,
) -> Result<usize, JournalError> {
    let now = now_ms();
    in_transaction(connection, || {
        let mut new = 0;
        for number in numbers {
            new += usize::from(add(connection, number, reason, now)?);
        }
        Ok(new)
    })
}

/// Takes numbers off the list, all or none. Returns how many were there.
pub fn remove_all<'n>(
    connection: &Connection,
    numbers: impl Iterator<Item = Destination<'n>>,
) -> Result<usize, JournalError> {
    in_transaction(connection, || {
        let mut removed = 0;
        for number in numbers {
            removed += connection
                // An older program kept the 00.
                .prepare_cached("DELETE FROM suppression WHERE destination IN (?1, '00' || ?1)")?
                .execute([number.international()])?
                .min(1);
        }
        Ok(removed)
    })
}

/// Calls `each` with every number on the list, in order.
pub fn list<E: From<JournalError>>(
    connection: &Connection,
    mut each: impl FnMut(Suppressed) -> Result<(), E>,
) -> Result<(), E> {
    let sql = |error: rusqlite::Error| E::from(JournalError::from(error));
    let mut statement = connection
        .prepare("SELECT destination, added_at, reason FROM suppression ORDER BY destination")
        .map_err(sql)?;
    let mut rows = statement.query([]).map_err(sql)?;
    while let Some(row) = rows.next().map_err(sql)? {
        each(Suppressed {
            number: row.get(0).map_err(sql)?,
            added_at: row.get(1).map_err(sql)?,
            reason: row.get(2).map_err(sql)?,
        })?;
    }
    Ok(())
}
