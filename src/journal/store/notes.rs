//! What the journal notes of itself under keys, and campaigns by their names.

use crate::journal::error::JournalError;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

/// Changes all of something or nothing.
pub(in crate::journal) fn in_transaction<T>(
    connection: &Connection,
    change: impl FnOnce() -> Result<T, JournalError>,
) -> Result<T, JournalError> {
    // Rolled back where it is dropped.
    let transaction = rusqlite::Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    let changed = change()?;
    transaction.commit()?;
    Ok(changed)
}

/// The number of the campaign of that name.
pub fn campaign_id(connection: &Connection, name: &str) -> Result<i64, JournalError> {
    let found = connection
        .query_row("SELECT id FROM campaign WHERE name = ?1 AND imported_at IS NOT NULL", [name], |row| row.get(0))
        .optional()?;
    match found {
        Some(id) => Ok(id),
        None => {
            let mut statement = connection
                .prepare("SELECT name FROM campaign WHERE imported_at IS NOT NULL ORDER BY id DESC LIMIT 20")?;
            let known = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
            Err(JournalError::NoCampaign { name: name.into(), known })
        }
    }
}

/// Whether the journal is one for real messages; `None`: it has something in it, and does not say for what account.
pub fn is_real(connection: &Connection) -> Result<Option<bool>, JournalError> {
    if let Some(recorded) = note(connection, "account")? {
        return Ok(Some(recorded != crate::journal::store::account::SIMULATOR));
    }
    let has_rows: bool = connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM campaign) OR EXISTS (SELECT 1 FROM suppression) OR EXISTS (SELECT 1 FROM session)",
        [],
        |row| row.get(0),
    )?;
    Ok(if has_rows { None } else { Some(false) })
}

/// Whether a campaign was ever imported, or a session opened.
pub fn is_used(connection: &Connection) -> Result<bool, JournalError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM campaign) OR EXISTS (SELECT 1 FROM session)";
    Ok(connection.query_row(sql, [], |row| row.get(0))?)
}

/// A note that the journal keeps under a key.
pub fn note(connection: &Connection, key: &str) -> Result<Option<String>, JournalError> {
    Ok(connection.query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0)).optional()?)
}

/// Replaces a note; `None`: takes it away.
pub fn set_note(connection: &Connection, key: &str, value: Option<&str>) -> Result<(), JournalError> {
    match value {
        Some(value) => connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)", [key, value])?,
        None => connection.execute("DELETE FROM meta WHERE key = ?1", [key])?,
    };
    Ok(())
}
