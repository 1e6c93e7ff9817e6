//! What `cancel`, `suppress` and `resolve` do to a journal. They may run beside a sender: each appends facts in a short
//! transaction, and the sender honours them at its next claim. Where no sender runs, the command applies them itself.

use super::JournalError;
use super::books::Books;
use super::key::State;
use super::now_ms;
use hashbrown::HashSet;
use rusqlite::Connection;

/// The suppressed numbers, as [`crate::address::Destination::key`].
pub fn suppressed(connection: &Connection) -> Result<HashSet<u64>, JournalError> {
    let mut statement = connection.prepare_cached("SELECT destination FROM suppression")?;
    let mut rows = statement.query([])?;
    let mut numbers = HashSet::new();
    while let Some(row) = rows.next()? {
        let digits = row.get_ref(0)?.as_str().unwrap_or_default();
        if let Ok(destination) = crate::address::Destination::parse(digits) {
            numbers.insert(destination.key());
        }
    }
    Ok(numbers)
}

/// Marks a queued message as suppressed.
pub fn suppress_message(
    connection: &Connection,
    books: &mut Books,
    campaign: u32,
    message: i64,
) -> Result<(), JournalError> {
    let added = connection
        .prepare_cached("INSERT OR IGNORE INTO message_state (message, state) VALUES (?1, ?2)")?
        .execute((message, State::Suppressed as u8))?;
    if added > 0 {
        books.shift(campaign, State::Queued, State::Suppressed, 1);
    }
    Ok(())
}

/// Appends that a campaign is cancelled.
pub fn request_cancel(connection: &Connection, campaign: &str) -> Result<(), JournalError> {
    let id = super::campaign_id(connection, campaign)?;
    connection
        .execute("INSERT INTO control (at, campaign_id, kind) VALUES (?1, ?2, 'cancel')", (now_ms(), id))
        .map(|_| ())
        .map_err(JournalError::from)
}

/// Applies what was appended and not applied yet, inside the caller's transaction. Says whether there was anything.
pub fn apply(connection: &Connection, books: &mut Books) -> Result<bool, JournalError> {
    let mut statement =
        connection.prepare_cached("SELECT id, campaign_id, kind FROM control WHERE applied_at IS NULL ORDER BY id")?;
    let due: Vec<(i64, i64, String)> =
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect::<Result<_, _>>()?;
    for (id, campaign_id, kind) in &due {
        let index = books.campaigns.iter().position(|campaign| campaign.id == *campaign_id);
        if let Some(index) = index
            && kind == "cancel"
        {
            cancel(connection, books, index as u32)?;
        }
        connection.execute("UPDATE control SET applied_at = ?2 WHERE id = ?1", (id, now_ms()))?;
    }
    Ok(!due.is_empty())
}

fn cancel(connection: &Connection, books: &mut Books, index: u32) -> Result<(), JournalError> {
    let Some(book) = books.campaigns.get_mut(index as usize) else { return Ok(()) };
    if book.cancelled {
        return Ok(());
    }
    book.cancelled = true;
    let (id, first, end) = (book.id, book.first_id, book.end_id);
    connection.execute("UPDATE campaign SET cancelled_at = ?2 WHERE id = ?1", (id, now_ms()))?;
    // Those whose story is not plain are worked out one by one; of the plain ones, the queued are taken back at once.
    let mut statement = connection.prepare_cached(
        "SELECT message FROM message_state WHERE message >= ?1 AND message < ?2 AND state IN (?3, ?4)",
    )?;
    let touched: Vec<i64> = statement
        .query_map((first, end, State::Queued as u8, State::Sending as u8), |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for message in touched {
        books.touch(connection, message, State::Queued)?;
    }
    books.settle(connection)?;
    let queued = books.campaign(index).map_or(0, |book| book.counts[State::Queued as usize]);
    books.shift(index, State::Queued, State::Cancelled, queued);
    Ok(())
}
