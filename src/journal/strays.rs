//! Receipts that matched nothing when they came: kept, and matched when the answer that they were ahead of arrives.

use super::JournalError;
use super::ids::{IdKey, Ids};
use super::key::Attempt;
use hashbrown::HashMap;
use rusqlite::Connection;

/// Stray receipts that are looked for when an answer comes. Older ones stay in the journal, and are matched at the next
/// start.
const STRAYS_MAX: usize = 200_000;

/// A receipt that waits for its answer.
#[derive(Clone, Copy, Debug)]
pub struct Stray {
    exact: u64,
    /// Its (negative) number in the journal.
    pub id: i64,
    /// Whether nothing more is to come.
    pub is_final: bool,
}

/// All of them, by their id.
#[derive(Debug)]
pub struct Strays {
    by_id: HashMap<u64, Vec<Stray>>,
    count: usize,
    next_id: i64,
}

impl Strays {
    /// Reads the unmatched receipts of the journal.
    pub fn load(connection: &Connection, ids: &Ids) -> Result<Self, JournalError> {
        let next_id: i64 =
            connection.query_row("SELECT coalesce(min(min(id), 0), 0) - 1 FROM receipt", [], |row| row.get(0))?;
        let mut strays = Self { by_id: HashMap::new(), count: 0, next_id };
        let mut statement = connection.prepare(
            "SELECT id, final, message_id FROM receipt WHERE id < 0 AND message_id IS NOT NULL
                AND NOT EXISTS (SELECT 1 FROM receipt_match x WHERE x.receipt_id = receipt.id)
              ORDER BY id LIMIT ?1",
        )?;
        let mut rows = statement.query([STRAYS_MAX as i64])?;
        while let Some(row) = rows.next()? {
            let key = ids.key(row.get_ref(2)?.as_str().unwrap_or_default().as_bytes());
            strays.add(key, row.get(0)?, row.get(1)?);
        }
        Ok(strays)
    }

    /// A number for a receipt that belongs to no attempt's own numbers.
    pub fn next_id(&mut self) -> i64 {
        self.next_id -= 1;
        self.next_id + 1
    }

    /// Remembers an unmatched receipt.
    pub fn add(&mut self, key: IdKey, id: i64, is_final: bool) {
        if self.count < STRAYS_MAX {
            self.count += 1;
            self.by_id.entry(key.folded).or_default().push(Stray { exact: key.exact, id, is_final });
        }
    }

    /// Takes the strays with exactly this id.
    pub fn take_exact(&mut self, key: IdKey) -> Vec<Stray> {
        if self.count == 0 {
            return Vec::new();
        }
        let Some(waiting) = self.by_id.get_mut(&key.folded) else { return Vec::new() };
        let (taken, rest): (Vec<_>, Vec<_>) = waiting.drain(..).partition(|stray| stray.exact == key.exact);
        if rest.is_empty() {
            self.by_id.remove(&key.folded);
        } else {
            *waiting = rest;
        }
        self.count -= taken.len();
        taken
    }
}

/// Reads back the ids that a receipt may still name: those without a final receipt, and the newest of the others, since
/// an SMSC repeats a receipt whose answer was lost.
pub fn load_ids(connection: &Connection, capacity: usize) -> Result<Ids, JournalError> {
    let mut ids = Ids::new(capacity);
    let mut statement = connection.prepare(
        "SELECT a.attempt, a.message_id, r.final,
                m.parts = 1 AND s.message IS NULL AND (a.attempt & 4095) = 0
           FROM answer a
           LEFT JOIN receipt r ON r.id = (a.attempt << 8)
           LEFT JOIN message m ON m.id = (a.attempt >> 12)
           LEFT JOIN message_state s ON s.message = (a.attempt >> 12)
          WHERE a.outcome = 0 AND a.message_id IS NOT NULL
          ORDER BY a.attempt",
    )?;
    let newest: i64 = connection.query_row("SELECT coalesce(max(attempt), 0) FROM answer", [], |row| row.get(0))?;
    let recent = Attempt::new((Attempt(newest).part() - RECENT).max(0), 0);
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let attempt = Attempt(row.get(0)?);
        let is_final: Option<bool> = row.get(2)?;
        if is_final == Some(true) && attempt < recent {
            continue;
        }
        let plain: Option<bool> = row.get(3)?;
        let key = ids.key(row.get_ref(1)?.as_str().unwrap_or_default().as_bytes());
        ids.restore(key, attempt, plain == Some(true), is_final);
    }
    Ok(ids)
}

/// How many of the newest parts keep their ids although their final receipt came.
const RECENT: i64 = 100_000;
