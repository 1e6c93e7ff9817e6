//! What `cancel`, `suppress` and `resolve` do to a journal. They may run beside a sender: each appends facts in a short
//! transaction, and the sender honours them within half a second: it claims nothing more of what is cancelled or suppressed,
//! and its sessions give back what they have claimed of that and not written. Where no sender runs, the command applies them itself.

use super::assign::{Assigned, Assignment};
use super::books::Books;
use super::facts::{MessageFacts, message_of};
use super::key::{Attempt, Outcome, State, Verdict};
use super::recover::pronounce;
use super::state::{ReceiptsFor, doubts, is_in_doubt, is_not_begun, is_rejected, leaves_doubt, may_be_resent};
use super::{JournalError, now_ms};
use hashbrown::HashSet;
use rusqlite::{Connection, OptionalExtension};

mod again;

pub use again::count_came_back;

/// The suppressed numbers, as [`crate::address::Destination::same_key`].
pub fn suppressed(connection: &Connection) -> Result<HashSet<u64>, JournalError> {
    let mut statement = connection.prepare_cached("SELECT destination FROM suppression")?;
    let mut rows = statement.query([])?;
    let mut numbers = HashSet::new();
    while let Some(row) = rows.next()? {
        let digits = row.get_ref(0)?.as_str().unwrap_or_default();
        if let Ok(destination) = crate::address::Destination::parse(digits) {
            numbers.insert(destination.same_key());
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

/// Marks a message as suppressed of which nothing was taken yet, although some of it was tried. What of it is in doubt
/// stays so: it is not sent again, but it may have been taken.
pub fn suppress_again(
    connection: &Connection,
    books: &mut Books,
    campaign: u32,
    facts: &MessageFacts,
) -> Result<(), JournalError> {
    let message = facts.message;
    if facts.parts.iter().any(|attempts| leaves_doubt(attempts)) {
        books.touch(connection, message, State::Queued)?;
        for (n, attempts) in facts.parts.iter().enumerate() {
            for (tried, _) in doubts(attempts).filter(|(_, verdict)| *verdict == Some(Verdict::Resend)) {
                let attempt = Attempt::new(message + n as i64, tried);
                let reason = "no answer, and its number was suppressed before it was sent again";
                pronounce(connection, attempt, Verdict::InDoubt, reason)?;
            }
        }
        return Ok(());
    }
    let state = super::facts::stored_state(connection, message)?.unwrap_or(State::Queued);
    connection
        .prepare_cached(
            "INSERT INTO message_state (message, state) VALUES (?1, ?2)
             ON CONFLICT (message) DO UPDATE SET state = excluded.state",
        )?
        .execute((message, State::Suppressed as u8))?;
    books.shift(campaign, state, State::Suppressed, 1);
    Ok(())
}

/// A decision of the operator about a campaign.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Decision {
    /// What is not sent shall not be.
    Cancel {
        /// Lines of the campaign's file; empty: all.
        lines: Vec<u64>,
    },
    /// What was cancelled and never left shall be sent after all.
    Uncancel {
        /// Lines of the campaign's file that were cancelled by themselves; empty: all.
        lines: Vec<u64>,
    },
    /// What was taken and came back, undelivered or expired, is sent again.
    RetryFailed {
        /// Only where the receipt names this error.
        error: Option<String>,
    },
    /// What is in doubt is sent again. With `lines`, only the messages of these lines of the file.
    Resend {
        /// Lines of the campaign's file; empty: all.
        lines: Vec<u64>,
    },
    /// What is in doubt counts as sent.
    AssumeSent {
        /// Lines of the campaign's file; empty: all.
        lines: Vec<u64>,
    },
    /// What is in doubt is given up.
    Abandon {
        /// Lines of the campaign's file; empty: all.
        lines: Vec<u64>,
    },
    /// What was rejected is tried again.
    RetryRejected {
        /// Only what was rejected with this command_status.
        code: Option<u32>,
    },
    /// The SMSC sends receipts for these parts of a long message.
    ReceiptsFor(ReceiptsFor),
    /// A receipt belongs to this message.
    Assign(Assignment),
}

/// The details of a decision, as they stand in the journal.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(default)]
struct Detail {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    lines: Vec<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    receipts_for: Option<ReceiptsFor>,
    #[serde(skip_serializing_if = "Option::is_none")]
    assign: Option<Assignment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// Where a decision goes on that is applied in several transactions.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<i64>,
}

impl Decision {
    fn store(&self) -> (&'static str, Detail) {
        let of_lines = |lines: &Vec<u64>| Detail { lines: lines.clone(), ..Detail::default() };
        match self {
            Self::Cancel { lines } => ("cancel", of_lines(lines)),
            Self::Uncancel { lines } => ("uncancel", of_lines(lines)),
            Self::RetryFailed { error } => ("retry-failed", Detail { error: error.clone(), ..Detail::default() }),
            Self::Resend { lines } => ("resend", of_lines(lines)),
            Self::AssumeSent { lines } => ("assume-sent", of_lines(lines)),
            Self::Abandon { lines } => ("abandon", of_lines(lines)),
            Self::RetryRejected { code } => ("retry-rejected", Detail { code: *code, ..Detail::default() }),
            Self::Assign(assignment) => ("assign", Detail { assign: Some(*assignment), ..Detail::default() }),
            Self::ReceiptsFor(which) => ("receipts-for", Detail { receipts_for: Some(*which), ..Detail::default() }),
        }
    }

    /// A decision, and where to go on with it.
    fn stored(kind: &str, detail: Option<&str>) -> Result<(Self, i64), JournalError> {
        let wrong = |words: String| JournalError::Inconsistent(format!("the decision {kind:?}: {words}"));
        let Detail { lines, code, receipts_for, assign, error, from } = match detail {
            None => Detail::default(),
            Some(detail) => serde_json::from_str(detail).map_err(|error| wrong(error.to_string()))?,
        };
        let decision = match kind {
            "cancel" => Self::Cancel { lines },
            "uncancel" => Self::Uncancel { lines },
            "retry-failed" => Self::RetryFailed { error },
            "resend" => Self::Resend { lines },
            "assume-sent" => Self::AssumeSent { lines },
            "abandon" => Self::Abandon { lines },
            "retry-rejected" => Self::RetryRejected { code },
            "receipts-for" => Self::ReceiptsFor(receipts_for.unwrap_or_default()),
            "assign" => Self::Assign(assign.ok_or_else(|| wrong("it names no receipt".into()))?),
            _ => return Err(wrong("unknown".into())),
        };
        Ok((decision, from.unwrap_or_default()))
    }
}

/// What stands against settling the doubts of these lines of a campaign, as words; `None`: nothing.
pub fn against(connection: &Connection, campaign: &str, lines: &[u64]) -> Result<Option<String>, JournalError> {
    let id = super::campaign_id(connection, campaign)?;
    let mut statement = connection.prepare_cached(
        "SELECT (SELECT t.name FROM message_fact f JOIN state t ON t.id = f.state WHERE f.message = m.id)
           FROM campaign c JOIN message m ON m.id >= c.first_id AND m.id < c.end_id
          WHERE c.id = ?1 AND m.line = ?2",
    )?;
    for line in lines {
        let state: Option<String> =
            statement.query_row((id, i64::try_from(*line).unwrap_or(-1)), |row| row.get(0)).optional()?;
        match state.as_deref() {
            Some("in_doubt") => {}
            Some(state) => return Ok(Some(format!("line {line}: its message is {state} and not in doubt"))),
            None => return Ok(Some(format!("line {line}: campaign {campaign} has no message of that line"))),
        }
    }
    Ok(None)
}

/// What stands against sending what is in doubt of these lines (none: of all) of a campaign again, as words; `None`:
/// nothing.
pub fn against_resending(
    connection: &Connection,
    campaign: &str,
    lines: &[u64],
) -> Result<Option<String>, JournalError> {
    let id = super::campaign_id(connection, campaign)?;
    // A running sender may not have come to a cancellation yet.
    let cancelled: bool = connection.query_row(
        "SELECT cancelled_at IS NOT NULL OR EXISTS (SELECT 1 FROM control WHERE campaign_id = ?1 AND kind = 'cancel'
                                                                            AND coalesce(detail, '{}') = '{}'
                                                                            AND applied_at IS NULL)
           FROM campaign WHERE id = ?1",
        [id],
        |row| row.get(0),
    )?;
    if cancelled {
        let words = "was cancelled, so that nothing of it is sent again: use --assume-sent or --abandon";
        return Ok(Some(format!("campaign {campaign} {words}")));
    }
    if lines.is_empty() {
        return Ok(None);
    }
    let suppressed = suppressed(connection)?;
    let mut statement = connection.prepare_cached(
        "SELECT m.id, m.parts, m.destination FROM campaign c JOIN message m ON m.id >= c.first_id AND m.id < c.end_id
          WHERE c.id = ?1 AND m.line = ?2",
    )?;
    for line in lines {
        let found: Option<(i64, u8, String)> = statement
            .query_row((id, i64::try_from(*line).unwrap_or(-1)), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .optional()?;
        let Some((message, parts, destination)) = found else { continue };
        if is_suppressed(&suppressed, &destination)
            && is_not_begun(&MessageFacts::load(connection, message, parts)?.parts)
        {
            let words = "is suppressed, and nothing is sent to it: use --assume-sent or --abandon";
            return Ok(Some(format!("line {line}: its number {words}")));
        }
    }
    Ok(None)
}

fn is_suppressed(suppressed: &HashSet<u64>, digits: &str) -> bool {
    crate::address::Destination::parse(digits).is_ok_and(|number| suppressed.contains(&number.same_key()))
}

/// Appends a decision. Whoever holds the sender's lock applies it.
pub fn request(connection: &Connection, campaign: &str, decision: &Decision) -> Result<(), JournalError> {
    let id = super::campaign_id(connection, campaign)?;
    let (kind, detail) = decision.store();
    let detail = serde_json::to_string(&detail).map_err(|error| JournalError::Inconsistent(error.to_string()))?;
    connection.execute(
        "INSERT INTO control (at, campaign_id, kind, detail) VALUES (?1, ?2, ?3, ?4)",
        (now_ms(), id, kind, detail),
    )?;
    Ok(())
}

/// What became of decisions that were due.
#[derive(Debug, Default)]
pub struct Applied {
    /// How many there were.
    pub decisions: usize,
    /// The receipts that changed hands.
    pub assigned: Vec<Assigned>,
    /// Messages that were cancelled one by one.
    pub cancelled: Vec<i64>,
    /// More is to be done, in another transaction.
    pub is_unfinished: bool,
}

/// Applies what was appended and not applied yet, inside the caller's transaction.
pub fn apply(connection: &Connection, books: &mut Books) -> Result<Applied, JournalError> {
    let mut statement = connection
        .prepare_cached("SELECT id, campaign_id, kind, detail FROM control WHERE applied_at IS NULL ORDER BY id")?;
    let due: Vec<(i64, i64, String, Option<String>)> = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?
        .collect::<Result<_, _>>()?;
    let mut applied = Applied::default();
    for (id, campaign_id, kind, detail) in &due {
        let Some(index) = books.find(connection, *campaign_id)? else { continue };
        let (decision, from) = Decision::stored(kind, detail.as_deref())?;
        match decision {
            Decision::Cancel { lines } if lines.is_empty() => cancel(connection, books, index as u32)?,
            Decision::Cancel { lines } => {
                applied.cancelled.extend(again::cancel_lines(connection, books, index as u32, &lines)?);
            }
            Decision::Uncancel { lines } => again::uncancel(connection, books, index as u32, &lines)?,
            Decision::RetryFailed { error } => {
                let next = again::retry_failed(connection, books, index as u32, error.as_deref(), from)?;
                if let Some(next) = next {
                    books.settle(connection)?;
                    let detail = Detail { error, from: Some(next), ..Detail::default() };
                    let detail = serde_json::to_string(&detail)
                        .map_err(|error| JournalError::Inconsistent(error.to_string()))?;
                    connection.execute("UPDATE control SET detail = ?2 WHERE id = ?1", (id, detail))?;
                    applied.is_unfinished = true;
                    return Ok(applied);
                }
            }
            Decision::Resend { lines } => resolve(connection, books, index as u32, Verdict::Resend, &lines)?,
            Decision::AssumeSent { lines } => resolve(connection, books, index as u32, Verdict::AssumeSent, &lines)?,
            Decision::Abandon { lines } => resolve(connection, books, index as u32, Verdict::Abandon, &lines)?,
            Decision::RetryRejected { code } => retry_rejected(connection, books, index as u32, code)?,
            Decision::ReceiptsFor(which) => expect_receipts_for(connection, books, index as u32, which)?,
            Decision::Assign(assignment) => {
                applied.assigned.extend(assignment.apply(connection, books, index as u32)?);
            }
        }
        // One decision can rest on the states that another made.
        books.settle(connection)?;
        connection.execute("UPDATE control SET applied_at = ?2 WHERE id = ?1", (id, now_ms()))?;
        applied.decisions += 1;
    }
    Ok(applied)
}

/// Appends a verdict to attempts in doubt of a campaign, or of the messages of some lines.
fn resolve(
    connection: &Connection,
    books: &mut Books,
    index: u32,
    verdict: Verdict,
    lines: &[u64],
) -> Result<(), JournalError> {
    let Some(book) = books.campaign(index) else { return Ok(()) };
    let (first, end, cancelled) = (book.first_id, book.end_id, book.cancelled);
    let reason = match verdict {
        Verdict::Resend => "resolve --resend",
        Verdict::AssumeSent => "resolve --assume-sent",
        _ => "resolve --abandon",
    };
    let is_resend = verdict == Verdict::Resend;
    if is_resend && cancelled {
        // Refused where it is asked for; the cancellation came in between.
        return Ok(());
    }
    let suppressed = if is_resend { suppressed(connection)? } else { HashSet::new() };
    let mut statement = connection.prepare_cached(
        "SELECT s.message, m.parts, m.line, m.destination FROM message_state s JOIN message m ON m.id = s.message
          WHERE s.message >= ?1 AND s.message < ?2 AND s.state = ?3",
    )?;
    let doubtful: Vec<(i64, u8, u64, bool)> = statement
        .query_map((first, end, State::InDoubt as u8), |row| {
            let barred = !suppressed.is_empty() && is_suppressed(&suppressed, row.get_ref(3)?.as_str()?);
            Ok((row.get(0)?, row.get(1)?, row.get::<_, i64>(2)? as u64, barred))
        })?
        .collect::<Result<_, _>>()?;
    let lines: HashSet<u64> = lines.iter().copied().collect();
    for (message, parts, line, barred) in doubtful {
        if !lines.is_empty() && !lines.contains(&line) {
            continue;
        }
        let facts = MessageFacts::load(connection, message, parts)?;
        // What would not be sent again stays in doubt.
        if is_resend && (barred && is_not_begun(&facts.parts) || !may_be_resent(&facts.parts)) {
            continue;
        }
        books.touch(connection, message, State::InDoubt)?;
        for (n, attempts) in facts.parts.iter().enumerate() {
            let at = |tried| Attempt::new(message + n as i64, tried);
            if !is_resend {
                // Also what waits to be sent again: the decision is about the message.
                let newest = doubts(attempts).next_back().filter(|_| leaves_doubt(attempts));
                if let Some((tried, _)) = newest {
                    pronounce(connection, at(tried), verdict, reason)?;
                }
            } else if is_in_doubt(attempts) {
                for (tried, _) in doubts(attempts).filter(|(_, verdict)| *verdict == Some(Verdict::InDoubt)) {
                    pronounce(connection, at(tried), verdict, reason)?;
                }
                if attempts.last().is_some_and(|newest| newest.answer == Some(Outcome::Rejected)) {
                    pronounce(connection, at(attempts.len() as u16 - 1), Verdict::RetryRejected, reason)?;
                }
            }
        }
    }
    Ok(())
}

/// Changes for which parts receipts are expected, and works out anew what waits for some.
fn expect_receipts_for(
    connection: &Connection,
    books: &mut Books,
    index: u32,
    which: ReceiptsFor,
) -> Result<(), JournalError> {
    let Some(book) = books.campaigns.get_mut(index as usize) else { return Ok(()) };
    book.awaited.parts = which;
    let (id, first, end) = (book.id, book.first_id, book.end_id);
    let options: String = connection.query_row("SELECT options FROM campaign WHERE id = ?1", [id], |row| row.get(0))?;
    let wrong = |error: serde_json::Error| JournalError::Inconsistent(format!("the options of campaign {id}: {error}"));
    let mut options: super::campaign::CampaignOptions = serde_json::from_str(&options).map_err(wrong)?;
    options.receipts_for = which;
    let options = serde_json::to_string(&options).map_err(wrong)?;
    connection.execute("UPDATE campaign SET options = ?2 WHERE id = ?1", (id, options))?;
    let mut statement = connection.prepare_cached(
        "SELECT s.message FROM message_state s JOIN message m ON m.id = s.message
          WHERE s.message >= ?1 AND s.message < ?2 AND m.parts > 1",
    )?;
    let long: Vec<i64> = statement.query_map([first, end], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for message in long {
        books.touch(connection, message, State::Accepted)?;
    }
    Ok(())
}

/// Queues the rejected parts of a campaign again.
fn retry_rejected(
    connection: &Connection,
    books: &mut Books,
    index: u32,
    code: Option<u32>,
) -> Result<(), JournalError> {
    let Some((first, end)) = books.campaign(index).map(|book| (book.first_id, book.end_id)) else { return Ok(()) };
    let (from, to) = Attempt::range(first, end);
    let mut statement = connection.prepare_cached(
        "SELECT attempt FROM answer
          WHERE attempt >= ?1 AND attempt < ?2 AND outcome = ?3 AND (?4 IS NULL OR command_status = ?4)",
    )?;
    let rejected: Vec<Attempt> = statement
        .query_map((from, to, Outcome::Rejected as u8, code), |row| row.get(0).map(Attempt))?
        .collect::<Result<_, _>>()?;
    for attempt in rejected {
        let Some((message, parts)) = message_of(connection, attempt.part())? else { continue };
        let facts = MessageFacts::load(connection, message, parts)?;
        let n = (attempt.part() - message) as usize;
        if facts.next_attempt(n).tried() == attempt.tried() + 1 && is_rejected(&facts.parts[n]) {
            books.touch(connection, attempt.part(), State::Rejected)?;
            pronounce(connection, attempt, Verdict::RetryRejected, "resume --retry-rejected")?;
        }
    }
    Ok(())
}

fn cancel(connection: &Connection, books: &mut Books, index: u32) -> Result<(), JournalError> {
    let Some(book) = books.campaigns.get_mut(index as usize) else { return Ok(()) };
    // What is in doubt may have parts that are not sent yet, and shall not be sent again either.
    let left = [State::Queued, State::Sending, State::InDoubt].map(|state| book.counts[state as usize]);
    if book.cancelled || left == [0; 3] {
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

#[cfg(test)]
mod tests;
