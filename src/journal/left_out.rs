//! Stray receipts that were left to table `stray`, since as many waited as are remembered: read back once nothing is
//! outstanding of what they may belong to, and then matched as if they came only now.

use super::JournalError;
use super::keeper::Keeper;
use super::ladder::{Judgement, Named};
use super::strays::{LeftOut, Rule, Stray, fingerprint};

/// So many rows of the table are looked at in one transaction.
const LOOKED_AT_MAX: i64 = 1_000;

impl Keeper {
    /// Judges some of those left out whose time has come.
    pub(super) fn judge_left_out(&mut self, now: i64) -> Result<(), JournalError> {
        let Some(left_out) = self.strays.left_out(&self.generations) else { return Ok(()) };
        let (found, next) = self.read_left_out(left_out)?;
        for (stray, id) in found {
            self.work.note(2);
            let named = match id.as_str() {
                "" => Named::Nobody,
                id => self.named(stray.marks.key, id, stray.marks.numbers, stray.is_final)?,
            };
            let mut owners = match named {
                Named::One(owner) => vec![owner.attempt],
                Named::Nobody | Named::Several => Vec::new(),
            };
            self.claimed_before(&mut owners, &stray)?;
            self.strays.remember(stray.clone());
            match owners.first() {
                Some(&owner) => self.give(&stray, Judgement::exact(owner), now)?,
                None => self.judge_one(stray.id, now)?,
            }
        }
        self.strays.note_looked_at(next);
        Ok(())
    }

    /// The next of them with their ids, and where to go on.
    fn read_left_out(&self, left_out: LeftOut) -> Result<(Vec<(Stray, String)>, i64), JournalError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT s.receipt, r.final, r.message_id, r.source, r.destination,
                    NOT EXISTS (SELECT 1 FROM receipt_match x WHERE x.receipt_id = r.id), r.received_at, r.tlvs
               FROM (SELECT receipt FROM stray WHERE receipt <= ?1 AND receipt >= ?2 ORDER BY receipt DESC LIMIT ?3) s
               JOIN receipt r ON r.id = s.receipt
              ORDER BY s.receipt DESC",
        )?;
        let mut rows = statement.query((left_out.first, left_out.last, LOOKED_AT_MAX))?;
        let (mut found, mut looked_at, mut next) = (Vec::new(), 0, left_out.last - 1);
        while let Some(row) = rows.next()? {
            let receipt: i64 = row.get(0)?;
            looked_at += 1;
            if looked_at == LOOKED_AT_MAX {
                next = receipt - 1;
            }
            if !row.get::<_, bool>(5)? || self.strays.get(receipt).is_some() {
                continue;
            }
            let text = |column| -> Result<String, rusqlite::Error> {
                Ok(row.get::<_, Option<String>>(column)?.unwrap_or_default())
            };
            let id = text(2)?;
            let tlvs = row.get_ref(7)?.as_blob_or_null().unwrap_or_default().unwrap_or_default();
            let marks = fingerprint(&self.ids, id.as_bytes(), [&text(3)?, &text(4)?], tlvs);
            let is_final = row.get(1)?;
            let stray = Stray {
                id: receipt,
                marks,
                is_final,
                received_at: row.get(6)?,
                generation: left_out.generation,
                serial: None,
                owner: None,
                rule: Rule::None,
                judged: false,
                rivalled: None,
            };
            found.push((stray, id));
        }
        Ok((found, next))
    }
}
