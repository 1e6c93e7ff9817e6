//! Messages that went out only in part, which no state says by itself.

use super::{CampaignSummary, JournalError};
use crate::journal::handle::Sql;
use crate::journal::model::key::{Attempt, State};
use crate::journal::model::state::is_in_part;
use crate::journal::store::history::MessageFacts;
use rusqlite::Connection;

/// Numbers of parts looked through in one snapshot.
const CHUNK_PARTS: i64 = 100_000;

/// How many messages of a campaign went out only in part: some parts were taken, and the rest was refused, given up or
/// cancelled. Costs nothing where every message has one part, and little where no part came to such an end.
pub fn sent_in_part(journal: &dyn Sql, summary: &CampaignSummary) -> Result<i64, JournalError> {
    let connection = journal.connection();
    let ended = [State::Accepted, State::PartlyDelivered, State::Failed];
    let may_have = summary.parts > summary.messages && ended.iter().any(|&state| summary.counts.of(state) > 0);
    if !may_have || !was_any_withheld(connection, summary)? {
        return Ok(0);
    }
    let mut found = 0;
    let mut from = summary.first_id;
    while from < summary.end_id {
        let end = (from + CHUNK_PARTS).min(summary.end_id);
        for (message, parts) in not_wholly_answered(connection, from, end)? {
            // Also a part that was never answered may have been taken.
            found += i64::from(is_in_part(&MessageFacts::load(connection, message, parts)?.parts));
        }
        from = end;
    }
    Ok(found)
}

/// Whether there is anything that keeps the rest of a message from being sent.
fn was_any_withheld(connection: &Connection, summary: &CampaignSummary) -> Result<bool, JournalError> {
    if summary.cancelled_at.is_some() {
        return Ok(true);
    }
    Ok(connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM verdict WHERE attempt >= ?1 AND attempt < ?2 AND kind = 5)
                 OR EXISTS (SELECT 1 FROM answer WHERE attempt >= ?1 AND attempt < ?2 AND outcome = 2)",
        )?
        .query_row(Attempt::range(summary.first_id, summary.end_id), |row| row.get(0))?)
}

/// The messages that have come to an end and not every part of which has an answer that accepts it. Long messages are never
/// plain, so all of them stand in message_state.
fn not_wholly_answered(connection: &Connection, from: i64, end: i64) -> Result<Vec<(i64, u8)>, JournalError> {
    Ok(connection
        .prepare_cached(
            "SELECT s.message, m.parts FROM message_state s CROSS JOIN message m ON m.id = s.message
              WHERE s.message >= ?1 AND s.message < ?2 AND s.state IN (2, 4, 5) AND m.parts > 1
                AND m.parts > (SELECT count(DISTINCT a.attempt >> 12) FROM answer a
                                WHERE a.attempt >= (m.id << 12) AND a.attempt < ((m.id + m.parts) << 12)
                                  AND a.outcome = 0)",
        )?
        .query_map([from, end], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?)
}
