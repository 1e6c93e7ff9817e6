//! Reads back at the start which ids are to be in memory, and moves out what does not fit, or is older.

use crate::journal::error::JournalError;
use crate::journal::matcher::id_archive::Spill;
use crate::journal::matcher::id_index::{Ids, Known, Receipts};
use crate::journal::model::key::Attempt;
use crate::journal::store::counts::Counts;
use crate::journal::store::id_keys::hash_keys;
use rusqlite::{Connection, OptionalExtension, Row, Statement};

/// What goes out of a full memory at a time: one in so many. Small enough not to hold up the journal thread for long.
const SPILLED_SHARE: usize = 8;

/// So many of the newest ids are read back before anything is sent; the others are asleep at first.
const READ_AT_START: usize = if cfg!(test) { 200 } else { 100_000 };
/// So many of those asleep are looked at in one transaction: some 3 ms.
const WOKEN_PER_COMMIT: usize = if cfg!(test) { 50 } else { 5_000 };
/// Ids of a run of those that were asleep.
const RUN_OF_WOKEN: usize = if cfg!(test) { 225 } else { 225_000 };

/// Ids that an earlier sender left in its memory, apart from the newest: they are in no run yet, and not in memory. A
/// little at a time they are moved to runs while this sender works, so that a start takes as long after a campaign of
/// millions as after none. Until all are awake, a receipt that seems to belong to nobody waits.
#[derive(Debug, Default)]
pub struct Asleep {
    /// The part to be looked at next. What lies between the spill's edge and this is gathered.
    next: i64,
    /// The parts from this one on are in memory.
    until: i64,
    gathered: Vec<Known>,
}

impl Asleep {
    /// Whether all are awake.
    pub fn is_empty(&self) -> bool {
        self.next >= self.until
    }

    /// The part before which nothing is looked for any more; `edge` is the spill's.
    pub fn passed(&self, edge: i64) -> i64 {
        edge.max(self.next)
    }

    /// Wakes some. Returns how many were looked at.
    pub fn wake(
        &mut self,
        connection: &Connection,
        counts: &Counts,
        ids: &Ids,
        spill: &mut Spill,
    ) -> Result<usize, JournalError> {
        if self.is_empty() {
            return Ok(0);
        }
        let mut answers = connection.prepare_cached(
            "SELECT attempt, CASE outcome WHEN 0 THEN message_id END FROM answer
              WHERE attempt >= ?1 AND attempt < ?2 ORDER BY attempt LIMIT ?3",
        )?;
        let mut statements = Statements::prepare(connection)?;
        let mut story = statements.from(self.next)?;
        let (from, to) = (Attempt::range(self.next, self.next).0, Attempt::range(self.until, self.until).0);
        let mut rows = answers.query((from, to, WOKEN_PER_COMMIT as i64))?;
        let (mut looked_at, mut last, gathered) = (0, self.next, self.gathered.len());
        while let Some(row) = rows.next()? {
            let attempt = Attempt(row.get(0)?);
            looked_at += 1;
            last = attempt.part();
            let Some(id) = row.get_ref(1)?.as_str_or_null().unwrap_or_default() else { continue };
            let (_, is_stored) = story.of(attempt)?;
            let is_plain = attempt.tried() == 0 && !is_stored && !counts.is_touched(attempt.part());
            self.gathered.push(Known::spilled(ids.key(id.as_bytes()), attempt, is_plain, 0));
        }
        // What is known of one part stays together: the last one is looked at again, unless there is nothing behind it.
        self.next = match looked_at {
            WOKEN_PER_COMMIT if last > self.next => {
                self.gathered
                    .truncate(self.gathered.partition_point(|known| known.attempt().part() < last).max(gathered));
                last
            }
            WOKEN_PER_COMMIT => last + 1,
            _ => self.until,
        };
        if self.gathered.len() >= RUN_OF_WOKEN || self.is_empty() {
            spill.add(connection, std::mem::take(&mut self.gathered), self.next)?;
        }
        Ok(looked_at)
    }
}

/// Reads back the newest ids of parts that were not spilled. Answers, receipts and stored states are walked side by side in
/// the order of their keys, which is that of the file.
pub fn load_ids(connection: &Connection, capacity: usize) -> Result<(Ids, Spill, Asleep), JournalError> {
    let mut ids = Ids::new(capacity, hash_keys(connection)?);
    let spill = Spill::load(connection)?;
    let edge = spill.edge();
    let awake = READ_AT_START.min(capacity - capacity / SPILLED_SHARE - 1);
    let newest_asleep: Option<i64> = connection
        .prepare_cached("SELECT attempt FROM answer WHERE attempt >= ?1 ORDER BY attempt DESC LIMIT 1 OFFSET ?2")?
        .query_row((Attempt::range(edge, edge).0, awake as i64), |row| row.get(0))
        .optional()?;
    let until = newest_asleep.map_or(edge, |attempt| Attempt(attempt).part() + 1);
    let mut answers = connection.prepare(
        "SELECT attempt, message_id FROM answer
          WHERE attempt >= ?1 AND outcome = 0 AND message_id IS NOT NULL ORDER BY attempt",
    )?;
    let mut statements = Statements::prepare(connection)?;
    let mut story = statements.from(until)?;
    let mut rows = answers.query([Attempt::range(until, until).0])?;
    while let Some(row) = rows.next()? {
        let attempt = Attempt(row.get(0)?);
        let (receipts, is_stored) = story.of(attempt)?;
        let key = ids.key(row.get_ref(1)?.as_str().unwrap_or_default().as_bytes());
        ids.restore(key, attempt, attempt.tried() == 0 && !is_stored, receipts);
    }
    Ok((ids, spill, Asleep { next: edge, until, gathered: Vec::new() }))
}

/// Reads a run of spilled ids back into memory, with what happened to its messages since.
pub fn recall(
    connection: &Connection,
    counts: &Counts,
    ids: &mut Ids,
    spill: &Spill,
    run: i64,
) -> Result<(), JournalError> {
    let mut recalled = ids.recall().take_buffer();
    spill.read(connection, run, &mut recalled)?;
    let Some(first) = recalled.first() else { return Ok(()) };
    let mut statements = Statements::prepare(connection)?;
    let mut story = statements.from(first.attempt().part())?;
    for known in &mut recalled {
        let (receipts, is_stored) = story.of(known.attempt())?;
        if is_stored || counts.is_touched(known.attempt().part()) {
            known.not_plain();
        }
        receipts.note(known);
    }
    log::debug!("{} spilled ids are in memory again: receipts ask for them", recalled.len());
    ids.recall().put(run, recalled);
    Ok(())
}

/// Receipts and stored states in the order of their keys.
struct Statements<'c> {
    receipts: Statement<'c>,
    matches: Statement<'c>,
    moved: Statement<'c>,
    states: Statement<'c>,
}

impl<'c> Statements<'c> {
    fn prepare(connection: &'c Connection) -> Result<Self, JournalError> {
        Ok(Self {
            receipts: connection
                .prepare("SELECT id, final + 2 * (source IS NOT NULL) FROM receipt WHERE id >= ?1 ORDER BY id")?,
            moved: connection
                .prepare("SELECT receipt_id, 0 FROM receipt_match WHERE receipt_id >= ?1 ORDER BY receipt_id")?,
            matches: connection
                .prepare("SELECT attempt, receipt_id FROM receipt_match WHERE attempt >= ?1 ORDER BY attempt")?,
            states: connection.prepare(
                "SELECT s.message, m.parts FROM message_state s CROSS JOIN message m ON m.id = s.message
                  WHERE s.message > ?1 ORDER BY s.message",
            )?,
        })
    }

    /// Begins with this part.
    fn from(&mut self, part: i64) -> Result<Story<'_>, JournalError> {
        Ok(Story {
            receipts: Cursor::open(&mut self.receipts, Attempt::receipt_range(part, part).0)?,
            moved: Cursor::open(&mut self.moved, Attempt::receipt_range(part, part).0)?,
            matches: Cursor::open(&mut self.matches, Attempt::range(part, part).0)?,
            // A message of 255 parts may begin that much before.
            states: Cursor::open(&mut self.states, part - 256)?,
        })
    }
}

/// What happened to attempts, asked for in their order.
struct Story<'s> {
    receipts: Cursor<'s>,
    matches: Cursor<'s>,
    moved: Cursor<'s>,
    states: Cursor<'s>,
}

impl Story<'_> {
    /// What receipts of the attempt came, and whether its message's state is stored.
    fn of(&mut self, attempt: Attempt) -> Result<(Receipts, bool), JournalError> {
        let mut found = Receipts::default();
        while let Some((id, flags)) = self.receipts.head {
            let of = Attempt::of_receipt(id);
            if of > attempt {
                break;
            }
            if of == attempt {
                found.seen = true;
                found.is_final |= flags & 1 != 0;
                found.numberless |= flags & 2 != 0;
            }
            self.receipts.step()?;
        }
        while let Some((id, _)) = self.moved.head.filter(|(id, _)| Attempt::of_receipt(*id) <= attempt) {
            found.matched |= Attempt::of_receipt(id) == attempt;
            self.moved.step()?;
        }
        while let Some((of, _)) = self.matches.head.filter(|(of, _)| *of <= attempt.0) {
            found.matched |= of == attempt.0;
            self.matches.step()?;
        }
        while self.states.head.is_some_and(|(message, parts)| message + parts <= attempt.part()) {
            self.states.step()?;
        }
        Ok((found, self.states.head.is_some_and(|(message, _)| message <= attempt.part())))
    }
}

/// Moves the oldest ids out of memory.
pub fn spill_oldest(connection: &Connection, ids: &mut Ids, spill: &mut Spill) -> Result<(), JournalError> {
    let (taken, edge) = ids.take_oldest(SPILLED_SHARE);
    if taken.is_empty() {
        return Ok(());
    }
    spill.add(connection, taken, edge)
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

#[cfg(test)]
mod tests;
