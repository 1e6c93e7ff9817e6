//! Rule 3: the user_message_reference that a receipt echoes, the low bits of a part's number.

use super::{Claimed, Matcher, Tx, doubts};
use crate::journal::error::JournalError;
use crate::journal::matcher::parties::Referable;
use crate::journal::matcher::unmatched::Stray;
use crate::journal::model::key::{Attempt, Outcome, Verdict};
use crate::journal::store::history::MessageFacts;
use rusqlite::OptionalExtension;

/// References are the low bits of part numbers.
pub(in crate::journal::matcher) const REFERENCES: i64 = 1 << 16;
/// Of the parts with one reference the newest so many are looked at: what was sent 67 million parts before them is not meant.
const REFERRED_MAX: usize = 1_024;
/// Statements that read what is known of a message.
const FACTS_READ: u64 = 4;
/// So many parts with the same reference are read one by one, while it is not known yet which messages go to their number.
const UNREAD_MAX: usize = 4;
/// Parts that a message can have.
pub(in crate::journal::matcher) const PARTS_MAX: i64 = 256;

/// Attempts to which a reference leads, and what is known of the message of the last one.
pub(super) type Referenced = (Vec<Attempt>, Option<MessageFacts>);

impl Matcher {
    /// Rule 3: the part whose number ends in the reference, and goes to the number that the receipt names.
    /// With what is known of the message of the last one. `None`: what it takes to tell is still being read.
    pub(super) fn referenced(
        &self,
        tx: &Tx<'_>,
        reference: u16,
        stray: &Stray,
    ) -> Result<Option<Referenced>, JournalError> {
        let (mut fitting, mut its_facts) = (Vec::new(), None);
        let Some(parts) = self.with_reference(tx, reference, stray.marks.numbers) else { return Ok(None) };
        for part in parts {
            self.work.note(1);
            let Some(found) = Referable::to(tx.connection, part, stray.marks.numbers)? else { continue };
            let campaign = tx.counts.campaign_of(found.message).and_then(|index| tx.counts.campaign(index));
            let Some(campaign) = campaign else { continue };
            let source = found.source.as_deref().unwrap_or(&campaign.sender);
            let pool = doubts::pool(&self.ids, found.number, source);
            if !(source.is_empty() || stray.marks.pools.contains(&pool))
                || found.has_own_reference
                || campaign.has_own_reference
            {
                continue;
            }
            self.work.note(FACTS_READ);
            let facts = MessageFacts::load(tx.connection, found.message, found.parts)?;
            let tries = &facts.parts[(part - found.message) as usize];
            let mut attempts = Vec::new();
            for wanted in [Some(Outcome::Accepted), None] {
                // Of several tries of the part the newest that was taken, or else the newest that may have been.
                let tried = tries.iter().enumerate().rev();
                let fit = tried.filter(|(_, facts)| {
                    facts.answer == wanted
                        && (wanted.is_some() || !matches!(facts.verdict, None | Some(Verdict::NotWritten)))
                });
                attempts.extend(fit.map(|(n, _)| Attempt::new(part, n as u16)));
            }
            for attempt in attempts {
                self.work.note(1);
                if let Some((claimed, true)) = self.claimed_with_reference(tx, attempt)?
                    && self.is_before(tx, claimed, stray)?
                {
                    fitting.push(attempt);
                    its_facts = Some(facts);
                    break;
                }
            }
            if fitting.len() == 2 {
                break;
            }
        }
        Ok(Some((fitting, its_facts)))
    }

    /// How an attempt was claimed, and whether what went on its session carried a reference.
    fn claimed_with_reference(&self, tx: &Tx<'_>, attempt: Attempt) -> Result<Option<(Claimed, bool)>, JournalError> {
        let mut statement = tx.connection.prepare_cached(
            "SELECT k.first_serial + (?2 - k.first_part), k.claimed_at, k.session_id,
                    (SELECT s.sends_reference FROM session s WHERE s.id = k.session_id) IS 1
               FROM claim k WHERE k.try = ?1 AND k.first_part <= ?2 ORDER BY k.first_part DESC LIMIT 1",
        )?;
        let found = statement.query_row((attempt.tried(), attempt.part()), |row| {
            Ok((Claimed { serial: row.get(0)?, at: row.get(1)?, session: row.get(2)? }, row.get(3)?))
        });
        Ok(found.optional()?)
    }

    /// Parts whose numbers end in the reference, and that may go to one of these numbers. There is one in each 65,536: where
    /// there are several, the messages are looked up by their number. `None`: too many of them are still to be read for that.
    fn with_reference(&self, tx: &Tx<'_>, reference: u16, numbers: [u64; 2]) -> Option<Vec<i64>> {
        let (reference, campaigns) = (i64::from(reference), &tx.counts.campaigns);
        let end = campaigns.last().map_or(0, |campaign| campaign.end_id);
        let mut table = self.rivals.borrow_mut();
        if end <= REFERENCES || table.is_full() {
            let newest = end - 1 - (end - 1 - reference).rem_euclid(REFERENCES);
            let parts = std::iter::successors(Some(newest), |part| Some(part - REFERENCES));
            return Some(parts.take(REFERRED_MAX).take_while(|part| *part >= reference).collect());
        }
        let mut found = Vec::new();
        if !table.has_all_of(campaigns.len()) {
            for campaign in campaigns {
                if campaign.first_id < campaign.end_id && !table.has(campaign.first_id, campaign.end_id) {
                    let next = campaign.first_id + (reference - campaign.first_id).rem_euclid(REFERENCES);
                    found.extend((next..campaign.end_id).step_by(REFERENCES as usize));
                }
            }
            if found.len() > UNREAD_MAX {
                return None;
            }
        }
        for number in numbers {
            found.extend(table.perhaps_referred(number, reference));
        }
        found.sort_unstable();
        found.dedup();
        Some(found)
    }
}
