//! Reads back at the start which ids are to be in memory, and moves out what does not fit.

use super::JournalError;
use super::ids::{Ids, hash_keys};
use super::key::Attempt;
use super::spill::Spill;
use rusqlite::{Connection, Row, Statement};

/// What goes out of a full memory at a time: one in so many. Small enough not to hold up the journal thread for long.
const SPILLED_SHARE: usize = 8;

/// Reads back the ids of parts that were not spilled. Answers, receipts and stored states are walked side by side in
/// the order of their keys, which is that of the file.
pub fn load_ids(connection: &Connection, capacity: usize) -> Result<(Ids, Spill), JournalError> {
    let mut ids = Ids::new(capacity, hash_keys(connection)?);
    let mut spill = Spill::load(connection)?;
    let edge = spill.edge();
    let mut answers = connection.prepare(
        "SELECT attempt, message_id FROM answer
          WHERE attempt >= ?1 AND outcome = 0 AND message_id IS NOT NULL ORDER BY attempt",
    )?;
    let mut receipts = connection.prepare("SELECT id, final FROM receipt WHERE id >= ?1 ORDER BY id")?;
    let mut states = connection.prepare(
        "SELECT s.message, m.parts FROM message_state s JOIN message m ON m.id = s.message
          WHERE s.message > ?1 ORDER BY s.message",
    )?;
    let (first, _) = Attempt::range(edge, edge);
    let (first_receipt, _) = Attempt::receipt_range(edge, edge);
    let mut receipts = Cursor::open(&mut receipts, first_receipt)?;
    // A message of 255 parts may begin that much before the edge.
    let mut states = Cursor::open(&mut states, edge - 256)?;
    let mut rows = answers.query([first])?;
    while let Some(row) = rows.next()? {
        let attempt = Attempt(row.get(0)?);
        let mut receipt = None;
        while let Some((id, is_final)) = receipts.head {
            let of = Attempt::of_receipt(id);
            if of > attempt {
                break;
            }
            if of == attempt {
                receipt = Some(receipt == Some(true) || is_final == 1);
            }
            receipts.step()?;
        }
        while states.head.is_some_and(|(message, parts)| message + parts <= attempt.part()) {
            states.step()?;
        }
        let is_stored = states.head.is_some_and(|(message, _)| message <= attempt.part());
        let key = ids.key(row.get_ref(1)?.as_str().unwrap_or_default().as_bytes());
        ids.restore(key, attempt, attempt.tried() == 0 && !is_stored, receipt);
        if ids.is_full() {
            spill_oldest(connection, &mut ids, &mut spill)?;
        }
    }
    Ok((ids, spill))
}

/// Moves the oldest ids out of memory.
pub fn spill_oldest(connection: &Connection, ids: &mut Ids, spill: &mut Spill) -> Result<(), JournalError> {
    let (taken, edge) = ids.take_oldest(SPILLED_SHARE);
    if taken.is_empty() {
        return Ok(());
    }
    let ids = taken.iter().map(|known| (known.folded(), known.attempt(), known.is_plain())).collect();
    spill.add(connection, ids, edge)
}

/// A statement's rows of two numbers, the next one in view.
struct Cursor<'s> {
    rows: rusqlite::Rows<'s>,
    head: Option<(i64, i64)>,
}

impl<'s> Cursor<'s> {
    fn open(statement: &'s mut Statement<'_>, from: i64) -> Result<Self, JournalError> {
        let mut cursor = Self { rows: statement.query([from])?, head: None };
        cursor.step()?;
        Ok(cursor)
    }

    fn step(&mut self) -> Result<(), JournalError> {
        let pair = |row: &Row<'_>| Ok::<_, rusqlite::Error>((row.get(0)?, row.get(1)?));
        self.head = self.rows.next()?.map(pair).transpose()?;
        Ok(())
    }
}
