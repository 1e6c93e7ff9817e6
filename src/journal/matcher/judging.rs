//! When receipts without an owner are judged: those that have waited long enough, and anew those that what happened bears
//! upon. A transaction does so much of that and leaves the rest to the next, so that nobody waits for it for long. A sender
//! that ends before it is through leaves a note, and the next one judges all of them.

use super::doubts::{self, Place};
use crate::journal::error::JournalError;
use crate::journal::matcher::alternatives::ROWS_PER_COMMIT;
use crate::journal::matcher::unmatched::Rule;
use crate::journal::model::key::Attempt;
use crate::journal::writer::Keeper;
use hashbrown::HashSet;
use std::cell::Cell;
use std::collections::BTreeSet;

/// So many steps, of some 5 us each, are taken to judge receipts in one transaction.
pub(in crate::journal) const STEPS_PER_COMMIT_MAX: u64 = 10_000;

/// The note that receipts were to be judged when the sender ended.
const JUDGING_LEFT: &str = "judging_left";

/// Work done, in statements and rows.
#[derive(Debug, Default)]
pub(in crate::journal) struct Work {
    done: Cell<u64>,
    until: Cell<u64>,
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

    /// Whether that many were not taken yet.
    pub fn is_left(&self) -> bool {
        self.done.get() < self.until.get()
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

impl Keeper {
    /// Whether ids of earlier senders are still to be brought to where they are found.
    pub(in crate::journal) fn is_waking(&self) -> bool {
        !self.asleep.is_empty()
    }

    /// Whether there is something to judge now.
    pub(in crate::journal) fn has_to_judge(&self) -> bool {
        !self.to_judge.is_empty() || self.to_revise.is_some() || self.strays.has_drained(&self.generations)
    }

    /// Judges receipts as far as one transaction goes. What was judged before has the first half of that for itself, so
    /// that what comes without end does not hold it up.
    pub(in crate::journal) fn judge_strays(&mut self, now: i64) -> Result<(), JournalError> {
        if self.is_waking() {
            self.asleep.wake(&self.connection, &self.books, &self.ids, &mut self.spill)?;
            // Whose id it has may not be known yet.
            return self.note_left();
        }
        let mut rows = ROWS_PER_COMMIT;
        self.read_rivals(&mut rows)?;
        self.work.allow(STEPS_PER_COMMIT_MAX / 2);
        self.judge_again(now)?;
        self.work.allow(STEPS_PER_COMMIT_MAX / 2);
        while self.work.is_left()
            && let Some(receipt) = self.strays.next_drained(&self.generations)
        {
            self.judge_one(receipt, now)?;
        }
        if self.work.is_left() {
            self.judge_left_out(now)?;
        }
        if self.work.is_left() {
            self.revise_id_alone(now)?;
        }
        self.judge_again(now)?;
        self.read_rivals(&mut rows)?;
        self.judge_again(now)?;
        self.note_left()
    }

    /// Reads on which messages go to which number, as long as `rows` are left. Once that is known, the receipts that wait for
    /// it are judged.
    fn read_rivals(&mut self, rows: &mut i64) -> Result<(), JournalError> {
        let table = self.rivals.get_mut();
        while table.is_reading() && *rows > 0 {
            *rows -= table.read_on(&self.connection, *rows)?.max(1);
        }
        if !table.is_reading() {
            self.to_judge.queue.append(&mut self.to_judge.postponed);
        }
        Ok(())
    }

    /// Judges anew the receipts that what happened bears upon.
    fn judge_again(&mut self, now: i64) -> Result<(), JournalError> {
        for spelling in std::mem::take(&mut self.to_judge.spellings) {
            self.to_judge.queue.extend(self.strays.spelled_so(spelling));
        }
        while self.work.is_left()
            && let Some(receipt) = self.to_judge.queue.pop_first()
        {
            self.judge_one(-receipt, now)?;
        }
        while self.work.is_left()
            && let Some(after) = self.to_judge.all_after
        {
            self.to_judge.all_after = self.strays.judged_after(after);
            if let Some(receipt) = self.to_judge.all_after {
                self.judge_one(-receipt, now)?;
            }
        }
        Ok(())
    }

    /// Notes whether something is left to judge: a sender that ends would forget it.
    fn note_left(&mut self) -> Result<(), JournalError> {
        let is_left = !self.to_judge.is_empty() || self.to_judge.is_for_next.get();
        if is_left != self.to_judge.is_noted {
            crate::journal::store::notes::set_note(&self.connection, JUDGING_LEFT, is_left.then_some("1"))?;
            self.to_judge.is_noted = is_left;
        }
        Ok(())
    }

    /// Judges all if the journal notes that some are left.
    pub(in crate::journal) fn load_judging(&mut self) -> Result<(), JournalError> {
        let is_noted = crate::journal::store::notes::note(&self.connection, JUDGING_LEFT)?.is_some();
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
    pub(in crate::journal) fn leave_judging(&mut self) -> Result<(), JournalError> {
        self.note_left()
    }

    pub(in crate::journal) fn judge_one(&mut self, receipt: i64, now: i64) -> Result<(), JournalError> {
        self.work.note(1);
        let Some(stray) = self.strays.get(receipt).cloned() else { return Ok(()) };
        if stray.rule == Rule::Operator {
            return Ok(());
        }
        match self.judge(&stray)? {
            Some(judgement) => self.give(&stray, judgement, now),
            None => {
                self.to_judge.postpone(receipt);
                Ok(())
            }
        }
    }

    /// An attempt is in doubt from now on.
    pub(in crate::journal) fn note_doubt(&mut self, attempt: Attempt) -> Result<(), JournalError> {
        if let Some(place) = doubts::place_of(&self.connection, &self.ids, attempt)? {
            self.doubts.add(attempt, place);
            if !self.strays.is_empty() {
                self.note_change(attempt, place, true);
            }
        }
        Ok(())
    }

    /// An answer came for an attempt that was in doubt: `folded` is the hash of its id, 0 where it brought none.
    pub(in crate::journal) fn note_late_answer(&mut self, attempt: Attempt, folded: u64) -> Result<(), JournalError> {
        if let Some(place) = doubts::place_of(&self.connection, &self.ids, attempt)? {
            let was_free = self.doubts.remove(attempt, place);
            if !self.strays.is_empty() {
                self.to_judge.spelled(folded);
                self.note_change(attempt, place, was_free);
            }
        }
        Ok(())
    }

    /// Notes which id a receipt with these numbers gave to an attempt in doubt, or took back.
    pub(in crate::journal) fn name_doubt(
        &mut self,
        attempt: Attempt,
        numbers: [u64; 2],
        id: Option<u64>,
    ) -> Result<Option<Place>, JournalError> {
        let place = doubts::place_of(&self.connection, &self.ids, attempt)?;
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
