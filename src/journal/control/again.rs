//! What goes again or not after all: messages that came back, and those that were cancelled.

use super::suppresses;
use crate::journal::JournalError;
use crate::journal::books::Books;
use crate::journal::facts::{MessageFacts, message_of};
use crate::journal::key::{Attempt, State, Verdict};
use crate::journal::now_ms;
use crate::journal::recover::pronounce;
use crate::journal::state::{ReceiptsFor, came_back, may_go_on};
use rusqlite::{Connection, OptionalExtension};

/// The attempts, from one number on and before another, whose receipt says that they came back (expired, undeliverable,
/// rejected, failed), in order; `?3`: only with that error, `?4`: at most so many.
const CAME_BACK: &str = "
    SELECT attempt FROM (
        SELECT r.id >> 8 AS attempt FROM receipt r
         WHERE r.id >= (?1 << 8) AND r.id < (?2 << 8) AND r.final = 1 AND r.state IN (3, 5, 8, 100)
           AND (?3 IS NULL OR r.error = ?3 OR ltrim(r.error, '0') = ltrim(?3, '0'))
           AND NOT EXISTS (SELECT 1 FROM receipt_match x WHERE x.receipt_id = r.id)
        UNION
        SELECT x.attempt FROM receipt_match x JOIN receipt r ON r.id = x.receipt_id
         WHERE x.attempt >= ?1 AND x.attempt < ?2 AND r.final = 1 AND r.state IN (3, 5, 8, 100)
           AND (?3 IS NULL OR r.error = ?3 OR ltrim(r.error, '0') = ltrim(?3, '0'))
           AND NOT EXISTS (SELECT 1 FROM receipt_match y WHERE y.receipt_id = x.receipt_id AND y.id > x.id))
     ORDER BY attempt LIMIT ?4";

/// How many messages of a campaign came back and may go again, by what their receipts say; an estimate where receipts
/// contradict each other.
pub fn count_came_back(connection: &Connection, campaign: &str, error: Option<&str>) -> Result<i64, JournalError> {
    let id = super::super::campaign_id(connection, campaign)?;
    let (first, end): (i64, i64) =
        connection.query_row("SELECT first_id, end_id FROM campaign WHERE id = ?1", [id], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    let (from, to) = Attempt::range(first, end);
    let sql = format!(
        "SELECT count(DISTINCT (SELECT m.id FROM message m WHERE m.id <= (c.attempt >> 12) ORDER BY m.id DESC LIMIT 1))
           FROM ({CAME_BACK}) c
          WHERE NOT EXISTS (SELECT 1 FROM verdict v WHERE v.attempt = c.attempt AND v.kind = {})",
        Verdict::RetryRejected as u8
    );
    Ok(connection.query_row(&sql, (from, to, error, i64::MAX), |row| row.get(0))?)
}

/// What came of a slice of those that came back.
#[derive(Default)]
pub(super) struct CameBack {
    /// Messages that go again.
    pub messages: Vec<i64>,
    /// Attempts that were looked at.
    pub looked_at: usize,
    /// Where to go on; `None`: that was all.
    pub next: Option<i64>,
}

/// Queues what came back again, from the attempt `from` on (0: the campaign's first), as many as may be looked at.
pub(super) fn retry_failed(
    connection: &Connection,
    books: &mut Books,
    index: u32,
    error: Option<&str>,
    (from, limit): (i64, usize),
) -> Result<CameBack, JournalError> {
    let mut came_back_now = CameBack::default();
    let Some(book) = books.campaign(index) else { return Ok(came_back_now) };
    let (cancelled, awaited) = (book.cancelled, book.awaited);
    let (first, to) = Attempt::range(book.first_id, book.end_id);
    if cancelled {
        return Ok(came_back_now);
    }
    let mut statement = connection.prepare_cached(CAME_BACK)?;
    let attempts: Vec<Attempt> = statement
        .query_map((first.max(from), to, error, limit as i64), |row| row.get(0).map(Attempt))?
        .collect::<Result<_, _>>()?;
    for &attempt in &attempts {
        let Some((message, parts)) = message_of(connection, attempt.part())? else { continue };
        let facts = MessageFacts::load(connection, message, parts)?;
        let tries = &facts.parts[(attempt.part() - message) as usize];
        let is_newest = tries.len() == usize::from(attempt.tried()) + 1;
        // Where one receipt speaks for all parts, nobody knows which of them came back.
        let is_its_own = parts == 1 || awaited.parts == ReceiptsFor::All;
        if !is_newest || !is_its_own || facts.cancelled || !came_back(tries) || !may_go_on(&facts.parts) {
            continue;
        }
        let destination: String = connection
            .prepare_cached("SELECT destination FROM message WHERE id = ?1")?
            .query_row([message], |row| row.get(0))?;
        if suppresses(connection, &destination)? {
            continue;
        }
        books.touch(connection, message, facts.state(cancelled, awaited))?;
        pronounce(connection, attempt, Verdict::RetryRejected, "resume --retry-failed")?;
        came_back_now.messages.push(message);
    }
    came_back_now.looked_at = attempts.len();
    came_back_now.next = attempts.last().filter(|_| attempts.len() == limit).map(|last| last.0 + 1);
    Ok(came_back_now)
}

/// Cancels what of these lines is not sent. Returns the messages.
pub(super) fn cancel_lines(
    connection: &Connection,
    books: &mut Books,
    index: u32,
    lines: &[u64],
) -> Result<Vec<i64>, JournalError> {
    let Some(book) = books.campaign(index) else { return Ok(Vec::new()) };
    let (first, end, is_cancelled, awaited) = (book.first_id, book.end_id, book.cancelled, book.awaited);
    let mut cancelled = Vec::new();
    for &line in lines {
        for (message, parts) in messages_of(connection, (first, end), line)? {
            let facts = MessageFacts::load(connection, message, parts)?;
            let stored = crate::journal::facts::stored_state(connection, message)?;
            let state = stored.unwrap_or_else(|| facts.state(is_cancelled, awaited));
            if !matches!(state, State::Queued | State::Sending | State::InDoubt) {
                continue;
            }
            books.touch(connection, message, state)?;
            connection
                .prepare_cached("INSERT OR REPLACE INTO cancelled_message (message, at) VALUES (?1, ?2)")?
                .execute([message, now_ms()])?;
            cancelled.push(message);
        }
    }
    Ok(cancelled)
}

/// Takes cancellations back: of these lines, or (none) of the campaign and all its lines. What was sent in part, or may have
/// been sent, is not touched.
pub(super) fn uncancel(
    connection: &Connection,
    books: &mut Books,
    index: u32,
    lines: &[u64],
) -> Result<(), JournalError> {
    let Some(book) = books.campaign(index) else { return Ok(()) };
    let (id, first, end, was_cancelled, awaited) = (book.id, book.first_id, book.end_id, book.cancelled, book.awaited);
    if lines.is_empty() && was_cancelled {
        keep_half_sent_back(connection, (first, end), awaited)?;
        connection.execute("UPDATE campaign SET cancelled_at = NULL WHERE id = ?1", [id])?;
        // Those whose state is stored, then those that are read off their facts.
        let stored = connection.execute(
            "UPDATE message_state SET state = ?3
              WHERE message >= ?1 AND message < ?2 AND state = ?4
                AND NOT EXISTS (SELECT 1 FROM cancelled_message x WHERE x.message = message_state.message
                                                                    AND x.again_at IS NULL)",
            (first, end, State::Queued as u8, State::Cancelled as u8),
        )? as i64;
        let by_line: i64 = connection.query_row(
            "SELECT count(*) FROM message_state WHERE message >= ?1 AND message < ?2 AND state = ?3",
            (first, end, State::Cancelled as u8),
            |row| row.get(0),
        )?;
        let plain = books.campaign(index).map_or(0, |book| book.counts[State::Cancelled as usize]) - stored - by_line;
        books.shift(index, State::Cancelled, State::Queued, stored + plain);
        if let Some(book) = books.campaigns.get_mut(index as usize) {
            book.cancelled = false;
        }
    }
    let one_by_one: Vec<(i64, u8)> = if lines.is_empty() {
        let mut statement = connection.prepare_cached(
            "SELECT x.message, m.parts FROM cancelled_message x JOIN message m ON m.id = x.message
              WHERE x.message >= ?1 AND x.message < ?2 AND x.again_at IS NULL",
        )?;
        statement.query_map([first, end], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?
    } else {
        let mut found = Vec::new();
        for &line in lines {
            found.extend(messages_of(connection, (first, end), line)?);
        }
        found
    };
    let is_cancelled = was_cancelled && !lines.is_empty();
    for (message, parts) in one_by_one {
        let facts = MessageFacts::load(connection, message, parts)?;
        // What is anything else than cancelled had begun.
        if is_cancelled || !facts.cancelled || facts.state(true, awaited) != State::Cancelled {
            continue;
        }
        connection
            .prepare_cached("UPDATE cancelled_message SET again_at = ?2 WHERE message = ?1")?
            .execute([message, now_ms()])?;
        if facts.parts.iter().all(Vec::is_empty) {
            // As if nothing had been.
            connection.prepare_cached("DELETE FROM message_state WHERE message = ?1")?.execute([message])?;
            books.shift(index, State::Cancelled, State::Queued, 1);
        } else {
            books.touch(connection, message, State::Cancelled)?;
        }
    }
    Ok(())
}

/// Marks what a campaign's cancellation had left half sent or in doubt, so that the rest of it does not go when the campaign
/// goes on.
fn keep_half_sent_back(
    connection: &Connection,
    (first, end): (i64, i64),
    awaited: crate::journal::state::Awaited,
) -> Result<(), JournalError> {
    let mut statement = connection.prepare_cached(
        "SELECT s.message, m.parts FROM message_state s JOIN message m ON m.id = s.message
          WHERE s.message >= ?1 AND s.message < ?2 AND s.state NOT IN (?3, ?4, ?5)",
    )?;
    let mut rows =
        statement.query((first, end, State::Cancelled as u8, State::Suppressed as u8, State::Delivered as u8))?;
    while let Some(row) = rows.next()? {
        let (message, parts): (i64, u8) = (row.get(0)?, row.get(1)?);
        let facts = MessageFacts::load(connection, message, parts)?;
        if facts.state(true, awaited) != facts.state(false, awaited) {
            connection
                .prepare_cached("INSERT OR REPLACE INTO cancelled_message (message, at) VALUES (?1, ?2)")?
                .execute([message, now_ms()])?;
        }
    }
    Ok(())
}

/// The messages of a line: one, as a rule.
fn messages_of(connection: &Connection, (first, end): (i64, i64), line: u64) -> Result<Vec<(i64, u8)>, JournalError> {
    let found = connection
        .prepare_cached("SELECT id, parts FROM message WHERE id >= ?1 AND id < ?2 AND line = ?3")?
        .query_row((first, end, i64::try_from(line).unwrap_or(-1)), |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(found.into_iter().collect())
}
