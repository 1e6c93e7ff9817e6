//! What `cancel`, `suppress` and `resolve` do to a journal. They may run beside a sender: each appends facts in a short
//! transaction, and the sender honours them within half a second: it claims nothing more of what is cancelled or suppressed,
//! and its sessions give back what they have claimed of that and not written. Where no sender runs, the command applies them itself.

mod slices;

pub use slices::{apply, apply_all};

use crate::journal::error::JournalError;
use crate::journal::handle::Sql;
use crate::journal::model::key::{Attempt, State, Verdict};
use crate::journal::model::state::{ReceiptsFor, doubts, is_not_begun, leaves_doubt};
use crate::journal::store::assignment::Assignment;
use crate::journal::store::counts::Counts;
use crate::journal::store::history::MessageFacts;
use crate::journal::store::lines::message_of_campaigns_line;
use crate::journal::store::verdicts::insert_verdict;
use crate::platform::clock::now_ms;
use hashbrown::HashSet;
use rusqlite::Connection;

mod again;
mod uncancel;

pub use again::count_came_back;

/// The suppressed numbers, as [`crate::message::address::Destination::same_key`].
pub fn suppressed(journal: &dyn Sql) -> Result<HashSet<u64>, JournalError> {
    let connection = journal.connection();
    let mut statement = connection.prepare_cached("SELECT destination FROM suppression")?;
    let mut rows = statement.query([])?;
    let mut numbers = HashSet::new();
    while let Some(row) = rows.next()? {
        let digits = row.get_ref(0)?.as_str().unwrap_or_default();
        if let Ok(destination) = crate::message::address::Destination::parse(digits) {
            numbers.insert(destination.same_key());
        }
    }
    Ok(numbers)
}

/// Marks a queued message as suppressed.
pub fn suppress_message(
    connection: &Connection,
    counts: &mut Counts,
    campaign: u32,
    message: i64,
) -> Result<(), JournalError> {
    let added = connection
        .prepare_cached("INSERT OR IGNORE INTO message_state (message, state) VALUES (?1, ?2)")?
        .execute((message, State::Suppressed as u8))?;
    if added > 0 {
        counts.shift(campaign, State::Queued, State::Suppressed, 1);
    }
    Ok(())
}

/// Marks a message as suppressed of which nothing was taken yet, although some of it was tried. What of it is in doubt
/// stays so: it is not sent again, but it may have been taken.
pub fn suppress_again(
    connection: &Connection,
    counts: &mut Counts,
    campaign: u32,
    facts: &MessageFacts,
) -> Result<(), JournalError> {
    let message = facts.message;
    if facts.parts.iter().any(|attempts| leaves_doubt(attempts)) {
        counts.touch(connection, message, State::Queued)?;
        for (n, attempts) in facts.parts.iter().enumerate() {
            for (tried, _) in doubts(attempts).filter(|(_, verdict)| *verdict == Some(Verdict::Resend)) {
                let attempt = Attempt::new(message + n as i64, tried);
                let reason = "no answer, and its number was suppressed before it was sent again";
                insert_verdict(connection, attempt, Verdict::InDoubt, reason)?;
            }
        }
        return Ok(());
    }
    let state = crate::journal::store::history::stored_state(connection, message)?.unwrap_or(State::Queued);
    connection
        .prepare_cached(
            "INSERT INTO message_state (message, state) VALUES (?1, ?2)
             ON CONFLICT (message) DO UPDATE SET state = excluded.state",
        )?
        .execute((message, State::Suppressed as u8))?;
    counts.shift(campaign, state, State::Suppressed, 1);
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

    fn stored(kind: &str, detail: Option<&str>) -> Result<Self, JournalError> {
        let wrong = |words: String| JournalError::Inconsistent(format!("the decision {kind:?}: {words}"));
        let Detail { lines, code, receipts_for, assign, error } = match detail {
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
        Ok(decision)
    }
}

/// What stands against settling the doubts of these lines of a campaign, as words; `None`: nothing.
pub fn against(journal: &dyn Sql, campaign: &str, lines: &[u64]) -> Result<Option<String>, JournalError> {
    let connection = journal.connection();
    let id = crate::journal::store::notes::campaign_id(connection, campaign)?;
    let mut statement = connection
        .prepare_cached("SELECT t.name FROM message_fact f JOIN state t ON t.id = f.state WHERE f.message = ?1")?;
    for &line in lines {
        let state: Option<String> = match message_of_campaigns_line(connection, id, line)? {
            Some((message, _)) => Some(statement.query_row([message], |row| row.get(0))?),
            None => None,
        };
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
pub fn against_resending(journal: &dyn Sql, campaign: &str, lines: &[u64]) -> Result<Option<String>, JournalError> {
    let connection = journal.connection();
    let id = crate::journal::store::notes::campaign_id(connection, campaign)?;
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
    let mut statement = connection.prepare_cached("SELECT destination FROM message WHERE id = ?1")?;
    for &line in lines {
        let Some((message, parts)) = message_of_campaigns_line(connection, id, line)? else { continue };
        let destination: String = statement.query_row([message], |row| row.get(0))?;
        if suppresses(connection, &destination)? && is_not_begun(&MessageFacts::load(connection, message, parts)?.parts)
        {
            let words = "is suppressed, and nothing is sent to it: use --assume-sent or --abandon";
            return Ok(Some(format!("line {line}: its number {words}")));
        }
    }
    Ok(None)
}

/// Appends a decision. Whoever holds the sender's lock applies it.
pub fn request(journal: &dyn Sql, campaign: &str, decision: &Decision) -> Result<(), JournalError> {
    let connection = journal.connection();
    let id = crate::journal::store::notes::campaign_id(connection, campaign)?;
    let (kind, detail) = written(decision)?;
    // In one statement, beside a purge.
    let sql = "INSERT INTO control (at, campaign_id, kind, detail)
               SELECT ?1, ?2, ?3, ?4 WHERE NOT EXISTS (
                   SELECT 1 FROM campaign WHERE id = ?2
                      AND (purged_at IS NOT NULL
                           OR pseudonymised_at IS NOT NULL AND ?3 IN ('uncancel', 'resend', 'retry-rejected', 'retry-failed')))";
    match connection.execute(sql, (now_ms(), id, kind, detail))? {
        0 => Err(JournalError::Purged(campaign.into())),
        _ => Ok(()),
    }
}

/// Whether there was a number that is forgotten, or a hash of it stands in its place: to that nothing can be sent.
fn is_gone(destination: &str) -> bool {
    destination.is_empty() || destination.starts_with('~')
}

/// Whether a message has no number any more.
fn is_forgotten(connection: &Connection, message: i64) -> Result<bool, JournalError> {
    let mut statement = connection.prepare_cached("SELECT destination FROM message WHERE id = ?1")?;
    Ok(statement.query_row([message], |row| Ok(is_gone(row.get_ref(0)?.as_str().unwrap_or_default())))?)
}

/// Whether the campaign's messages are deleted.
pub fn is_purged(connection: &Connection, campaign: i64) -> Result<bool, JournalError> {
    let sql =
        "SELECT EXISTS (SELECT 1 FROM campaign WHERE id = ?1 AND coalesce(purged_at, pseudonymised_at) IS NOT NULL)";
    Ok(connection.query_row(sql, [campaign], |row| row.get(0))?)
}

/// Whether a decision is not carried out yet.
pub fn is_waiting(journal: &dyn Sql) -> Result<bool, JournalError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM control WHERE applied_at IS NULL)";
    Ok(journal.connection().query_row(sql, [], |row| row.get(0))?)
}

/// A decision as a row of `control` has it: kind and details.
pub fn written(decision: &Decision) -> Result<(String, String), JournalError> {
    let (kind, detail) = decision.store();
    let detail = serde_json::to_string(&detail).map_err(|error| JournalError::Inconsistent(error.to_string()))?;
    Ok((kind.to_owned(), detail))
}

/// Reads what [`written`] gives.
pub fn read(kind: &str, detail: &str) -> Result<Decision, JournalError> {
    Decision::stored(kind, Some(detail))
}

/// Appends what [`written`] gives.
pub(in crate::journal) fn append(
    connection: &Connection,
    campaign: i64,
    kind: &str,
    detail: &str,
) -> Result<(), JournalError> {
    connection.execute(
        "INSERT INTO control (at, campaign_id, kind, detail) VALUES (?1, ?2, ?3, ?4)",
        (now_ms(), campaign, kind, detail),
    )?;
    Ok(())
}

/// Whether a number is on the suppression list, whatever writing of it; or it is none any more, since it was forgotten.
pub(super) fn suppresses(connection: &Connection, digits: &str) -> Result<bool, rusqlite::Error> {
    if is_gone(digits) {
        return Ok(true);
    }
    let Ok(number) = crate::message::address::Destination::parse(digits) else { return Ok(false) };
    connection
        // An older program kept the 00.
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM suppression WHERE destination IN (?1, '00' || ?1))")?
        .query_row([number.international()], |row| row.get(0))
}

#[cfg(test)]
mod tests;
