//! The rejected messages of a campaign, by what the SMSC said.

use super::{CampaignSummary, JournalError, snapshot};
use crate::journal::handle::Sql;
use crate::journal::model::key::{Attempt, State};
use crate::journal::query::campaign_report::{FIRST_OF_EACH, Rejection, SaidReason};
use crate::journal::store::history::{message_of, stored_state};
use hashbrown::HashMap;
use rusqlite::{Connection, OptionalExtension};

/// Answers looked through in one snapshot, by the parts that they may be of.
const CHUNK_PARTS: i64 = 500_000;
/// What an SMSC says beside statuses is counted each up to so many different words, and of each status so many are shown.
const REASONS_MAX: usize = 1_000;
const REASONS_TOLD: usize = 20;

/// Only the rejected messages by what the SMSC said, for a summary that need not know more.
pub fn rejections(journal: &dyn Sql, summary: &CampaignSummary) -> Result<Vec<Rejection>, JournalError> {
    let connection = journal.connection();
    let mut tally = Rejections::default();
    let mut from = summary.first_id;
    while from < summary.end_id {
        let end = (from + CHUNK_PARTS).min(summary.end_id);
        let snapshot = snapshot(connection)?;
        let mut statement = snapshot.prepare_cached(
            "SELECT attempt, command_status FROM answer WHERE attempt >= ?1 AND attempt < ?2 AND outcome = 2
              ORDER BY attempt",
        )?;
        let mut rows = statement.query(Attempt::range(from, end))?;
        while let Some(row) = rows.next()? {
            tally.add(connection, summary, Attempt(row.get(0)?), row.get(1)?)?;
        }
        from = end;
    }
    tally.finish(connection)
}

/// The rejected messages, counted by the last answer that rejected one of their parts.
#[derive(Debug, Default)]
pub(super) struct Rejections {
    /// The message looked at, where it ends, what it was rejected with so far, and at which attempt.
    current: Option<(i64, i64, u32, Attempt)>,
    counts: HashMap<u32, i64>,
    /// The first messages rejected with each.
    first: HashMap<u32, Vec<i64>>,
    /// Whether the SMSC says anything beside statuses; `None`: not looked yet.
    has_reasons: Option<bool>,
    /// What it said, by status.
    reasons: HashMap<u32, HashMap<String, i64>>,
    reasons_known: usize,
}

impl Rejections {
    pub(super) fn add(
        &mut self,
        connection: &Connection,
        summary: &CampaignSummary,
        attempt: Attempt,
        status: u32,
    ) -> Result<(), JournalError> {
        let part = attempt.part();
        if let Some((_, end, last, at)) = &mut self.current
            && part < *end
        {
            (*last, *at) = (status, attempt);
            return Ok(());
        }
        self.close(connection)?;
        // Where every message has one part, its number is the part's.
        let (message, parts) = match summary.messages == summary.parts {
            true => (part, 1),
            false => message_of(connection, part)?.unwrap_or((part, 1)),
        };
        self.current = Some((message, message + i64::from(parts), status, attempt));
        Ok(())
    }

    fn close(&mut self, connection: &Connection) -> Result<(), JournalError> {
        let Some((message, end, status, attempt)) = self.current.take() else { return Ok(()) };
        let counts = match stored_state(connection, message)?.unwrap_or(State::Rejected) {
            State::Rejected => true,
            // Some parts were taken; a rejected one may have been, too, when it was tried again.
            State::PartlyDelivered | State::Failed => is_still_rejected(connection, message, end)?,
            _ => false,
        };
        if counts {
            *self.counts.entry(status).or_default() += 1;
            let first = self.first.entry(status).or_default();
            if first.len() < FIRST_OF_EACH {
                first.push(message);
            }
            self.note_reason(connection, status, attempt)?;
        }
        Ok(())
    }

    fn note_reason(&mut self, connection: &Connection, status: u32, attempt: Attempt) -> Result<(), JournalError> {
        let has_reasons = match self.has_reasons {
            Some(has_reasons) => has_reasons,
            None => connection.query_row("SELECT EXISTS (SELECT 1 FROM answer_tlv)", [], |row| row.get(0))?,
        };
        self.has_reasons = Some(has_reasons);
        if !has_reasons {
            return Ok(());
        }
        let said: Option<String> = connection
            .prepare_cached("SELECT reason FROM answer_tlv WHERE attempt = ?1")?
            .query_row([attempt.0], |row| row.get(0))
            .optional()?
            .flatten();
        let Some(mut said) = said else { return Ok(()) };
        let known = self.reasons.entry(status).or_default();
        if !known.contains_key(&said) {
            if self.reasons_known >= REASONS_MAX {
                said = "(others)".into();
            } else {
                self.reasons_known += 1;
            }
        }
        *known.entry(said).or_default() += 1;
        Ok(())
    }

    pub(super) fn finish(mut self, connection: &Connection) -> Result<Vec<Rejection>, JournalError> {
        self.close(connection)?;
        let mut counts: Vec<_> = self.counts.into_iter().collect();
        counts.sort_unstable_by_key(|&(status, messages)| (-messages, status));
        let told = counts.into_iter().map(|(status, messages)| {
            let said = self.reasons.remove(&status).unwrap_or_default().into_iter();
            let mut reasons: Vec<_> = said.map(|(reason, messages)| SaidReason { reason, messages }).collect();
            reasons.sort_unstable_by(|a, b| b.messages.cmp(&a.messages).then_with(|| a.reason.cmp(&b.reason)));
            reasons.truncate(REASONS_TOLD);
            let first = self.first.remove(&status).unwrap_or_default();
            Rejection { reasons, first, ..Rejection::new(status, messages) }
        });
        Ok(told.collect())
    }
}

/// Whether the last answer for a part of a message rejected it.
fn is_still_rejected(connection: &Connection, message: i64, end: i64) -> Result<bool, JournalError> {
    let (from, to) = Attempt::range(message, end);
    Ok(connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM answer a WHERE a.attempt >= ?1 AND a.attempt < ?2 AND a.outcome = 2
                AND NOT EXISTS (SELECT 1 FROM answer b
                                 WHERE b.attempt > a.attempt AND b.attempt < ((a.attempt >> 12) + 1) << 12))",
        )?
        .query_row([from, to], |row| row.get(0))?)
}
