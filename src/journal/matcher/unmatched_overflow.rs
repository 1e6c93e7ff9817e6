//! Receipts that were not judged and are not remembered, since as many waited as are remembered: read back from the journal once nothing is
//! outstanding of what they may belong to, and then matched as if they came only now.

use super::reread;
use crate::journal::error::JournalError;
use crate::journal::matcher::unmatched::{LeftOut, Stray};
use crate::journal::matcher::{Matcher, Tx};

/// So many rows of the table are looked at in one transaction.
const LOOKED_AT_MAX: i64 = 1_000;
/// Receipts that were never judged stand in no list: they are all those of these numbers of which nothing was found out.
pub(super) const LEFT_OUT: &str =
    "SELECT id AS receipt FROM receipt WHERE id <= ?1 AND id >= ?2 ORDER BY id DESC LIMIT ?3";

impl Matcher {
    /// Judges some of those left out whose time has come.
    pub(in crate::journal) fn judge_left_out(&mut self, tx: &mut Tx<'_>, now: i64) -> Result<(), JournalError> {
        // What cannot be judged yet stays in memory: first there has to be room.
        if self.rivals.get_mut().is_reading() || self.strays.is_full_of_waiting() {
            return Ok(());
        }
        let Some(left_out) = self.strays.left_out(&self.outstanding) else { return Ok(()) };
        let (found, next) = self.read_left_out(tx, left_out)?;
        for stray in found {
            self.work.note(2);
            let id = stray.id;
            self.strays.remember(stray);
            self.judge_one(tx, id, now)?;
        }
        self.strays.note_looked_at(next);
        Ok(())
    }

    /// The next of them, and where to go on.
    fn read_left_out(&self, tx: &Tx<'_>, left_out: LeftOut) -> Result<(Vec<Stray>, i64), JournalError> {
        let mut statement = tx.connection.prepare_cached(&reread::select_strays(LEFT_OUT))?;
        let mut rows = statement.query((left_out.first, left_out.last, LOOKED_AT_MAX))?;
        let (mut found, mut looked_at, mut next) = (Vec::new(), 0, left_out.last - 1);
        while let Some(row) = rows.next()? {
            let stray = reread::stray_of(row, &self.ids, self.strays.judged_to(), false)?;
            looked_at += 1;
            if looked_at == LOOKED_AT_MAX {
                next = stray.id - 1;
            }
            if !stray.judged && self.strays.get(stray.id).is_none() {
                found.push(Stray { generation: left_out.generation, ..stray });
            }
        }
        Ok((found, next))
    }
}
