//! A campaign's message to another number, to see how it arrives: a campaign of its own, so that it is claimed, answered and
//! recovered as any other, and counts nowhere else.

use crate::journal::error::JournalError;
use crate::journal::files::lock::ImportLock;
use crate::journal::model::key::State;
use crate::journal::open::open_existing;
use crate::journal::store::lines::message_of_campaigns_line;
use crate::journal::store::notes::{campaign_id, in_transaction};
use crate::message::address::Destination;
use crate::platform::clock::now_ms;
use rusqlite::OptionalExtension;
use std::path::Path;

/// What could not be tested.
#[derive(Debug)]
pub enum NoTest {
    /// The number is on the suppression list.
    Suppressed,
    /// The campaign has no message of that line.
    NoLine,
    /// The journal.
    Journal(JournalError),
}

impl From<JournalError> for NoTest {
    fn from(error: JournalError) -> Self {
        Self::Journal(error)
    }
}

/// Imports a copy of the campaign's message of that line, or of its first that is not suppressed, to the number `to`.
/// Returns the name of the campaign that it is.
pub fn import(path: &Path, campaign: &str, line: Option<u64>, to: Destination<'_>) -> Result<String, NoTest> {
    let _lock = ImportLock::take(path)?;
    let connection = open_existing(path)?;
    if crate::journal::store::decisions::suppresses(&connection, to.digits()).map_err(JournalError::from)? {
        return Err(NoTest::Suppressed);
    }
    let id = campaign_id(&connection, campaign)?;
    // What an import left behind would have its numbers.
    super::intake::undo_all_unfinished(&connection)?;
    let made = in_transaction(&connection, || {
        let found = match line {
            Some(line) => message_of_campaigns_line(&connection, id, line)?,
            None => first_to_send(&connection, id)?,
        };
        let Some((message, parts)) = found else { return Ok(None) };
        let name = free_name(&connection, campaign)?;
        let first = super::append::next_first_id(&connection)?;
        connection.execute(
            "INSERT INTO campaign (name, file, digest, options, source, first_id, end_id, created_at, imported_at)
             SELECT ?2, file, NULL, options, source, ?3, ?3 + ?4, ?5, ?5 FROM campaign WHERE id = ?1",
            (id, &name, first, parts, now_ms()),
        )?;
        let test = connection.last_insert_rowid();
        connection.execute(
            "INSERT INTO campaign_count (campaign_id, messages, parts, queued) VALUES (?1, 1, ?2, 1)",
            (test, parts),
        )?;
        connection.execute(
            "INSERT INTO message (id, line, destination, source, text, encoding, parts, fields)
             SELECT ?2, line, ?3, source, text, encoding, parts, fields FROM message WHERE id = ?1",
            (message, first, to.digits()),
        )?;
        Ok(Some(name))
    });
    made.map_err(|error| error.at(path))?.ok_or(NoTest::NoLine)
}

/// The first message of a campaign that is not suppressed.
fn first_to_send(connection: &rusqlite::Connection, campaign: i64) -> Result<Option<(i64, u8)>, JournalError> {
    Ok(connection
        .query_row(
            "SELECT m.id, m.parts FROM campaign c JOIN message m ON m.id >= c.first_id AND m.id < c.end_id
              WHERE c.id = ?1
                AND NOT EXISTS (SELECT 1 FROM message_state s WHERE s.message = m.id AND s.state = ?2)
              ORDER BY m.id LIMIT 1",
            (campaign, State::Suppressed as i64),
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?)
}

/// `NAME (test 1)`, or the next number that is free.
fn free_name(connection: &rusqlite::Connection, campaign: &str) -> Result<String, JournalError> {
    let mut statement = connection.prepare("SELECT EXISTS (SELECT 1 FROM campaign WHERE name = ?1)")?;
    let mut n = 1;
    loop {
        let name = format!("{campaign} (test {n})");
        if !statement.query_row([&name], |row| row.get::<_, bool>(0))? {
            return Ok(name);
        }
        n += 1;
    }
}
