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

/// How a number is marked that is on the list since it is on that of another journal.
const ELSEWHERE: &str = "suppressed in ";
/// Numbers that one transaction brings over.
const NUMBERS_PER_TRANSACTION: usize = 10_000;

/// How many numbers are on the list that were not brought from another journal.
pub fn own_numbers(connection: &Connection) -> Result<i64, JournalError> {
    let sql = "SELECT count(*) FROM suppression WHERE substr(reason, 1, length(?1)) <> ?1";
    Ok(connection.query_row(sql, [ELSEWHERE], |row| row.get(0))?)
}

/// Whether [`bring_over`] would change anything.
pub fn differs(connection: &Connection, other: &Connection, name: &str) -> Result<bool, JournalError> {
    let (new, gone) = compare(connection, other, name)?;
    Ok(!new.is_empty() || !gone.is_empty())
}

/// Puts the numbers on the list that are on the `other` journal's, and takes those off that came from there and are not on it
/// any more. What that journal has from others is left to them. Returns how many are new.
pub fn bring_over(connection: &Connection, other: &Connection, name: &str) -> Result<usize, JournalError> {
    let (new, gone) = compare(connection, other, name)?;
    let parse = |number| Destination::parse(number).ok();
    for numbers in gone.chunks(NUMBERS_PER_TRANSACTION) {
        remove_all(connection, numbers.iter().filter_map(|number| parse(number.as_str())))?;
    }
    let reason = format!("{ELSEWHERE}{name}");
    let mut brought = 0;
    for numbers in new.chunks(NUMBERS_PER_TRANSACTION) {
        brought += add_all(connection, numbers.iter().filter_map(|number| parse(number.as_str())), &reason)?;
    }
    Ok(brought)
}

/// The numbers that are new in the other journal, and those that came from there and are gone.
fn compare(
    connection: &Connection,
    other: &Connection,
    name: &str,
) -> Result<(Vec<String>, Vec<String>), JournalError> {
    let reason = format!("{ELSEWHERE}{name}");
    let mut there = hashbrown::HashSet::new();
    list::<JournalError>(other, |number| {
        if !number.reason.starts_with(ELSEWHERE) {
            there.insert(number.number);
        }
        Ok(())
    })?;
    let mut gone = Vec::new();
    list::<JournalError>(connection, |number| {
        if !there.remove(&number.number) && number.reason == reason {
            gone.push(number.number);
        }
        Ok(())
    })?;
    Ok((there.into_iter().collect(), gone))
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
