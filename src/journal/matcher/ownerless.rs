//! Receipts that were found to have no owner while an answer could still come late and bring their id: remembered and listed until
//! none can come any more. Then they have no owner for good, but for those whose number is that of an attempt in doubt.
//!
//! Which they are shows in their numbers, which fall: they are among those of table `stray` from a noted one down. A sender
//! that dies leaves that to the next, to which no answer comes late.

use super::reread;
use super::{Matcher, Tx};
use crate::journal::error::JournalError;
use crate::journal::model::rule::Rule;
use crate::journal::store::notes::{note, set_note};
use rusqlite::Connection;

/// The note from which receipt on (numbers fall) some were kept for a late answer.
const KEPT_FOR_LATE: &str = "kept_for_late_answers";
/// So many rows of table `stray` are looked at for them in one transaction.
const LOOKED_AT_MAX: i64 = 1_000;

/// Which receipts were kept.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::journal) struct KeptForLate {
    /// None of them has a higher number; `None`: there are none.
    from: Option<i64>,
    /// A late answer may come at the moment.
    may_come: bool,
}

impl KeptForLate {
    /// As a sender finds it that starts.
    pub fn load(connection: &Connection) -> Result<Self, JournalError> {
        Ok(Self { from: note(connection, KEPT_FOR_LATE)?.and_then(|from| from.parse().ok()), may_come: false })
    }

    /// As it is when a transaction was lost, and late answers can come as they could before.
    pub fn while_late(self, before: Self) -> Self {
        Self { may_come: before.may_come, ..self }
    }

    /// Whether they are to be let go.
    pub fn are_over(&self) -> bool {
        self.from.is_some() && !self.may_come
    }
}

impl Matcher {
    /// A receipt has no owner unless a late answer brings its id.
    pub(super) fn note_kept_for_late(&mut self, tx: &Tx<'_>, receipt: i64) -> Result<(), JournalError> {
        self.kept_for_late.may_come = true;
        if self.kept_for_late.from.is_none_or(|from| from < receipt) {
            self.set_kept_for_late(tx, Some(receipt))?;
        }
        Ok(())
    }

    fn set_kept_for_late(&mut self, tx: &Tx<'_>, from: Option<i64>) -> Result<(), JournalError> {
        set_note(tx.connection, KEPT_FOR_LATE, from.map(|from| from.to_string()).as_deref())?;
        self.kept_for_late.from = from;
        Ok(())
    }

    /// Notes whether late answers may come.
    pub(super) fn note_late_answers(&mut self, tx: &Tx<'_>) {
        self.kept_for_late.may_come = tx.late_answers;
    }

    /// Lets go of some of those that no late answer can be about any more.
    pub(super) fn let_go_of_ownerless(&mut self, tx: &Tx<'_>) -> Result<(), JournalError> {
        let Some(from) = self.kept_for_late.from.filter(|_| self.kept_for_late.are_over()) else { return Ok(()) };
        let mut statement = tx.connection.prepare_cached(&reread::select_strays(
            "SELECT receipt FROM stray WHERE receipt <= ?1 ORDER BY receipt DESC LIMIT ?2",
        ))?;
        let limit = LOOKED_AT_MAX.min(i64::try_from(self.work.left() / 2).unwrap_or(i64::MAX)).max(1);
        let mut rows = statement.query((from, limit))?;
        let (mut over, mut looked_at, mut next) = (Vec::new(), 0, None);
        while let Some(row) = rows.next()? {
            let stray = reread::stray_of(row, &self.ids, self.strays.judged_to(), true)?;
            looked_at += 1;
            next = (looked_at == limit).then_some(stray.id - 1);
            // What is remembered was judged; of what is not, its rule tells.
            let is_judged = self.strays.get(stray.id).map_or(stray.judged, |known| known.judged);
            if is_judged && stray.rule == Rule::None && !self.doubts.may_be_to(stray.marks.numbers) {
                over.push(stray.id);
            }
        }
        drop(rows);
        self.work.note(2 * looked_at as u64);
        for receipt in over {
            self.strays.forget(receipt);
            tx.connection.prepare_cached("DELETE FROM stray WHERE receipt = ?1")?.execute([receipt])?;
        }
        self.set_kept_for_late(tx, next)
    }
}
