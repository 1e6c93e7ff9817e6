//! Reads back at the start which ids are to be in memory, and moves out what does not fit.

use super::JournalError;
use super::books::Books;
use super::ids::{Ids, Known, Receipts, hash_keys};
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
    let mut statements = Statements::prepare(connection)?;
    let mut story = statements.from(edge)?;
    let mut rows = answers.query([Attempt::range(edge, edge).0])?;
    while let Some(row) = rows.next()? {
        let attempt = Attempt(row.get(0)?);
        let (receipts, is_stored) = story.of(attempt)?;
        let key = ids.key(row.get_ref(1)?.as_str().unwrap_or_default().as_bytes());
        ids.restore(key, attempt, attempt.tried() == 0 && !is_stored, receipts);
        if ids.is_full() {
            spill_oldest(connection, &mut ids, &mut spill)?;
        }
    }
    Ok((ids, spill))
}

/// Reads a run of spilled ids back into memory, with what happened to its messages since.
pub fn recall(
    connection: &Connection,
    books: &Books,
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
        if is_stored || books.is_touched(known.attempt().part()) {
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
    states: Statement<'c>,
}

impl<'c> Statements<'c> {
    fn prepare(connection: &'c Connection) -> Result<Self, JournalError> {
        Ok(Self {
            receipts: connection
                .prepare("SELECT id, final + 2 * (source IS NOT NULL) FROM receipt WHERE id >= ?1 ORDER BY id")?,
            matches: connection
                .prepare("SELECT attempt, receipt_id FROM receipt_match WHERE attempt >= ?1 ORDER BY attempt")?,
            states: connection.prepare(
                "SELECT s.message, m.parts FROM message_state s JOIN message m ON m.id = s.message
                  WHERE s.message > ?1 ORDER BY s.message",
            )?,
        })
    }

    /// Begins with this part.
    fn from(&mut self, part: i64) -> Result<Story<'_>, JournalError> {
        Ok(Story {
            receipts: Cursor::open(&mut self.receipts, Attempt::receipt_range(part, part).0)?,
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

/// Ids that stay in memory when a run ends: so many the next start has to read back.
const LEFT_AT_END: usize = 100_000;
/// Fewer than so many are left as they are, so that runs of spilled ids stay few.
const LEFT_AT_END_MAX: usize = 2 * LEFT_AT_END;
/// Ids of a run that is written at the end, in a transaction of its own.
const RUN_AT_END: usize = 225_000;

/// At the end of a run: moves out of memory what the next start would else have to read back.
pub fn spill_at_end(connection: &Connection, ids: &mut Ids, spill: &mut Spill) -> Result<(), JournalError> {
    if ids.len() <= LEFT_AT_END_MAX {
        return Ok(());
    }
    let (mut taken, edge) = ids.take_all_but(LEFT_AT_END);
    taken.sort_unstable_by_key(Known::attempt);
    let mut rest = taken.as_slice();
    while !rest.is_empty() {
        // What is known of one part stays together.
        let last = rest[RUN_AT_END.min(rest.len()) - 1].attempt().part();
        let (run, behind) = rest.split_at(rest.partition_point(|known| known.attempt().part() <= last));
        let edge = behind.first().map_or(edge, |next| next.attempt().part());
        super::in_transaction(connection, || spill.add(connection, run.to_vec(), edge))?;
        rest = behind;
    }
    Ok(())
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
