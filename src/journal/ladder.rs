//! Whose a receipt is: the rules, in order. Rule 1, the exact id, is applied as receipts and answers come
//! ([`super::came`]); what it leaves is judged here, once no attempt that the receipt may belong to awaits its answer,
//! and judged again when an answer comes late or an attempt turns out to be in doubt.
//!
//! What is decided depends on what is known, not on the order in which it came to be known, so that the end is the same
//! for every order. Where several attempts fit, none is taken.

mod parties;

use super::JournalError;
use super::doubts::{self, Before};
use super::facts::MessageFacts;
use super::ids::{Found, IdKey, Known, LAST_DIGITS};
use super::keeper::Keeper;
use super::key::{Attempt, Outcome, RECEIPTS_MAX, State, Verdict};
use super::spill::Spilled;
use super::strays::{Rule, Stray};
pub(in crate::journal) use parties::Parties;
use rusqlite::OptionalExtension;

/// References are the low bits of part numbers.
const REFERENCES: usize = 1 << 16;

/// Where more attempts than these have one spelling of an id, it tells nothing: several fit.
const ALIKE_MAX: usize = 1_000;

/// Whether a receipt with these numbers can be about a message to `destination`: unless it names only others. Numbers may
/// be written with or without the country, so their last digits count.
pub(super) fn may_be_for(numbers: [u64; 2], destination: u64) -> bool {
    numbers == [0, 0] || numbers.iter().any(|number| *number != 0 && number % LAST_DIGITS == destination % LAST_DIGITS)
}

/// Whose a receipt is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Judgement {
    pub rule: Rule,
    pub owner: Option<Attempt>,
    /// See [`Stray::rivalled`].
    pub rivalled: Option<Attempt>,
}

impl Judgement {
    /// It has exactly the id of this attempt.
    pub fn exact(owner: Attempt) -> Self {
        Self { rule: Rule::Exact, owner: Some(owner), rivalled: None }
    }
}

/// What a receipt can be about.
fn before(stray: &Stray) -> Before {
    match stray.serial {
        Some(next) => Before::Serial(next),
        None => Before::Time { received_at: stray.received_at, now: super::now_ms() },
    }
}

/// An attempt found by its exact id, with what is known of its receipts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner {
    pub attempt: Attempt,
    pub is_seen: bool,
    pub is_final: bool,
    pub is_plain: bool,
}

/// What an exact id leads to.
pub(super) enum Named {
    Nobody,
    One(Owner),
    Several,
}

impl Keeper {
    /// What is kept in memory under exactly this id, for a receipt with these numbers in its addresses.
    pub(super) fn find_exact(&mut self, key: IdKey, numbers: [u64; 2]) -> Result<Found<'_>, JournalError> {
        while let Found::Unsure(attempt) = self.ids.find_exact(key, numbers) {
            let parties = Parties::of(&self.connection, attempt.part())?;
            self.ids.note_destination(key, attempt, parties.map_or(0, |parties| parties.number));
        }
        Ok(self.ids.find_exact(key, numbers))
    }

    /// Rule 1: the attempt with exactly this id, in memory or among what was spilled, unless the receipt names the number
    /// of another: where one side writes ids in decimal and the other in hexadecimal, small ones coincide. Notes the
    /// receipt.
    pub(super) fn named(
        &mut self,
        key: IdKey,
        id: &str,
        numbers: [u64; 2],
        is_final: bool,
    ) -> Result<Named, JournalError> {
        match self.find_exact(key, numbers)? {
            Found::Several => return Ok(Named::Several),
            Found::One(known) => {
                let owner = Owner {
                    attempt: known.attempt(),
                    is_seen: known.is_seen(),
                    is_final: known.is_final(),
                    is_plain: known.is_plain(),
                };
                known.note_receipt(is_final);
                if owner.is_seen || !is_final {
                    known.not_plain();
                }
                return Ok(Named::One(owner));
            }
            Found::None | Found::OfOthers | Found::Unsure(_) => {}
        }
        if self.spill.is_empty() {
            return Ok(Named::Nobody);
        }
        let mut waiting = None;
        let mut settled = None;
        let mut several = false;
        for spilled in self.spill.find(&self.connection, key.folded)? {
            let attempt = spilled.attempt;
            let Some(owner) = self.owner(attempt, id, spilled.plain)? else { continue };
            self.ids.recall().note_lookup(spilled.run);
            if numbers != [0, 0]
                && let Some(parties) = Parties::of(&self.connection, attempt.part())?
                && !may_be_for(numbers, parties.number)
            {
                continue;
            }
            let place = if owner.is_final { &mut settled } else { &mut waiting };
            several |= place.is_some() && !owner.is_final;
            *place = Some(owner);
        }
        Ok(match waiting.or(settled) {
            None => Named::Nobody,
            Some(_) if several => Named::Several,
            Some(owner) => Named::One(owner),
        })
    }

    /// What is known of an attempt whose id is not in memory, if `id` is its id indeed.
    fn owner(&self, attempt: Attempt, id: &str, plain: bool) -> Result<Option<Owner>, JournalError> {
        let found: Option<(bool, Option<bool>, bool)> = self
            .connection
            .prepare_cached(
                "SELECT a.message_id = ?2,
                        (SELECT max(r.final) FROM receipt r WHERE r.id >= ?3 AND r.id < ?4),
                        EXISTS (SELECT 1 FROM message_state s WHERE s.message = ?5)
                   FROM answer a WHERE a.attempt = ?1 AND a.message_id IS NOT NULL",
            )?
            .query_row((attempt.0, id, attempt.receipt(0), attempt.receipt(RECEIPTS_MAX), attempt.part()), |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })
            .optional()?;
        Ok(found.and_then(|(is_same, is_final, is_stored)| {
            let is_plain = plain && !is_stored && !self.books.is_touched(attempt.part());
            let owner = Owner { attempt, is_seen: is_final.is_some(), is_final: is_final == Some(true), is_plain };
            is_same.then_some(owner)
        }))
    }

    /// Moves the oldest ids out of memory when it is full.
    pub(super) fn spill_ids(&mut self) -> Result<(), JournalError> {
        // Runs go by the order of parts: what is asleep comes first.
        while self.is_waking() {
            self.asleep.wake(&self.connection, &self.books, &self.ids, &mut self.spill)?;
        }
        super::load::spill_oldest(&self.connection, &mut self.ids, &mut self.spill)
    }

    /// Reads spilled ids back into memory while receipts ask for them. All that came so far is to be stored by now.
    pub(super) fn recall_ids(&mut self) -> Result<(), JournalError> {
        match self.ids.recall().take_due() {
            Some(run) => super::load::recall(&self.connection, &self.books, &mut self.ids, &self.spill, run),
            None => Ok(()),
        }
    }

    /// Whose the receipt is by rules 2 to 4, as far as is known now. `None`: what it takes to tell is still being read.
    pub(super) fn judge(&self, stray: &Stray) -> Result<Option<Judgement>, JournalError> {
        let mut fitting = self.equivalent(stray)?;
        let mut rule = Rule::Equivalent;
        if fitting.is_empty()
            && let Some(reference) = stray.marks.reference
        {
            fitting = self.referenced(reference, stray)?;
            rule = Rule::Reference;
        }
        if fitting.is_empty() {
            fitting = self.doubts.fitting(stray.marks.key.exact, stray.marks.pools, before(stray));
            #[cfg(test)]
            if self.to_judge.is_naive {
                fitting = self.doubtful_naively(stray)?;
            }
            rule = Rule::Doubt;
        }
        if fitting.is_empty() {
            // Its addresses may be anything; its id is not.
            fitting = self.exact_of_others(stray)?;
            rule = Rule::Exact;
        }
        let [only] = fitting[..] else {
            let rule = if fitting.is_empty() { Rule::None } else { Rule::Ambiguous };
            return Ok(Some(Judgement { rule, owner: None, rivalled: None }));
        };
        let is_rivalled = match rule {
            Rule::Doubt if self.doubts.id_of(only) == Some(stray.marks.key.exact) => Some(false),
            Rule::Doubt if !self.ids_match || self.nameless => {
                let number = Parties::of(&self.connection, only.part())?.map_or(0, |parties| parties.number);
                self.has_rival(only, number, self.ids_match)?
            }
            // It names the number of a message whose id nobody knows.
            Rule::Exact if self.nameless => self.is_rivalled(only, stray.marks.numbers)?,
            _ => Some(false),
        };
        Ok(is_rivalled.map(|is_rivalled| match is_rivalled {
            true => Judgement { rule: Rule::Ambiguous, owner: None, rivalled: Some(only) },
            false => Judgement { rule, owner: Some(only), rivalled: None },
        }))
    }

    /// Attempts with exactly the receipt's id, although it names other numbers.
    fn exact_of_others(&self, stray: &Stray) -> Result<Vec<Attempt>, JournalError> {
        let key = stray.marks.key;
        let mut fitting: Vec<Attempt> = self.ids.with_exactly(key).take(ALIKE_MAX).collect();
        for Spilled { attempt, .. } in self.spill.find(&self.connection, key.folded)?.into_iter().take(ALIKE_MAX) {
            self.work.note(1);
            let mut statement = self.connection.prepare_cached("SELECT message_id FROM answer WHERE attempt = ?1")?;
            let mut rows = statement.query([attempt.0])?;
            if let Some(row) = rows.next()?
                && let Some(id) = row.get_ref(0)?.as_str_or_null().unwrap_or(None)
                && self.ids.key(id.as_bytes()).exact == key.exact
            {
                fitting.push(attempt);
            }
        }
        fitting.sort_unstable();
        fitting.dedup();
        self.claimed_before(&mut fitting, stray)?;
        Ok(fitting)
    }

    /// Rule 2: attempts with the same id in another spelling.
    fn equivalent(&self, stray: &Stray) -> Result<Vec<Attempt>, JournalError> {
        let mut fitting = Vec::new();
        for hash in stray.marks.spellings.into_iter().filter(|hash| *hash != 0) {
            fitting.extend(self.ids.find_folded(hash).take(ALIKE_MAX));
            if !self.spill.is_empty() {
                self.work.note(1);
                let spilled = self.spill.find(&self.connection, hash)?;
                fitting.extend(spilled.iter().take(ALIKE_MAX).map(|spilled| spilled.attempt));
            }
        }
        fitting.sort_unstable();
        fitting.dedup();
        self.claimed_before(&mut fitting, stray)?;
        // Sequential ids make coincidences: 16 is 10 in hexadecimal. A receipt for another number is no equivalent.
        let mut kept = Vec::with_capacity(fitting.len());
        for attempt in fitting {
            self.work.note(1);
            if let Some(parties) = Parties::of(&self.connection, attempt.part())?
                && may_be_for(stray.marks.numbers, parties.number)
            {
                kept.push(attempt);
                // Several are as good as all.
                if kept.len() == 2 {
                    break;
                }
            }
        }
        Ok(kept)
    }

    /// Rule 3: the part whose number ends in the reference, and goes to the number that the receipt names.
    fn referenced(&self, reference: u16, stray: &Stray) -> Result<Vec<Attempt>, JournalError> {
        let end = self.books.campaigns.iter().map(|campaign| campaign.end_id).max().unwrap_or(0);
        let mut fitting = Vec::new();
        for part in (i64::from(reference)..end).step_by(REFERENCES) {
            self.work.note(1);
            let Some(number) = parties::number_of(&self.connection, part)? else { continue };
            if !stray.marks.numbers.contains(&number) {
                continue;
            }
            let Some(parties) = Parties::of(&self.connection, part)? else { continue };
            let pool = doubts::pool(&self.ids, parties.number, &parties.source);
            let any_sender = parties.source.is_empty();
            if !(any_sender || stray.marks.pools.contains(&pool)) || parties.has_own_reference()? {
                continue;
            }
            let facts = MessageFacts::load(&self.connection, parties.message, parties.parts)?;
            let tries = &facts.parts[(part - parties.message) as usize];
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
            self.claimed_before(&mut attempts, stray)?;
            for attempt in attempts {
                if self.sent_reference(attempt)? {
                    fitting.push(attempt);
                    break;
                }
            }
            if fitting.len() == 2 {
                break;
            }
        }
        Ok(fitting)
    }

    /// Keeps the attempts that were claimed before the receipt came: it can be about no other.
    pub(super) fn claimed_before(&self, attempts: &mut Vec<Attempt>, stray: &Stray) -> Result<(), JournalError> {
        let mut kept = Vec::with_capacity(attempts.len());
        for &attempt in attempts.iter() {
            self.work.note(1);
            let claim: Option<(i64, i64, i64)> = self
                .connection
                .prepare_cached(
                    "SELECT first_serial + (?2 - first_part), claimed_at, session_id FROM claim
                      WHERE try = ?1 AND first_part <= ?2 ORDER BY first_part DESC LIMIT 1",
                )?
                .query_row((attempt.tried(), attempt.part()), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
                .optional()?;
            let Some((serial, claimed_at, session)) = claim else { continue };
            let is_before = match stray.serial {
                Some(next) => serial < next,
                None => {
                    claimed_at <= stray.received_at
                        || super::now_ms() < claimed_at
                        || doubts::was_clock_set_back(&self.connection, session, claimed_at)?
                }
            };
            if is_before {
                kept.push(attempt);
            }
        }
        *attempts = kept;
        Ok(())
    }

    fn sent_reference(&self, attempt: Attempt) -> Result<bool, JournalError> {
        let sent: Option<bool> = self
            .connection
            .prepare_cached(
                "SELECT s.sends_reference FROM session s WHERE s.id = (
                     SELECT session_id FROM claim WHERE try = ?1 AND first_part <= ?2 ORDER BY first_part DESC LIMIT 1)",
            )?
            .query_row((attempt.tried(), attempt.part()), |row| row.get(0))
            .optional()?;
        Ok(sent == Some(true))
    }

    /// Writes down whose a stray receipt is, where that is news.
    pub(super) fn give(&mut self, stray: &Stray, judgement: Judgement, now: i64) -> Result<(), JournalError> {
        let Judgement { rule, owner, rivalled } = judgement;
        if stray.judged && (stray.rule, stray.owner) == (rule, owner) {
            if stray.rivalled != rivalled {
                self.strays.note(stray.id, owner, rule, rivalled);
            }
            return Ok(());
        }
        self.work.note(2);
        for attempt in [stray.owner, owner].into_iter().flatten() {
            self.books.touch_as_found(&self.connection, attempt.part())?;
            self.not_plain(attempt)?;
        }
        self.match_later(stray.id, owner, rule, now)?;
        for (attempt, id) in [(stray.owner, None), (owner, Some(stray.marks.key.exact))] {
            if let Some(attempt) = attempt {
                self.name_doubt(attempt, stray.marks.numbers, id.filter(|_| rule == Rule::Doubt))?;
            }
        }
        if matches!(rule, Rule::Exact | Rule::Equivalent) {
            self.note_ids_match();
        }
        match (stray.owner, owner) {
            (None, Some(_)) => self.status.unmatched = self.status.unmatched.saturating_sub(1),
            (Some(_), None) => self.status.unmatched += 1,
            _ => {}
        }
        self.strays.note(stray.id, owner, rule, rivalled);
        if let Some(only) = stray.rivalled {
            // What stood against this one stands against those that fit the same attempt no more.
            for number in stray.marks.numbers {
                self.to_judge.all(self.strays.rivalled_with(number, only));
            }
        }
        let in_table = matches!(rule, Rule::None | Rule::Ambiguous | Rule::Doubt);
        if !in_table {
            self.connection.prepare_cached("DELETE FROM stray WHERE receipt = ?1")?.execute([stray.id])?;
        } else if stray.judged {
            self.connection.prepare_cached("INSERT OR IGNORE INTO stray (receipt) VALUES (?1)")?.execute([stray.id])?;
        }
        // Only an answer that comes late can show a conjecture to be wrong.
        if rule == Rule::Exact || (!in_table && !self.late_answers_may_come()) {
            self.strays.forget(stray.id);
        }
        Ok(())
    }

    /// The message of an attempt has from now on a stored state.
    pub(super) fn not_plain(&mut self, attempt: Attempt) -> Result<(), JournalError> {
        let mut statement = self.connection.prepare_cached("SELECT message_id FROM answer WHERE attempt = ?1")?;
        let mut rows = statement.query([attempt.0])?;
        if let Some(row) = rows.next()?
            && let Ok(Some(id)) = row.get_ref(0)?.as_str_or_null()
        {
            let folded = self.ids.folded(id.as_bytes());
            self.ids.change(folded, attempt, Known::not_plain);
        }
        Ok(())
    }

    /// The state of a plain message some of whose receipts are stored already.
    pub(super) fn plain_state(&self, attempt: Attempt, was_final: bool) -> Result<State, JournalError> {
        if !was_final {
            return Ok(State::Accepted);
        }
        let state: Option<Option<i64>> = self
            .connection
            .prepare_cached("SELECT state FROM receipt WHERE id = ?1")?
            .query_row([attempt.receipt(0)], |row| row.get(0))
            .optional()?;
        Ok(match state {
            // The final one came before the answer and has a number of its own: such a message's state is stored.
            None => State::Accepted,
            Some(Some(2)) => State::Delivered,
            Some(_) => State::Failed,
        })
    }
}
