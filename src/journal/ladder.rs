//! Whose a receipt is: the rules, in order. Rule 1, the exact id, is applied as receipts and answers come
//! ([`super::came`]); what it leaves is judged here, once no attempt that the receipt may belong to awaits its answer,
//! and judged again when an answer comes late or an attempt turns out to be in doubt.
//!
//! What is decided depends on what is known, not on the order in which it came to be known, so that the end is the same
//! for every order. Where several attempts fit, none is taken.

mod parties;

use super::JournalError;
use super::facts::MessageFacts;
use super::ids::{Found, IdKey, Known, LAST_DIGITS};
use super::keeper::Keeper;
use super::key::{Attempt, Outcome, RECEIPTS_MAX, State, Verdict};
use super::spill::Spilled;
use super::strays::{Rule, Stray};
use hashbrown::HashMap;
use parties::Parties;
pub(super) use parties::Told;
use rusqlite::{Connection, OptionalExtension};

/// References are the low bits of part numbers.
const REFERENCES: usize = 1 << 16;

/// Attempts in doubt that no answer has settled, by destination.
#[derive(Debug, Default)]
pub struct Doubts(HashMap<u64, Vec<Doubt>>);

#[derive(Debug)]
struct Doubt {
    attempt: Attempt,
    /// The (exact) message id that a receipt gave it by rule 4: it has no other.
    id: Option<u64>,
}

impl Doubts {
    /// Reads those of the journal.
    pub fn load(connection: &Connection) -> Result<Self, JournalError> {
        let mut doubts = Self::default();
        let mut statement = connection.prepare(
            "SELECT DISTINCT v.attempt FROM verdict v
              WHERE v.kind = 1 AND NOT EXISTS (SELECT 1 FROM answer a WHERE a.attempt = v.attempt)",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let attempt = Attempt(row.get(0)?);
            if let Some(parties) = Parties::of(connection, attempt.part())? {
                doubts.add(parties.number, attempt);
            }
        }
        Ok(doubts)
    }

    fn add(&mut self, number: u64, attempt: Attempt) {
        let list = self.0.entry(number).or_default();
        if !list.iter().any(|doubt| doubt.attempt == attempt) {
            list.push(Doubt { attempt, id: None });
        }
    }

    fn remove(&mut self, number: u64, attempt: Attempt) {
        if let Some(list) = self.0.get_mut(&number) {
            list.retain(|doubt| doubt.attempt != attempt);
            if list.is_empty() {
                self.0.remove(&number);
            }
        }
    }

    /// Notes which id a receipt gave to an attempt, or took back.
    pub fn name(&mut self, attempt: Attempt, numbers: [u64; 2], id: Option<u64>) {
        for number in numbers {
            for doubt in self.0.get_mut(&number).into_iter().flatten().filter(|doubt| doubt.attempt == attempt) {
                doubt.id = id;
            }
        }
    }
}

/// Whether a receipt with these numbers can be about a message to `destination`: unless it names only others. Numbers may
/// be written with or without the country, so their last digits count.
pub(super) fn may_be_for(numbers: [u64; 2], destination: u64) -> bool {
    numbers == [0, 0] || numbers.iter().any(|number| *number != 0 && number % LAST_DIGITS == destination % LAST_DIGITS)
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
        super::load::spill_oldest(&self.connection, &mut self.ids, &mut self.spill)
    }

    /// Reads spilled ids back into memory while receipts ask for them. All that came so far is to be stored by now.
    pub(super) fn recall_ids(&mut self) -> Result<(), JournalError> {
        match self.ids.recall().take_due() {
            Some(run) => super::load::recall(&self.connection, &self.books, &mut self.ids, &self.spill, run),
            None => Ok(()),
        }
    }

    /// Judges the receipts that have waited long enough, and anew those that what happened bears upon.
    pub(super) fn judge_strays(&mut self, now: i64) -> Result<(), JournalError> {
        while let Some(receipt) = self.strays.next_drained(&self.generations) {
            self.judge_one(receipt, now)?;
        }
        self.judge_left_out(now)?;
        if std::mem::take(&mut self.judge_all) {
            for receipt in self.strays.undecided() {
                self.judge_one(receipt, now)?;
            }
        }
        self.judge_again(now)
    }

    /// Whether what happened bears upon a receipt that was judged before.
    pub(super) fn has_to_judge_again(&self) -> bool {
        self.to_judge.iter().any(|&(spelling, number)| !self.strays.judged(spelling, number).is_empty())
    }

    /// Judges anew the receipts that what happened bears upon.
    pub(super) fn judge_again(&mut self, now: i64) -> Result<(), JournalError> {
        for (spelling, number) in std::mem::take(&mut self.to_judge) {
            for receipt in self.strays.judged(spelling, number) {
                self.judge_one(receipt, now)?;
            }
        }
        Ok(())
    }

    pub(super) fn judge_one(&mut self, receipt: i64, now: i64) -> Result<(), JournalError> {
        let Some(stray) = self.strays.get(receipt).cloned() else { return Ok(()) };
        if matches!(stray.rule, Rule::Exact | Rule::Operator) {
            return Ok(());
        }
        let (rule, owner) = self.judge(&stray)?;
        self.give(&stray, rule, owner, now)
    }

    /// Whose the receipt is by rules 2 to 4, as far as is known now.
    fn judge(&self, stray: &Stray) -> Result<(Rule, Option<Attempt>), JournalError> {
        let told = Told::read(&self.connection, stray.id)?;
        let mut fitting = self.equivalent(stray, &told)?;
        let mut rule = Rule::Equivalent;
        if fitting.is_empty()
            && let Some(reference) = told.reference
        {
            fitting = self.referenced(reference, stray, &told)?;
            rule = Rule::Reference;
        }
        if fitting.is_empty() {
            fitting = self.doubtful(stray, &told)?;
            rule = Rule::Doubt;
        }
        if fitting.is_empty() {
            // Its addresses may be anything; its id is not.
            fitting = self.exact_of_others(stray, &told)?;
            rule = Rule::Exact;
        }
        Ok(match fitting[..] {
            [] => (Rule::None, None),
            [only] if rule == Rule::Doubt && (!self.ids_match || self.nameless) && !self.is_named(only, stray) => {
                let parties = Parties::of(&self.connection, only.part())?;
                match self.has_rival(only, parties.map_or(0, |parties| parties.number), self.ids_match)? {
                    true => (Rule::Ambiguous, None),
                    false => (rule, Some(only)),
                }
            }
            // It names the number of a message whose id nobody knows.
            [only] if rule == Rule::Exact && self.nameless && self.is_rivalled(only, stray.numbers)? => {
                (Rule::Ambiguous, None)
            }
            [only] => (rule, Some(only)),
            _ => (Rule::Ambiguous, None),
        })
    }

    /// Attempts with exactly the receipt's id, although it names other numbers.
    fn exact_of_others(&self, stray: &Stray, told: &Told) -> Result<Vec<Attempt>, JournalError> {
        let mut fitting: Vec<Attempt> = self.ids.with_exactly(stray.key).collect();
        for Spilled { attempt, .. } in self.spill.find(&self.connection, stray.key.folded)? {
            let mut statement = self.connection.prepare_cached("SELECT message_id FROM answer WHERE attempt = ?1")?;
            let mut rows = statement.query([attempt.0])?;
            if let Some(row) = rows.next()?
                && let Some(id) = row.get_ref(0)?.as_str_or_null().unwrap_or(None)
                && self.ids.key(id.as_bytes()).exact == stray.key.exact
            {
                fitting.push(attempt);
            }
        }
        fitting.sort_unstable();
        fitting.dedup();
        self.claimed_before(&mut fitting, stray, told)?;
        Ok(fitting)
    }

    /// Rule 2: attempts with the same id in another spelling.
    fn equivalent(&self, stray: &Stray, told: &Told) -> Result<Vec<Attempt>, JournalError> {
        let mut fitting = Vec::new();
        for hash in stray.spellings.into_iter().filter(|hash| *hash != 0) {
            fitting.extend(self.ids.find_folded(hash));
            if !self.spill.is_empty() {
                fitting.extend(self.spill.find(&self.connection, hash)?.iter().map(|spilled| spilled.attempt));
            }
        }
        fitting.sort_unstable();
        fitting.dedup();
        self.claimed_before(&mut fitting, stray, told)?;
        // Sequential ids make coincidences: 16 is 10 in hexadecimal. A receipt for another number is no equivalent.
        let mut kept = Vec::with_capacity(fitting.len());
        for attempt in fitting {
            if let Some(parties) = Parties::of(&self.connection, attempt.part())?
                && may_be_for(stray.numbers, parties.number)
            {
                kept.push(attempt);
            }
        }
        Ok(kept)
    }

    /// Rule 3: the part whose number ends in the reference, and goes to the number that the receipt names.
    fn referenced(&self, reference: u16, stray: &Stray, told: &Told) -> Result<Vec<Attempt>, JournalError> {
        let end = self.books.campaigns.iter().map(|campaign| campaign.end_id).max().unwrap_or(0);
        let mut fitting = Vec::new();
        for part in (i64::from(reference)..end).step_by(REFERENCES) {
            let Some(parties) = Parties::of(&self.connection, part)? else { continue };
            if !told.fits(stray.numbers, &parties) || parties.has_own_reference() {
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
            self.claimed_before(&mut attempts, stray, told)?;
            for attempt in attempts {
                if self.sent_reference(attempt)? {
                    fitting.push(attempt);
                    break;
                }
            }
        }
        Ok(fitting)
    }

    /// Rule 4: attempts in doubt to the number and from the sender that the receipt names.
    fn doubtful(&self, stray: &Stray, told: &Told) -> Result<Vec<Attempt>, JournalError> {
        let mut fitting = Vec::new();
        for number in stray.numbers {
            for doubt in self.doubts.0.get(&number).into_iter().flatten() {
                if doubt.id.is_some_and(|id| id != stray.key.exact) {
                    continue;
                }
                if let Some(parties) = Parties::of(&self.connection, doubt.attempt.part())?
                    && told.fits(stray.numbers, &parties)
                {
                    fitting.push(doubt.attempt);
                }
            }
        }
        fitting.sort_unstable();
        fitting.dedup();
        self.claimed_before(&mut fitting, stray, told)?;
        if let Some(named) = fitting.iter().copied().find(|&attempt| self.is_named(attempt, stray)) {
            return Ok(vec![named]);
        }
        Ok(fitting)
    }

    /// Whether an attempt in doubt has the receipt's id from an earlier receipt.
    fn is_named(&self, attempt: Attempt, stray: &Stray) -> bool {
        let doubts = stray.numbers.iter().filter_map(|number| self.doubts.0.get(number)).flatten();
        doubts.into_iter().any(|doubt| doubt.attempt == attempt && doubt.id == Some(stray.key.exact))
    }

    /// Keeps the attempts that were claimed before the receipt came: it can be about no other.
    pub(super) fn claimed_before(
        &self,
        attempts: &mut Vec<Attempt>,
        stray: &Stray,
        told: &Told,
    ) -> Result<(), JournalError> {
        let mut kept = Vec::with_capacity(attempts.len());
        for &attempt in attempts.iter() {
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
                None => claimed_at <= told.received_at || self.was_clock_set_back(session, claimed_at)?,
            };
            if is_before {
                kept.push(attempt);
            }
        }
        *attempts = kept;
        Ok(())
    }

    /// Whether the clock shows less than when that session claimed something, or did when a later one was opened: times
    /// from before and after do not tell then what came first.
    fn was_clock_set_back(&self, session: i64, claimed_at: i64) -> Result<bool, JournalError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT ?3 < ?2 OR EXISTS (SELECT 1 FROM session WHERE id > ?1 AND opened_at < ?2)")?;
        Ok(statement.query_row((session, claimed_at, super::now_ms()), |row| row.get(0))?)
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
    pub(super) fn give(
        &mut self,
        stray: &Stray,
        rule: Rule,
        owner: Option<Attempt>,
        now: i64,
    ) -> Result<(), JournalError> {
        if stray.judged && (stray.rule, stray.owner) == (rule, owner) {
            return Ok(());
        }
        for attempt in [stray.owner, owner].into_iter().flatten() {
            self.books.touch_as_found(&self.connection, attempt.part())?;
            self.not_plain(attempt)?;
        }
        self.match_later(stray.id, owner, rule, now)?;
        for (attempt, id) in [(stray.owner, None), (owner, Some(stray.key.exact))] {
            if let Some(attempt) = attempt {
                self.doubts.name(attempt, stray.numbers, id.filter(|_| rule == Rule::Doubt));
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
        self.strays.note(stray.id, owner, rule);
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

    /// An attempt is in doubt from now on.
    pub(super) fn note_doubt(&mut self, attempt: Attempt) -> Result<(), JournalError> {
        if let Some(parties) = Parties::of(&self.connection, attempt.part())? {
            self.doubts.add(parties.number, attempt);
            if !self.strays.is_empty() {
                self.to_judge.push((0, parties.number));
            }
        }
        Ok(())
    }

    /// An answer came for an attempt that was in doubt: `folded` is the hash of its id, 0 where it brought none.
    pub(super) fn note_late_answer(&mut self, attempt: Attempt, folded: u64) -> Result<(), JournalError> {
        if let Some(parties) = Parties::of(&self.connection, attempt.part())? {
            self.doubts.remove(parties.number, attempt);
            self.to_judge.push((folded, parties.number));
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
