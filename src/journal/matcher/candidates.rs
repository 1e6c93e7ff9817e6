//! Which of several attempts a receipt means: SMSCs give ids again, a counter that starts anew with a session or a day, and
//! give one id to all parts of a message.
//!
//! Of those to the number that the receipt names, the one whose final receipt is still outstanding is meant; what was
//! answered longer ago than the horizon is no rival of a newer one; parts of one message are one. Where several are left,
//! none is taken.

use crate::journal::error::JournalError;
use crate::journal::matcher::id_archive::Spilled;
use crate::journal::matcher::id_index::IdKey;
use crate::journal::matcher::rules::{Parties, may_be_for};
use crate::journal::matcher::unmatched::Stray;
use crate::journal::matcher::{Matcher, Tx};
use crate::journal::model::key::{Attempt, RECEIPTS_MAX};
use crate::journal::store::history::message_of;
use rusqlite::OptionalExtension;

/// Of more attempts than these the newest are looked at.
const LOOKED_AT_MAX: usize = 64;
/// Where more attempts than these have one id, the rest is not looked at.
pub(in crate::journal) const ALIKE_MAX: usize = 1_000;

/// What a receipt means of the attempts that it fits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::journal) enum Chosen {
    Nobody,
    One(Attempt),
    Several,
}

/// An attempt that a receipt fits.
struct Candidate {
    attempt: Attempt,
    answered_at: i64,
    /// It has its final receipt, and that came before this one, or the operator gave it.
    is_over: bool,
}

impl Matcher {
    /// Rule 1 as far as numbers agree: what a receipt means of the attempts with exactly this id that went to a number which
    /// it names, or of all of them where it names none.
    pub(in crate::journal) fn exactly(&self, tx: &Tx<'_>, stray: &Stray, key: IdKey) -> Result<Chosen, JournalError> {
        let numbers = stray.marks.numbers;
        let mut fitting = Vec::new();
        for attempt in self.with_exact_id(tx, key, stray, numbers)? {
            if numbers == [0, 0] || self.went_to_one_of(tx, attempt, numbers)? {
                fitting.push(attempt);
            }
        }
        self.choose(tx, fitting, stray, numbers != [0, 0])
    }

    /// Attempts with exactly this id that were claimed before the receipt came; those that are known to have gone to none
    /// of `numbers` may be left out.
    pub(in crate::journal) fn with_exact_id(
        &self,
        tx: &Tx<'_>,
        key: IdKey,
        stray: &Stray,
        numbers: [u64; 2],
    ) -> Result<Vec<Attempt>, JournalError> {
        let mut found: Vec<Attempt> = self.ids.with_exactly(key, numbers).take(ALIKE_MAX).collect();
        if !self.spill.is_empty() {
            for Spilled { attempt, .. } in self.spill.find(tx.connection, key.folded)?.into_iter().take(ALIKE_MAX) {
                self.work.note(1);
                let mut statement = tx.connection.prepare_cached("SELECT message_id FROM answer WHERE attempt = ?1")?;
                let mut rows = statement.query([attempt.0])?;
                if let Some(row) = rows.next()?
                    && let Some(id) = row.get_ref(0)?.as_str_or_null().unwrap_or(None)
                    && self.ids.key(id.as_bytes()).exact == key.exact
                {
                    found.push(attempt);
                }
            }
        }
        found.sort_unstable();
        found.dedup();
        if found.len() > LOOKED_AT_MAX {
            found.drain(..found.len() - LOOKED_AT_MAX);
        }
        self.claimed_before(tx, &mut found, stray)?;
        Ok(found)
    }

    fn went_to_one_of(&self, tx: &Tx<'_>, attempt: Attempt, numbers: [u64; 2]) -> Result<bool, JournalError> {
        self.work.note(1);
        Ok(Parties::of(tx.connection, attempt.part())?.is_some_and(|parties| may_be_for(numbers, parties.number)))
    }

    /// What a receipt means of the attempts that it fits, which come in their order. `by_number`: it names their number, so
    /// that what the id alone decided does not count beside it.
    pub(in crate::journal) fn choose(
        &self,
        tx: &Tx<'_>,
        mut fitting: Vec<Attempt>,
        stray: &Stray,
        by_number: bool,
    ) -> Result<Chosen, JournalError> {
        match fitting[..] {
            [] => return Ok(Chosen::Nobody),
            [only] => return Ok(Chosen::One(only)),
            _ if fitting.len() > LOOKED_AT_MAX => {
                fitting.drain(..fitting.len() - LOOKED_AT_MAX);
            }
            _ => {}
        }
        let mut candidates = Vec::with_capacity(fitting.len());
        for attempt in fitting {
            candidates.push(self.candidate(tx, attempt, stray, by_number)?);
        }
        let newest = candidates.iter().map(|candidate| (candidate.answered_at, candidate.attempt)).max();
        let horizon = stray.received_at.saturating_sub(self.receipt_horizon_ms);
        candidates.retain(|candidate| {
            candidate.answered_at >= horizon || Some((candidate.answered_at, candidate.attempt)) == newest
        });
        if candidates.iter().any(|candidate| !candidate.is_over) {
            candidates.retain(|candidate| !candidate.is_over);
        }
        let mut message = None;
        for candidate in &candidates {
            self.work.note(1);
            let of = message_of(tx.connection, candidate.attempt.part())?.map(|(message, _)| message);
            if message.is_some_and(|other| of != Some(other)) {
                return Ok(Chosen::Several);
            }
            message = of;
        }
        // Of the parts of one message the first.
        Ok(candidates.first().map_or(Chosen::Nobody, |candidate| Chosen::One(candidate.attempt)))
    }

    fn candidate(
        &self,
        tx: &Tx<'_>,
        attempt: Attempt,
        stray: &Stray,
        by_number: bool,
    ) -> Result<Candidate, JournalError> {
        self.work.note(1);
        let answered_at: Option<i64> = tx
            .connection
            .prepare_cached("SELECT answered_at FROM answer WHERE attempt = ?1")?
            .query_row([attempt.0], |row| row.get(0))
            .optional()?;
        let is_over = tx
            .connection
            .prepare_cached(
                // Of those of one millisecond, what was matched as it came was earlier; numbers of the others fall.
                "SELECT EXISTS (SELECT 1 FROM receipt r
                                 WHERE r.id >= ?1 AND r.id < ?2 AND r.final = 1
                                   AND (r.received_at < ?5 OR r.received_at = ?5 AND (?3 < 0 OR r.id < ?3))
                                   AND NOT EXISTS (SELECT 1 FROM receipt_match x WHERE x.receipt_id = r.id))
                     OR EXISTS (SELECT 1 FROM receipt_match x JOIN receipt r ON r.id = x.receipt_id
                                 WHERE x.attempt = ?4 AND r.final = 1 AND r.id <> ?3 AND (x.rule <> 10 OR NOT ?6)
                                   AND (x.rule = 5 OR r.received_at < ?5
                                        OR r.received_at = ?5 AND CASE WHEN r.id >= 0 THEN ?3 < 0 OR r.id < ?3
                                                                       ELSE ?3 < 0 AND r.id > ?3 END)
                                   AND NOT EXISTS (SELECT 1 FROM receipt_match y
                                                    WHERE y.receipt_id = x.receipt_id AND y.id > x.id))",
            )?
            .query_row(
                (attempt.receipt(0), attempt.receipt(RECEIPTS_MAX), stray.id, attempt.0, stray.received_at, by_number),
                |row| row.get(0),
            )?;
        Ok(Candidate { attempt, answered_at: answered_at.unwrap_or(i64::MIN), is_over })
    }
}
