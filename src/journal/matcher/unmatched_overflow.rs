//! Stray receipts that were left to table `stray`, since as many waited as are remembered: read back once nothing is
//! outstanding of what they may belong to, and then matched as if they came only now.

use super::reread;
use crate::journal::error::JournalError;
use crate::journal::matcher::unmatched::{LeftOut, Stray};
use crate::journal::writer::Keeper;

/// So many rows of the table are looked at in one transaction.
const LOOKED_AT_MAX: i64 = 1_000;

impl Keeper {
    /// Judges some of those left out whose time has come.
    pub(in crate::journal) fn judge_left_out(&mut self, now: i64) -> Result<(), JournalError> {
        let Some(left_out) = self.strays.left_out(&self.generations) else { return Ok(()) };
        let (found, next) = self.read_left_out(left_out)?;
        for stray in found {
            self.work.note(2);
            let id = stray.id;
            self.strays.remember(stray);
            self.judge_one(id, now)?;
        }
        self.strays.note_looked_at(next);
        Ok(())
    }

    /// The next of them, and where to go on.
    fn read_left_out(&self, left_out: LeftOut) -> Result<(Vec<Stray>, i64), JournalError> {
        let mut statement = self.connection.prepare_cached(&reread::select_strays(
            "SELECT receipt FROM stray WHERE receipt <= ?1 AND receipt >= ?2 ORDER BY receipt DESC LIMIT ?3",
        ))?;
        let mut rows = statement.query((left_out.first, left_out.last, LOOKED_AT_MAX))?;
        let (mut found, mut looked_at, mut next) = (Vec::new(), 0, left_out.last - 1);
        while let Some(row) = rows.next()? {
            let stray = reread::stray_of(row, &self.ids)?;
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
