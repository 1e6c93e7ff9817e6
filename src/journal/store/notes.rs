//! What the journal notes of itself under keys, and campaigns by their names.

use crate::journal::error::JournalError;
use crate::journal::handle::Sql;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

/// Key in `meta`: how often campaigns were made pseudonymous, by which a sender sees that there are more.
pub(in crate::journal) const PSEUDONYMS: &str = "pseudonyms";

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
pub fn campaign_id(journal: &dyn Sql, name: &str) -> Result<i64, JournalError> {
    let connection = journal.connection();
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
pub fn is_real(journal: &dyn Sql) -> Result<Option<bool>, JournalError> {
    let connection = journal.connection();
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
pub fn is_used(journal: &dyn Sql) -> Result<bool, JournalError> {
    let connection = journal.connection();
    let sql = "SELECT EXISTS (SELECT 1 FROM campaign) OR EXISTS (SELECT 1 FROM session)";
    Ok(connection.query_row(sql, [], |row| row.get(0))?)
}

/// A note that the journal keeps under a key.
pub fn note(journal: &dyn Sql, key: &str) -> Result<Option<String>, JournalError> {
    let connection = journal.connection();
    Ok(connection.query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0)).optional()?)
}

/// Replaces a note; `None`: takes it away.
pub fn set_note(journal: &dyn Sql, key: &str, value: Option<&str>) -> Result<(), JournalError> {
    let connection = journal.connection();
    match value {
        Some(value) => connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)", [key, value])?,
        None => connection.execute("DELETE FROM meta WHERE key = ?1", [key])?,
    };
    Ok(())
}
