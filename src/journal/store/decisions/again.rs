//! What goes again or not after all: messages that came back, and those that were cancelled.

use super::suppresses;
use crate::journal::error::JournalError;
use crate::journal::handle::Sql;
use crate::journal::model::key::{Attempt, State, Verdict};
use crate::journal::model::state::{ReceiptsFor, came_back, may_go_on};
use crate::journal::store::counts::Counts;
use crate::journal::store::history::{MessageFacts, message_of};
use crate::journal::store::lines::message_of_line;
use crate::journal::store::verdicts::insert_verdict;
use crate::platform::clock::now_ms;
use rusqlite::Connection;

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
pub fn count_came_back(journal: &dyn Sql, campaign: &str, error: Option<&str>) -> Result<i64, JournalError> {
    let connection = journal.connection();
    let id = crate::journal::store::notes::campaign_id(connection, campaign)?;
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
    counts: &mut Counts,
    index: u32,
    error: Option<&str>,
    (from, limit): (i64, usize),
) -> Result<CameBack, JournalError> {
    let mut came_back_now = CameBack::default();
    let Some(book) = counts.campaign(index) else { return Ok(came_back_now) };
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
        counts.touch(connection, message, facts.state(cancelled, awaited))?;
        insert_verdict(connection, attempt, Verdict::RetryRejected, "resume --retry-failed")?;
        came_back_now.messages.push(message);
    }
    came_back_now.looked_at = attempts.len();
    came_back_now.next = attempts.last().filter(|_| attempts.len() == limit).map(|last| last.0 + 1);
    Ok(came_back_now)
}

/// Cancels what of these lines is not sent. Returns the messages.
pub(super) fn cancel_lines(
    connection: &Connection,
    counts: &mut Counts,
    index: u32,
    lines: &[u64],
) -> Result<Vec<i64>, JournalError> {
    let Some(book) = counts.campaign(index) else { return Ok(Vec::new()) };
    let (first, end, is_cancelled, awaited) = (book.first_id, book.end_id, book.cancelled, book.awaited);
    let mut cancelled = Vec::new();
    for &line in lines {
        if let Some((message, parts)) = message_of_line(connection, (first, end), line)? {
            let facts = MessageFacts::load(connection, message, parts)?;
            let stored = crate::journal::store::history::stored_state(connection, message)?;
            let state = stored.unwrap_or_else(|| facts.state(is_cancelled, awaited));
            if !matches!(state, State::Queued | State::Sending | State::InDoubt) {
                continue;
            }
            counts.touch(connection, message, state)?;
            connection
                .prepare_cached("INSERT OR REPLACE INTO cancelled_message (message, at) VALUES (?1, ?2)")?
                .execute([message, now_ms()])?;
            cancelled.push(message);
        }
    }
    Ok(cancelled)
}
