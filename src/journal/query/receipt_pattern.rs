//! What a report has to say of receipts beyond their numbers: patterns of an SMSC that a setting of ours answers.

use crate::journal::error::JournalError;
use crate::journal::handle::Sql;
use crate::journal::model::key::{Outcome, State};
use crate::journal::model::state::ReceiptsFor;
use crate::journal::store::history::MessageFacts;

/// Long messages looked at: enough to tell a habit from a delay.
const LOOKED_AT_MAX: i64 = 200;
/// Fewer than these are no pattern.
const PATTERN_MIN: usize = 3;

/// For which part of its long messages the SMSC seems to send receipts, where that is one part only: of the messages
/// `first..end` that wait for receipts, those that have one at all have it for the same end of the message.
pub fn receipts_only_for(journal: &dyn Sql, first: i64, end: i64) -> Result<Option<ReceiptsFor>, JournalError> {
    let connection = journal.connection();
    let mut statement = connection.prepare_cached(
        "SELECT s.message, m.parts FROM message_state s CROSS JOIN message m ON m.id = s.message
          WHERE s.message >= ?1 AND s.message < ?2 AND s.state = ?3 AND m.parts > 1 ORDER BY s.message LIMIT ?4",
    )?;
    let waiting: Vec<(i64, u8)> = statement
        .query_map((first, end, State::Accepted as u8, LOOKED_AT_MAX), |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let (mut only_first, mut only_last, mut others) = (0, 0, 0);
    for (message, parts) in waiting {
        let facts = MessageFacts::load(connection, message, parts)?;
        let is_taken =
            facts.parts.iter().all(|attempts| attempts.iter().any(|attempt| attempt.answer == Some(Outcome::Accepted)));
        let has_receipt = |n: usize| facts.parts[n].iter().any(|attempt| attempt.receipt.is_some());
        let receipted = (0..facts.parts.len()).filter(|&n| has_receipt(n)).count();
        if !is_taken || receipted == 0 {
            continue;
        }
        match receipted {
            1 if has_receipt(0) => only_first += 1,
            1 if has_receipt(facts.parts.len() - 1) => only_last += 1,
            _ => others += 1,
        }
    }
    Ok(match (only_first, only_last, others) {
        (seen, 0, 0) if seen >= PATTERN_MIN => Some(ReceiptsFor::First),
        (0, seen, 0) if seen >= PATTERN_MIN => Some(ReceiptsFor::Last),
        _ => None,
    })
}

/// How many of the messages `first..end` may have arrived twice.
pub fn possible_duplicates(journal: &dyn Sql, first: i64, end: i64) -> Result<i64, JournalError> {
    let connection = journal.connection();
    Ok(connection
        .prepare_cached(
            "SELECT count(*) FROM message_state WHERE message >= ?1 AND message < ?2 AND possible_duplicate = 1",
        )?
        .query_row([first, end], |row| row.get(0))?)
}
