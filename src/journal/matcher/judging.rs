//! When receipts without an owner are judged: those that have waited long enough, and anew those that what happened bears
//! upon. A transaction does so much of that and leaves the rest to the next, so that nobody waits for it for long. A sender
//! that ends before it is through leaves a note, and the next one judges all of them.

use super::doubts::{self, Place};
use crate::journal::error::JournalError;
use crate::journal::matcher::alternatives::ROWS_PER_COMMIT;
use crate::journal::matcher::{Matcher, Tx};
use crate::journal::model::key::Attempt;
use crate::journal::model::rule::Rule;
use crate::journal::store::counts::Counts;
use crate::journal::store::identity;
use crate::journal::store::notes::in_transaction;
use crate::platform::clock::now_ms;
use hashbrown::HashSet;
use rusqlite::Connection;
use std::cell::Cell;
use std::collections::BTreeSet;

/// So many steps, of some 5 us each, are taken to judge receipts in one transaction.
pub(in crate::journal) const STEPS_PER_COMMIT_MAX: u64 = 10_000;

/// Ids that are in memory while no sender runs.
const IDS_IN_MEMORY: usize = 200_000;

/// The note that receipts were to be judged when the sender ended.
const JUDGING_LEFT: &str = "judging_left";

/// Work done, in statements and rows.
#[derive(Debug)]
pub(in crate::journal) struct Work {
    done: Cell<u64>,
    until: Cell<u64>,
    /// See [`STEPS_PER_COMMIT_MAX`] and [`ROWS_PER_COMMIT`]: tests allow less, so that a few receipts take many transactions.
    pub steps_per_commit: u64,
    pub rows_per_commit: i64,
}

impl Default for Work {
    fn default() -> Self {
        Self {
            done: Cell::default(),
            until: Cell::default(),
            steps_per_commit: STEPS_PER_COMMIT_MAX,
            rows_per_commit: ROWS_PER_COMMIT,
        }
    }
}

impl Work {
    /// So many steps were taken.
    pub fn note(&self, steps: u64) {
        self.done.set(self.done.get() + steps);
    }

    /// So many steps may be taken from now on.
    pub fn allow(&self, steps: u64) {
        self.until.set(self.done.get() + steps);
    }

    /// So many of these were not taken yet.
    pub fn left(&self) -> u64 {
        self.until.get().saturating_sub(self.done.get())
    }

    /// Whether there are such.
    pub fn is_left(&self) -> bool {
        self.left() > 0
    }

    /// All that was ever done.
    pub fn done(&self) -> u64 {
        self.done.get()
    }
}

/// Receipts to be judged anew, each once, in the order in which they came.
#[derive(Debug, Default)]
pub(in crate::journal) struct ToJudge {
    /// Minus their numbers.
    queue: BTreeSet<i64>,
    /// Those that wait until it is known which messages go to their number ([`crate::journal::matcher::alternatives`]).
    postponed: BTreeSet<i64>,
    /// Hashes of ids whose receipts are to be judged.
    spellings: HashSet<u64>,
    /// All that came after this one (minus its number) are to be judged.
    all_after: Option<i64>,
    /// Some were judged without all doubts being remembered: the next sender, which may remember them, judges them again.
    pub is_for_next: Cell<bool>,
    /// The journal notes that there are some.
    pub is_noted: bool,
    /// As it was before anybody minded the work: whatever happens bears upon all receipts to its number.
    #[cfg(test)]
    pub is_naive: bool,
}

impl ToJudge {
    /// Those that name an id with this hash.
    pub fn spelled(&mut self, spelling: u64) {
        if spelling != 0 {
            self.spellings.insert(spelling);
        }
    }

    /// These.
    pub fn all(&mut self, receipts: impl IntoIterator<Item = i64>) {
        self.queue.extend(receipts);
    }

    /// All that are remembered.
    pub fn everything(&mut self) {
        self.all_after = Some(i64::MIN);
    }

    /// This one, once it is known which messages go to its number.
    pub fn postpone(&mut self, receipt: i64) {
        self.postponed.insert(-receipt);
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.postponed.is_empty() && self.spellings.is_empty() && self.all_after.is_none()
    }
}

/// Judges what a sender left, where none runs: what is decided about messages in doubt rests on it.
pub(crate) fn judge_what_is_left(connection: &Connection, counts: &mut Counts) -> Result<(), JournalError> {
    let mut matcher = in_transaction(connection, || {
        let mut matcher = Matcher::open(connection, IDS_IN_MEMORY)?;
        matcher.load_judging(connection)?;
        Ok(matcher)
    })?;
    let next_serial = identity::extent(connection)?.serial + 1;
    while matcher.is_waited_for() {
        in_transaction(connection, || {
            let mut tx = Tx { connection, counts, next_serial, late_answers: false };
            matcher.judge_strays(&mut tx, now_ms())?;
            counts.settle(connection)
        })?;
    }
    Ok(())
}

impl Matcher {
    /// Whether ids of earlier senders are still to be brought to where they are found.
    pub(in crate::journal) fn is_waking(&self) -> bool {
        !self.asleep.is_empty()
    }

    /// Whether there is something that the end of a sender waits for, for a moment.
    pub(in crate::journal) fn is_waited_for(&self) -> bool {
        self.has_to_judge() || self.is_waking() && self.strays.has_left_out()
    }

    /// Whether there is something to judge now.
    pub(in crate::journal) fn has_to_judge(&self) -> bool {
        !self.to_judge.is_empty()
            || self.evidence.to_revise.is_some()
            || self.kept_for_late.are_over()
            || self.strays.has_drained(&self.outstanding)
    }

    /// Judges receipts as far as one transaction goes. What was judged before has the first half of that for itself, so
    /// that what comes without end does not hold it up.
    pub(in crate::journal) fn judge_strays(&mut self, tx: &mut Tx<'_>, now: i64) -> Result<(), JournalError> {
        self.note_late_answers(tx);
        if self.is_waking() {
            self.asleep.wake(tx.connection, tx.counts, &self.ids, &mut self.spill)?;
            // Whose id it has may not be known yet.
            return self.note_left(tx.connection);
        }
        let mut rows = self.work.rows_per_commit;
        self.read_rivals(tx, &mut rows)?;
        self.work.allow(self.work.steps_per_commit / 2);
        self.judge_again(tx, now)?;
        self.work.allow(self.work.steps_per_commit / 2);
        while self.work.is_left()
            && let Some(receipt) = self.strays.next_drained(&self.outstanding)
        {
            self.judge_one(tx, receipt, now)?;
        }
        if self.work.is_left() {
            self.judge_left_out(tx, now)?;
        }
        if self.work.is_left() {
            self.revise_id_alone(tx, now)?;
        }
        self.judge_again(tx, now)?;
        self.read_rivals(tx, &mut rows)?;
        self.judge_again(tx, now)?;
        // The last late answer may be what some of them are still to be judged for.
        if self.work.is_left() && self.to_judge.is_empty() {
            self.let_go_of_ownerless(tx)?;
        }
        self.note_left(tx.connection)
    }

    /// Reads on which messages go to which number, as long as `rows` are left. Once that is known, the receipts that wait for
    /// it are judged.
    fn read_rivals(&mut self, tx: &Tx<'_>, rows: &mut i64) -> Result<(), JournalError> {
        let table = self.rivals.get_mut();
        while table.is_reading() && *rows > 0 {
            *rows -= table.read_on(tx.connection, *rows)?.max(1);
        }
        if !table.is_reading() {
            self.to_judge.queue.append(&mut self.to_judge.postponed);
        }
        Ok(())
    }

    /// Judges anew the receipts that what happened bears upon.
    fn judge_again(&mut self, tx: &mut Tx<'_>, now: i64) -> Result<(), JournalError> {
        for spelling in std::mem::take(&mut self.to_judge.spellings) {
            self.to_judge.queue.extend(self.strays.spelled_so(spelling));
        }
        while self.work.is_left()
            && let Some(receipt) = self.to_judge.queue.pop_first()
        {
            self.judge_one(tx, -receipt, now)?;
        }
        while self.work.is_left()
            && let Some(after) = self.to_judge.all_after
        {
            self.to_judge.all_after = self.strays.judged_after(after);
            if let Some(receipt) = self.to_judge.all_after {
                self.judge_one(tx, -receipt, now)?;
            }
        }
        Ok(())
    }

    /// Notes whether something is left to judge, and how far receipts are judged: a sender that ends would forget it.
    fn note_left(&mut self, connection: &Connection) -> Result<(), JournalError> {
        let is_left = !self.to_judge.is_empty() || self.to_judge.is_for_next.get();
        if is_left != self.to_judge.is_noted {
            crate::journal::store::notes::set_note(connection, JUDGING_LEFT, is_left.then_some("1"))?;
            self.to_judge.is_noted = is_left;
        }
        self.strays.note_judged(connection)
    }

    /// Judges all if the journal notes that some are left.
    pub(in crate::journal) fn load_judging(&mut self, connection: &Connection) -> Result<(), JournalError> {
        let is_noted = crate::journal::store::notes::note(connection, JUDGING_LEFT)?.is_some();
        self.to_judge.queue.clear();
        self.to_judge.postponed.clear();
        self.to_judge.spellings.clear();
        self.to_judge.is_for_next.set(false);
        (self.to_judge.all_after, self.to_judge.is_noted) = (None, is_noted);
        if is_noted {
            self.to_judge.everything();
        }
        Ok(())
    }

    /// Leaves what is to be judged to the sender that starts next.
    pub(in crate::journal) fn leave_judging(&mut self, connection: &Connection) -> Result<(), JournalError> {
        self.note_left(connection)
    }

    /// One receipt, as far as that can be told now.
    pub(in crate::journal) fn judge_one(
        &mut self,
        tx: &mut Tx<'_>,
        receipt: i64,
        now: i64,
    ) -> Result<(), JournalError> {
        self.work.note(1);
        let Some(stray) = self.strays.get(receipt).cloned() else { return Ok(()) };
        if stray.rule == Rule::Operator {
            return Ok(());
        }
        match self.find_owner(tx, &stray)? {
            Some(judgement) => self.record_match(tx, &stray, judgement, now),
            None => {
                self.strays.set_aside(receipt);
                self.to_judge.postpone(receipt);
                Ok(())
            }
        }
    }

    /// An attempt is in doubt from now on.
    pub(in crate::journal) fn note_doubt(&mut self, tx: &Tx<'_>, attempt: Attempt) -> Result<(), JournalError> {
        if let Some(place) = doubts::place_of(tx.connection, &self.ids, attempt)? {
            self.doubts.add(attempt, place);
            if !self.strays.is_empty() {
                self.note_change(attempt, place, true);
            }
        }
        Ok(())
    }

    /// An answer came for an attempt that was in doubt: `folded` is the hash of its id, 0 where it brought none.
    pub(in crate::journal) fn note_late_answer(
        &mut self,
        tx: &Tx<'_>,
        attempt: Attempt,
        folded: u64,
    ) -> Result<(), JournalError> {
        if let Some(place) = doubts::place_of(tx.connection, &self.ids, attempt)? {
            let was_free = self.doubts.remove(attempt, place);
            if !self.strays.is_empty() {
                self.to_judge.spelled(folded);
                self.note_change(attempt, place, was_free);
            }
        }
        Ok(())
    }

    /// Notes which id a receipt with these numbers gave to an attempt in doubt, or no longer gives it.
    pub(in crate::journal) fn name_doubt(
        &mut self,
        tx: &Tx<'_>,
        attempt: Attempt,
        numbers: [u64; 2],
        id: Option<u64>,
    ) -> Result<Option<Place>, JournalError> {
        let place = doubts::place_of(tx.connection, &self.ids, attempt)?;
        let place = place.filter(|place| numbers.contains(&place.number));
        if let Some(place) = place {
            self.doubts.name(attempt, place, id);
        }
        Ok(place)
    }

    /// What receipts may belong to has changed: an attempt at `place` is in doubt, or is so no more. `counts`: it is, or was,
    /// one of those that a receipt of unknown id can be about.
    pub(in crate::journal) fn note_change(&mut self, attempt: Attempt, place: Place, counts: bool) {
        #[cfg(test)]
        if self.to_judge.is_naive {
            self.to_judge.all(self.strays.numbered(place.number));
            return;
        }
        if counts {
            let decided_from = self.doubts.decided_from(place.pool);
            self.to_judge.all(self.strays.between(&place, decided_from, crate::platform::clock::now_ms()));
        }
        self.to_judge.all(self.strays.owned(attempt));
        self.to_judge.all(self.strays.referring(attempt.part() as u16));
        self.to_judge.all(self.strays.rivalled(place.number));
    }
}

#[cfg(test)]
mod tests;
