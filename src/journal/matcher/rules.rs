//! Whose a receipt is: the rules, in order. Rule 1, the exact id, is applied as receipts and answers come
//! (module `receipts`); what it leaves is judged here, once no attempt that the receipt may belong to awaits its answer,
//! and judged again when an answer comes late or an attempt turns out to be in doubt.
//!
//! What is decided depends on what is known, not on the order in which it came to be known, so that the end is the same
//! for every order. Where several attempts fit, none is taken.

mod reference;

pub(super) use reference::{PARTS_MAX, REFERENCES};

use super::candidates::{ALIKE_MAX, Chosen};
use super::doubts::{self, Before};
use crate::journal::error::JournalError;
use crate::journal::matcher::id_index::{Found, IdKey, LAST_DIGITS};
pub(in crate::journal) use crate::journal::matcher::parties::Parties;
use crate::journal::matcher::unmatched::Stray;
use crate::journal::matcher::{Matcher, Tx};
use crate::journal::model::key::{Attempt, RECEIPTS_MAX, State};
use crate::journal::model::rule::Rule;
use crate::journal::store::history::MessageFacts;
use rusqlite::OptionalExtension;

/// Whether a receipt with these numbers can be about a message to `destination`: unless it names only others. Numbers may
/// be written with or without the country, so their last digits count.
pub(in crate::journal) fn may_be_for(numbers: [u64; 2], destination: u64) -> bool {
    numbers == [0, 0] || numbers.iter().any(|number| *number != 0 && number % LAST_DIGITS == destination % LAST_DIGITS)
}

/// Whose a receipt is.
#[derive(Debug)]
pub(in crate::journal) struct Judgement {
    pub rule: Rule,
    pub owner: Option<Attempt>,
    /// See [`Stray::rivalled`].
    pub rivalled: Option<Attempt>,
    /// It has exactly the id of a message, or of several, whose number it names.
    names_number: bool,
    /// What is known of the owner's message, where that was read.
    facts: Option<MessageFacts>,
}

impl Judgement {
    /// It belongs to this attempt.
    pub fn of(rule: Rule, owner: Attempt) -> Self {
        Self { rule, owner: Some(owner), rivalled: None, names_number: false, facts: None }
    }

    /// It has exactly the id of this attempt.
    pub fn exact(owner: Attempt, names_number: bool) -> Self {
        Self { names_number, ..Self::of(Rule::Exact, owner) }
    }

    /// It belongs to none.
    fn nobody(rule: Rule) -> Self {
        Self { rule, owner: None, rivalled: None, names_number: false, facts: None }
    }

    /// It fits this attempt, and another message may be meant as well.
    fn rivalled(only: Attempt) -> Self {
        Self { rule: Rule::Ambiguous, owner: None, rivalled: Some(only), names_number: false, facts: None }
    }
}

/// How an attempt was claimed.
#[derive(Clone, Copy)]
struct Claimed {
    serial: i64,
    at: i64,
    session: i64,
}

/// What a receipt can be about.
fn before(stray: &Stray) -> Before {
    match stray.serial {
        Some(next) => Before::Serial(next),
        None => Before::Time { received_at: stray.received_at, now: crate::platform::clock::now_ms() },
    }
}

/// An attempt found by its exact id, with what is known of its receipts.
#[derive(Clone, Copy, Debug)]
pub(in crate::journal) struct Owner {
    pub attempt: Attempt,
    pub is_seen: bool,
    pub is_final: bool,
    pub is_plain: bool,
    /// The receipt does not name its number.
    pub is_numberless: bool,
}

/// Enters a receipt in table `stray`: it may be judged otherwise yet.
pub(super) fn list(tx: &Tx<'_>, receipt: i64) -> Result<(), JournalError> {
    tx.connection.prepare_cached("INSERT OR IGNORE INTO stray (receipt) VALUES (?1)")?.execute([receipt])?;
    Ok(())
}

/// What an exact id leads to at once.
pub(in crate::journal) enum Named {
    Nobody,
    One(Owner),
}

impl Matcher {
    /// What is kept in memory under exactly this id, for a receipt with these numbers in its addresses.
    pub(in crate::journal) fn find_exact(
        &mut self,
        tx: &Tx<'_>,
        key: IdKey,
        numbers: [u64; 2],
    ) -> Result<Found<'_>, JournalError> {
        while let Found::Unsure(attempt) = self.ids.find_exact(key, numbers) {
            let parties = Parties::of(tx.connection, attempt.part())?;
            self.ids.note_destination(key, attempt, parties.map_or(0, |parties| parties.number));
        }
        Ok(self.ids.find_exact(key, numbers))
    }

    /// Rule 1 as a receipt comes: the attempt with exactly this id, in memory or among what was spilled, unless the receipt
    /// names the number of another, or several are to be chosen from, or the answer of another may bring the id yet: that is
    /// judged once no attempt that it may be about awaits its answer. Notes the receipt.
    pub(in crate::journal) fn find_by_id(
        &mut self,
        tx: &Tx<'_>,
        key: IdKey,
        id: &str,
        numbers: [u64; 2],
        is_final: bool,
    ) -> Result<Named, JournalError> {
        let may_be_given_again = !self.outstanding.is_drained(self.outstanding.current());
        match self.find_exact(tx, key, numbers)? {
            Found::Several => return Ok(Named::Nobody),
            Found::One(known) if may_be_given_again && known.may_be_over() => return Ok(Named::Nobody),
            Found::One(known) => {
                let owner = Owner {
                    attempt: known.attempt(),
                    is_seen: known.is_seen(),
                    is_final: known.is_final(),
                    is_plain: known.is_plain(),
                    is_numberless: numbers == [0, 0] || !known.has_number(),
                };
                known.note_receipt(is_final);
                if owner.is_seen || !is_final {
                    known.not_plain();
                }
                if owner.is_numberless {
                    known.note_numberless();
                }
                return Ok(Named::One(owner));
            }
            Found::None | Found::OfOthers | Found::Unsure(_) => {}
        }
        if self.spill.is_empty() {
            return Ok(Named::Nobody);
        }
        let mut found = None;
        for spilled in self.spill.find(tx.connection, key.folded)?.into_iter().take(ALIKE_MAX) {
            let attempt = spilled.attempt;
            let Some(mut owner) = self.owner(tx, attempt, id, spilled.plain)? else { continue };
            self.ids.recall().note_lookup(spilled.run);
            if numbers != [0, 0] {
                let parties = Parties::of(tx.connection, attempt.part())?;
                if parties.as_ref().is_some_and(|parties| !may_be_for(numbers, parties.number)) {
                    continue;
                }
                owner.is_numberless = parties.is_none_or(|parties| parties.number == 0);
            }
            if found.is_some() || may_be_given_again && owner.is_final {
                return Ok(Named::Nobody);
            }
            found = Some(owner);
        }
        Ok(found.map_or(Named::Nobody, Named::One))
    }

    /// What is known of an attempt whose id is not in memory, if `id` is its id indeed.
    fn owner(&self, tx: &Tx<'_>, attempt: Attempt, id: &str, plain: bool) -> Result<Option<Owner>, JournalError> {
        let found: Option<(bool, Option<bool>, bool)> = tx
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
            let is_plain = plain && !is_stored && !tx.counts.is_touched(attempt.part());
            let owner = Owner {
                attempt,
                is_seen: is_final.is_some(),
                is_final: is_final == Some(true),
                is_plain,
                is_numberless: true,
            };
            is_same.then_some(owner)
        }))
    }

    /// Moves the oldest ids out of memory when it is full.
    pub(in crate::journal) fn spill_ids(&mut self, tx: &Tx<'_>) -> Result<(), JournalError> {
        // Runs go by the order of parts: what is asleep comes first.
        while self.is_waking() {
            self.asleep.wake(tx.connection, tx.counts, &self.ids, &mut self.spill)?;
        }
        crate::journal::matcher::id_load::spill_oldest(tx.connection, &mut self.ids, &mut self.spill)
    }

    /// Reads spilled ids back into memory while receipts ask for them. All that came so far is to be stored by now.
    pub(in crate::journal) fn recall_ids(&mut self, tx: &Tx<'_>) -> Result<(), JournalError> {
        match self.ids.recall().take_due() {
            Some(run) => {
                crate::journal::matcher::id_load::recall(tx.connection, tx.counts, &mut self.ids, &self.spill, run)
            }
            None => Ok(()),
        }
    }

    /// Whose the receipt is, as far as is known now. `None`: what it takes to tell is still being read.
    pub(in crate::journal) fn find_owner(&self, tx: &Tx<'_>, stray: &Stray) -> Result<Option<Judgement>, JournalError> {
        let marks = &stray.marks;
        let text_key = marks.text_key;
        // The exact id of a message to a number that the receipt names: the TLV's, or else the text's.
        for (key, rule) in [(Some(marks.key), Rule::Exact), (text_key, Rule::TextExact)]
            .into_iter()
            .filter_map(|(key, rule)| Some((key?, rule)))
        {
            let judgement = match self.exactly(tx, stray, key)? {
                Chosen::Nobody => continue,
                Chosen::One(owner) => Judgement::of(rule, owner),
                Chosen::Several => Judgement::nobody(Rule::Ambiguous),
            };
            let names_number = marks.numbers != [0, 0];
            return Ok(Some(Judgement { names_number, ..judgement }));
        }
        for (spellings, rule) in [(marks.spellings, Rule::Equivalent), (marks.text_spellings, Rule::TextEquivalent)] {
            let fitting = self.equivalent(tx, spellings, stray)?;
            match self.choose(tx, fitting, stray, marks.numbers != [0, 0])? {
                Chosen::Nobody => {}
                Chosen::One(owner) => return Ok(Some(Judgement::of(rule, owner))),
                Chosen::Several => return Ok(Some(Judgement::nobody(Rule::Ambiguous))),
            }
        }
        let (mut fitting, mut facts) = (Vec::new(), None);
        let mut rule = Rule::Reference;
        if let Some(reference) = marks.reference {
            match self.referenced(tx, reference, stray)? {
                Some(found) => (fitting, facts) = found,
                None => return Ok(None),
            }
        }
        if fitting.is_empty() {
            fitting = self.doubts.fitting(marks.key.exact, marks.pools, before(stray));
            #[cfg(test)]
            if self.to_judge.is_naive {
                fitting = self.doubtful_naively(tx, stray)?;
            }
            rule = Rule::Doubt;
            let is_named = matches!(fitting[..], [only] if self.doubts.id_of(only) == Some(marks.key.exact));
            if !is_named && self.doubts.are_left_out(marks.pools) {
                self.to_judge.is_for_next.set(true);
                return Ok(Some(Judgement::nobody(Rule::Ambiguous)));
            }
        }
        match fitting[..] {
            // Its addresses may be anything; its id is not.
            [] => self.by_id_alone(tx, stray),
            [only] => {
                let is_rivalled = match rule {
                    Rule::Doubt if self.doubts.id_of(only) == Some(marks.key.exact) => Some(false),
                    Rule::Doubt if !self.evidence.ids_match || self.evidence.nameless => {
                        let number = Parties::of(tx.connection, only.part())?.map_or(0, |parties| parties.number);
                        self.has_rival(tx, only, number, self.evidence.ids_match)?
                    }
                    _ => Some(false),
                };
                Ok(is_rivalled.map(|is_rivalled| match is_rivalled {
                    true => Judgement::rivalled(only),
                    false => Judgement { facts, ..Judgement::of(rule, only) },
                }))
            }
            _ => Ok(Some(Judgement::nobody(Rule::Ambiguous))),
        }
    }

    /// A receipt that has the exact id of an attempt, and names other numbers than the attempt's. `None`: what it takes to
    /// tell is still being read.
    fn by_id_alone(&self, tx: &Tx<'_>, stray: &Stray) -> Result<Option<Judgement>, JournalError> {
        let mut chosen = Chosen::Nobody;
        for key in [Some(stray.marks.key), stray.marks.text_key].into_iter().flatten() {
            if chosen == Chosen::Nobody {
                chosen = self.choose(tx, self.with_exact_id(tx, key, stray, [0, 0])?, stray, false)?;
            }
        }
        let only = match chosen {
            Chosen::Nobody => return Ok(Some(Judgement::nobody(Rule::None))),
            _ if self.evidence.numbers_fit => return Ok(Some(Judgement::nobody(Rule::OtherNumber))),
            Chosen::Several => return Ok(Some(Judgement::nobody(Rule::Ambiguous))),
            Chosen::One(only) => only,
        };
        // It names the number of a message whose id nobody knows.
        let is_rivalled =
            if self.evidence.nameless { self.is_rivalled(tx, only, stray.marks.numbers)? } else { Some(false) };
        match is_rivalled {
            None => return Ok(None),
            Some(true) => return Ok(Some(Judgement::rivalled(only))),
            Some(false) => {}
        }
        Ok(self.names_another(tx, only, stray)?.map(|is_anothers| match is_anothers {
            true => Judgement::nobody(Rule::OtherNumber),
            false => Judgement::of(Rule::IdAlone, only),
        }))
    }

    /// Rule 2: attempts with the same id in another spelling.
    fn equivalent(&self, tx: &Tx<'_>, spellings: [u64; 3], stray: &Stray) -> Result<Vec<Attempt>, JournalError> {
        let mut fitting = Vec::new();
        for hash in spellings.into_iter().filter(|hash| *hash != 0) {
            fitting.extend(self.ids.find_folded(hash).take(ALIKE_MAX));
            if !self.spill.is_empty() {
                self.work.note(1);
                let spilled = self.spill.find(tx.connection, hash)?;
                fitting.extend(spilled.iter().take(ALIKE_MAX).map(|spilled| spilled.attempt));
            }
        }
        fitting.sort_unstable();
        fitting.dedup();
        self.claimed_before(tx, &mut fitting, stray)?;
        // Sequential ids make coincidences: 16 is 10 in hexadecimal. A receipt for another number is no equivalent.
        let mut kept = Vec::with_capacity(fitting.len());
        for attempt in fitting {
            self.work.note(1);
            if let Some(parties) = Parties::of(tx.connection, attempt.part())?
                && may_be_for(stray.marks.numbers, parties.number)
            {
                kept.push(attempt);
            }
        }
        Ok(kept)
    }

    /// Keeps the attempts that were claimed before the receipt came: it can be about no other.
    pub(in crate::journal) fn claimed_before(
        &self,
        tx: &Tx<'_>,
        attempts: &mut Vec<Attempt>,
        stray: &Stray,
    ) -> Result<(), JournalError> {
        let mut kept = Vec::with_capacity(attempts.len());
        for &attempt in attempts.iter() {
            self.work.note(1);
            if let Some(claimed) = self.claimed(tx, attempt)?
                && self.is_before(tx, claimed, stray)?
            {
                kept.push(attempt);
            }
        }
        *attempts = kept;
        Ok(())
    }

    /// How an attempt was claimed.
    fn claimed(&self, tx: &Tx<'_>, attempt: Attempt) -> Result<Option<Claimed>, JournalError> {
        let mut statement = tx.connection.prepare_cached(
            "SELECT first_serial + (?2 - first_part), claimed_at, session_id FROM claim
              WHERE try = ?1 AND first_part <= ?2 ORDER BY first_part DESC LIMIT 1",
        )?;
        let found = statement.query_row((attempt.tried(), attempt.part()), |row| {
            Ok(Claimed { serial: row.get(0)?, at: row.get(1)?, session: row.get(2)? })
        });
        Ok(found.optional()?)
    }

    /// Whether what was claimed so was claimed before the receipt came.
    fn is_before(&self, tx: &Tx<'_>, claimed: Claimed, stray: &Stray) -> Result<bool, JournalError> {
        match stray.serial {
            Some(next) => Ok(claimed.serial < next),
            None if claimed.at <= stray.received_at || crate::platform::clock::now_ms() < claimed.at => Ok(true),
            None => doubts::was_clock_set_back(tx.connection, claimed.session, claimed.serial, claimed.at),
        }
    }

    /// Writes down whose a stray receipt is, where that is news.
    pub(in crate::journal) fn record_match(
        &mut self,
        tx: &mut Tx<'_>,
        stray: &Stray,
        judgement: Judgement,
        now: i64,
    ) -> Result<(), JournalError> {
        let Judgement { rule, owner, rivalled, names_number, facts } = judgement;
        if names_number {
            self.note_numbers_fit(tx)?;
        }
        if stray.judged && (stray.rule, stray.owner) == (rule, owner) {
            if stray.rivalled != rivalled {
                self.strays.note(stray.id, owner, rule, rivalled);
            } else if stray.listed && !rule.may_change() {
                // It was listed until it had been judged again.
                self.unlist(tx, stray.id, true)?;
                self.let_go(tx, stray.id, owner, rule);
            } else if rule == Rule::None && !tx.late_answers {
                return self.note_ownerless(tx, stray);
            }
            return Ok(());
        }
        if !stray.judged && rule == Rule::None {
            return self.note_ownerless(tx, stray);
        }
        self.work.note(2);
        // What was just read of the owner's message is all that is known of it, and this receipt.
        let is_told = match (facts, owner) {
            (Some(facts), Some(owner)) if stray.owner.is_none() => {
                tx.counts.touch_with_facts(facts, owner, (stray.is_final, stray.is_delivered));
                true
            }
            _ => false,
        };
        // The ids with which other receipts may mean another attempt now.
        let mut keys = [Some(stray.marks.key), stray.marks.text_key, None, None];
        for (n, attempt) in [stray.owner, owner].into_iter().enumerate() {
            if let Some(attempt) = attempt {
                if !is_told {
                    tx.counts.touch_as_found(tx.connection, attempt.part())?;
                }
                keys[2 + n] = self.note_matched(tx, attempt)?;
            }
        }
        self.match_later(tx, stray.id, owner, rule, now)?;
        if stray.is_final && stray.owner != owner {
            // Later ones with the same id mean another attempt, now that one has its final receipt, or has it no more.
            for n in (0..keys.len()).filter(|&n| !keys[..n].contains(&keys[n])) {
                if let Some(key) = keys[n] {
                    self.to_judge.all(self.strays.alike_after(key, stray));
                    self.take_up_those_after(tx, key, stray)?;
                }
            }
        }
        for (attempt, id) in [(stray.owner, None), (owner, Some(stray.marks.key.exact))] {
            if let Some(attempt) = attempt
                && self.doubts.has(attempt)
            {
                let was_named = self.doubts.is_named(attempt);
                let place = self.name_doubt(tx, attempt, stray.marks.numbers, id.filter(|_| rule == Rule::Doubt))?;
                if let Some(place) = place
                    && self.doubts.is_named(attempt) != was_named
                {
                    // It stands against others no more, or does so again.
                    self.note_change(attempt, place, true);
                }
            }
        }
        if rule.shows_ids() {
            self.note_ids_match();
        }
        match (stray.owner, owner) {
            (None, Some(_)) => self.unmatched = self.unmatched.saturating_sub(1),
            (Some(_), None) => self.unmatched += 1,
            _ => {}
        }
        match rule {
            Rule::None => self.note_ownerless(tx, stray)?,
            rule if rule.may_change() => {
                self.strays.note(stray.id, owner, rule, rivalled);
                if !stray.listed {
                    list(tx, stray.id)?;
                }
            }
            _ => {
                self.let_go(tx, stray.id, owner, rule);
                self.unlist(tx, stray.id, stray.listed)?;
            }
        }
        if let Some(only) = stray.rivalled {
            // What stood against this one stands against those that fit the same attempt no more.
            for number in stray.marks.numbers {
                self.to_judge.all(self.strays.rivalled_with(number, only));
            }
        }
        Ok(())
    }

    /// Forgets a receipt that a rule matched for good: only an answer that comes late can show a conjecture to be wrong.
    fn let_go(&mut self, tx: &Tx<'_>, receipt: i64, owner: Option<Attempt>, rule: Rule) {
        if rule == Rule::Exact || !tx.late_answers {
            self.strays.forget(receipt);
        } else {
            self.strays.note(receipt, owner, rule, None);
        }
    }

    /// Takes a receipt out of table `stray`, where it stands there or may.
    fn unlist(&self, tx: &Tx<'_>, receipt: i64, is_listed: bool) -> Result<(), JournalError> {
        if is_listed || self.strays.has_old_rows() {
            tx.connection.prepare_cached("DELETE FROM stray WHERE receipt = ?1")?.execute([receipt])?;
        }
        Ok(())
    }

    /// A receipt was found to have no owner, and that is written down. Unless a late answer may bring its id, or an attempt in doubt
    /// went to a number that it names, it is so for good.
    fn note_ownerless(&mut self, tx: &Tx<'_>, stray: &Stray) -> Result<(), JournalError> {
        self.work.note(1);
        if !tx.late_answers && !self.doubts.may_be_to(stray.marks.numbers) {
            self.strays.forget(stray.id);
            return self.unlist(tx, stray.id, stray.listed);
        }
        self.strays.note(stray.id, None, Rule::None, None);
        if tx.late_answers {
            self.note_kept_for_late(tx, stray.id)?;
        }
        if stray.listed { Ok(()) } else { list(tx, stray.id) }
    }

    /// The message of an attempt has from now on a stored state, and receipts that are not all stored under its own number.
    /// Returns its id.
    pub(in crate::journal) fn note_matched(
        &mut self,
        tx: &Tx<'_>,
        attempt: Attempt,
    ) -> Result<Option<IdKey>, JournalError> {
        let mut statement = tx.connection.prepare_cached("SELECT message_id FROM answer WHERE attempt = ?1")?;
        let mut rows = statement.query([attempt.0])?;
        if let Some(row) = rows.next()?
            && let Ok(Some(id)) = row.get_ref(0)?.as_str_or_null()
        {
            let key = self.ids.key(id.as_bytes());
            self.ids.change(key.folded, attempt, |known| {
                known.not_plain();
                known.note_matched();
            });
            return Ok(Some(key));
        }
        Ok(None)
    }

    /// The SMSC was asked about the attempt's message and told its final state, which is stored as a receipt of it.
    pub(in crate::journal) fn note_told(&mut self, tx: &Tx<'_>, attempt: Attempt) -> Result<(), JournalError> {
        let mut statement = tx.connection.prepare_cached("SELECT message_id FROM answer WHERE attempt = ?1")?;
        let mut rows = statement.query([attempt.0])?;
        if let Some(row) = rows.next()?
            && let Ok(Some(id)) = row.get_ref(0)?.as_str_or_null()
        {
            let folded = self.ids.key(id.as_bytes()).folded;
            self.ids.change(folded, attempt, |known| {
                known.not_plain();
                known.note_receipt(true);
            });
        }
        Ok(())
    }

    /// The state of a plain message some of whose receipts are stored already.
    pub(in crate::journal) fn plain_state(
        &self,
        tx: &Tx<'_>,
        attempt: Attempt,
        was_final: bool,
    ) -> Result<State, JournalError> {
        if !was_final {
            return Ok(State::Accepted);
        }
        let state: Option<Option<i64>> = tx
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
