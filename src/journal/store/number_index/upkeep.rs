//! How runs of the look-up by number come to be, are merged, and go. All of it under the import lock, in transactions that
//! are bounded; a chunk whose run has no row is nothing, and is swept away.

use super::{CHUNK_BITS, CHUNK_ENTRIES, Hashing, OFFSET_BITS, Run, SPAN_MAX, gaps, key_of, runs, unpack};
use crate::journal::error::JournalError;
use crate::journal::handle::Sql;
use crate::journal::store::notes::in_transaction;
use rusqlite::{Connection, OptionalExtension};
use std::ops::Range;
use std::time::Duration;

/// Messages of a run as an import writes it: sorted in memory, 8 octets each.
const RUN_ENTRIES: usize = 1 << 20;
/// Ids after which it is written in any case, before the next rows come: no chunk of them spans as many again.
const RUN_SPAN: i64 = SPAN_MAX / 2;
/// A run of so many messages is not merged any more.
const FULL_ENTRIES: i64 = 1 << 18;
/// So many runs become one, as soon as that at least doubles the largest of them.
const MERGED_RUNS: usize = 8;
/// Chunks (of a page each) written or deleted in one transaction.
const CHUNKS_PER_COMMIT: usize = 1_024;
/// Messages without a run that are read and sorted at a time.
const CAUGHT_UP_AT_ONCE: i64 = 1 << 18;
/// Messages without a run that one import catches up with: a few seconds of work.
const CAUGHT_UP_MAX: i64 = 1 << 22;
/// Between two transactions a sender finds its turn.
const PAUSE: Duration = Duration::from_millis(1);

/// Messages that are to become a run.
#[derive(Debug)]
pub struct Indexer {
    hashing: Hashing,
    first_id: i64,
    end_id: i64,
    entries: Vec<u64>,
    is_sorted: bool,
}

impl Indexer {
    /// No messages yet, of which the first will have this id. Gives the journal the key of its hashes, where it has none.
    pub fn new(connection: &Connection, first_id: i64) -> Result<Self, JournalError> {
        Ok(Self::with(Hashing::load_or_make(connection)?, first_id))
    }

    fn with(hashing: Hashing, first_id: i64) -> Self {
        Self { hashing, first_id, end_id: first_id, entries: Vec::new(), is_sorted: false }
    }

    /// Adds a message of so many parts to a number ([`same_key`](crate::message::address::Destination::same_key)). Messages come in
    /// the order of their ids.
    pub fn add(&mut self, message: i64, parts: u8, number: u64) {
        let offset = (message - self.first_id) as u64;
        self.entries.push(self.hashing.hash(number) << OFFSET_BITS | offset);
        self.end_id = message + i64::from(parts);
        self.is_sorted = false;
    }

    /// Whether another message may be added at all.
    pub fn has_room(&self) -> bool {
        self.end_id - self.first_id < SPAN_MAX
    }

    /// Whether the messages are enough for a run.
    pub fn is_full(&self) -> bool {
        self.entries.len() >= RUN_ENTRIES || self.end_id - self.first_id >= RUN_SPAN
    }

    /// Sorts the messages: best done before the transaction in which they are written.
    pub fn sort(&mut self) {
        self.entries.sort_unstable();
        self.is_sorted = true;
    }

    /// Writes the messages as a run, in the caller's transaction, and begins anew behind them.
    pub fn write(&mut self, connection: &Connection) -> Result<(), JournalError> {
        if !self.entries.is_empty() {
            if !self.is_sorted {
                self.sort();
            }
            let number = next_run(connection)?;
            let entries = self.entries.len() as i64;
            let run = Run { number, first_id: self.first_id, end_id: self.end_id, entries };
            write_chunks(connection, &run, 0, &self.entries)?;
            write_row(connection, &run)?;
        }
        self.first_id = self.end_id;
        self.entries.clear();
        Ok(())
    }
}

/// Deletes the runs of all messages from this one on: those of an import that is undone.
pub fn forget_from(connection: &Connection, first: i64) -> Result<(), JournalError> {
    let forgotten =
        in_transaction(connection, || Ok(connection.execute("DELETE FROM number_run WHERE first_id >= ?1", [first])?))?;
    if forgotten > 0 { sweep(connection) } else { Ok(()) }
}

/// Takes all messages of a range of ids out of the runs, in the place where they stand: what is purged leaves nothing there
/// by which its number could be guessed. It may be cut short anywhere and be done again.
pub fn forget(journal: &dyn Sql, range: &Range<i64>) -> Result<(), JournalError> {
    let connection = journal.connection();
    for run in runs(connection)?.iter().filter(|run| run.overlaps(range)) {
        if range.start <= run.first_id && run.end_id <= range.end {
            in_transaction(connection, || {
                Ok(connection.execute("DELETE FROM number_run WHERE run = ?1", [run.number])?)
            })?;
        } else {
            let mut kept = read_all(connection, run)?;
            kept.retain(|entry| !range.contains(&message_of(run, *entry)));
            replace(connection, std::slice::from_ref(run), run.first_id..run.end_id, &kept)?;
        }
    }
    sweep(connection)
}

/// What is left to do once an import is whole: merges small runs, makes runs of messages that have none, sweeps away what
/// was left behind. Bounded by what the import itself was, and by `CAUGHT_UP_MAX`.
pub fn tidy(connection: &Connection) -> Result<(), JournalError> {
    sweep(connection)?;
    catch_up(connection, CAUGHT_UP_MAX)?;
    while let Some(small) = to_merge(&runs(connection)?) {
        merge(connection, &small)?;
        sweep(connection)?;
    }
    Ok(())
}

/// Makes runs of up to `messages_max` messages that have none, the newest first.
pub fn catch_up(journal: &dyn Sql, mut messages_max: i64) -> Result<(), JournalError> {
    let connection = journal.connection();
    let gaps = gaps(connection, &runs(connection)?)?;
    let hashing = in_transaction(connection, || Hashing::load_or_make(connection))?;
    for gap in gaps.into_iter().rev() {
        let mut end = gap.end;
        while gap.start < end && messages_max > 0 {
            let first = boundary(connection, gap.start.max(end - CAUGHT_UP_AT_ONCE))?.max(gap.start);
            let mut indexer = read_messages(connection, hashing, first, end)?;
            messages_max -= (indexer.entries.len() as i64).max(1);
            indexer.sort();
            // Also where there is nothing to write, so that the ids are known to be covered.
            indexer.end_id = end;
            in_transaction(connection, || match indexer.entries.is_empty() {
                true => write_row(
                    connection,
                    &Run { number: next_run(connection)?, first_id: first, end_id: end, entries: 0 },
                ),
                false => indexer.write(connection),
            })?;
            end = first;
            std::thread::sleep(PAUSE);
        }
    }
    Ok(())
}

/// The first id of the message that has this id or, being one of several parts, includes it.
fn boundary(connection: &Connection, id: i64) -> Result<i64, JournalError> {
    let mut statement = connection.prepare_cached("SELECT id FROM message WHERE id <= ?1 ORDER BY id DESC LIMIT 1")?;
    Ok(statement.query_row([id], |row| row.get(0)).optional()?.unwrap_or(id))
}

fn read_messages(connection: &Connection, hashing: Hashing, first: i64, end: i64) -> Result<Indexer, JournalError> {
    let mut indexer = Indexer::with(hashing, first);
    let mut statement = connection
        .prepare_cached("SELECT id, parts, destination FROM message WHERE id >= ?1 AND id < ?2 ORDER BY id")?;
    let mut rows = statement.query([first, end])?;
    while let Some(row) = rows.next()? {
        indexer.add(row.get(0)?, row.get(1)?, key_of(row.get_ref(2)?.as_str().unwrap_or_default()));
    }
    Ok(indexer)
}

/// Runs, one behind the other without a gap, that are worth becoming one.
fn to_merge(runs: &[Run]) -> Option<Vec<Run>> {
    let windows = runs.windows(MERGED_RUNS).filter(|window| {
        let is_one_range = window.windows(2).all(|pair| pair[0].end_id == pair[1].first_id);
        let (mut total, mut largest) = (0, 0);
        for run in *window {
            total += run.entries;
            largest = largest.max(run.entries);
        }
        let span = window.last().map_or(0, |run| run.end_id) - window[0].first_id;
        is_one_range && largest < FULL_ENTRIES && total >= 2 * largest && span <= SPAN_MAX
    });
    windows.min_by_key(|window| window.iter().map(|run| run.entries).sum::<i64>()).map(<[Run]>::to_vec)
}

fn merge(connection: &Connection, small: &[Run]) -> Result<(), JournalError> {
    let range = small[0].first_id..small.last().map_or(0, |run| run.end_id);
    let mut entries = Vec::new();
    for run in small {
        let moved = (run.first_id - range.start) as u64;
        entries.extend(read_all(connection, run)?.into_iter().map(|entry| entry + moved));
    }
    // Merges what is sorted in pieces.
    entries.sort();
    replace(connection, small, range, &entries)
}

/// Writes a run with these entries, in steps, and then puts it in the place of others.
fn replace(connection: &Connection, old: &[Run], range: Range<i64>, entries: &[u64]) -> Result<(), JournalError> {
    let number = next_run(connection)?;
    let run = Run { number, first_id: range.start, end_id: range.end, entries: entries.len() as i64 };
    for (n, some) in entries.chunks(CHUNKS_PER_COMMIT * CHUNK_ENTRIES).enumerate() {
        in_transaction(connection, || write_chunks(connection, &run, n * CHUNKS_PER_COMMIT, some))?;
        std::thread::sleep(PAUSE);
    }
    in_transaction(connection, || {
        for run in old {
            connection.prepare_cached("DELETE FROM number_run WHERE run = ?1")?.execute([run.number])?;
        }
        write_row(connection, &run)
    })
}

/// Deletes chunks that belong to no run.
pub fn sweep(connection: &Connection) -> Result<(), JournalError> {
    let known: Vec<i64> = runs(connection)?.into_iter().map(|run| run.number).collect();
    let mut next =
        connection.prepare_cached("SELECT id >> ?2 FROM number_chunk WHERE id >= ?1 << ?2 ORDER BY id LIMIT 1")?;
    let mut from = 0;
    while let Some(run) = next.query_row((from, CHUNK_BITS), |row| row.get::<_, i64>(0)).optional()? {
        from = run + 1;
        if !known.contains(&run) {
            sweep_run(connection, run)?;
        }
    }
    Ok(())
}

fn sweep_run(connection: &Connection, run: i64) -> Result<(), JournalError> {
    let some = "DELETE FROM number_chunk WHERE id IN
                (SELECT id FROM number_chunk WHERE id >= ?1 AND id < ?2 LIMIT ?3)";
    let range = (run << CHUNK_BITS, (run + 1) << CHUNK_BITS, CHUNKS_PER_COMMIT as i64);
    while in_transaction(connection, || Ok(connection.prepare_cached(some)?.execute(range)?))? > 0 {
        std::thread::sleep(PAUSE);
    }
    Ok(())
}

fn read_all(connection: &Connection, run: &Run) -> Result<Vec<u64>, JournalError> {
    let mut entries = Vec::with_capacity(run.entries as usize);
    let mut statement =
        connection.prepare_cached("SELECT entries FROM number_chunk WHERE id >= ?1 AND id < ?2 ORDER BY id")?;
    let mut rows = statement.query((run.chunk_id(0), run.chunk_id(run.chunks())))?;
    while let Some(row) = rows.next()? {
        unpack(row.get_ref(0)?.as_blob().unwrap_or_default(), &mut entries);
    }
    Ok(entries)
}

fn message_of(run: &Run, entry: u64) -> i64 {
    run.first_id + (entry & (SPAN_MAX as u64 - 1)) as i64
}

/// A number that no run has, nor what is left of one.
fn next_run(connection: &Connection) -> Result<i64, JournalError> {
    let mut statement = connection.prepare_cached(
        "SELECT max(coalesce((SELECT max(run) FROM number_run), 0),
                    coalesce((SELECT max(id) >> ?1 FROM number_chunk), 0)) + 1",
    )?;
    Ok(statement.query_row([CHUNK_BITS], |row| row.get(0))?)
}

/// Writes entries as the chunks of a run from `first` on.
fn write_chunks(connection: &Connection, run: &Run, first: usize, entries: &[u64]) -> Result<(), JournalError> {
    let mut statement = connection.prepare_cached("INSERT INTO number_chunk (id, entries) VALUES (?1, ?2)")?;
    let mut octets = Vec::with_capacity(CHUNK_ENTRIES * 8);
    for (n, chunk) in entries.chunks(CHUNK_ENTRIES).enumerate() {
        octets.clear();
        octets.extend(chunk.iter().flat_map(|entry| entry.to_le_bytes()));
        statement.execute((run.chunk_id((first + n) as i64), &octets))?;
    }
    Ok(())
}

fn write_row(connection: &Connection, run: &Run) -> Result<(), JournalError> {
    connection
        .prepare_cached("INSERT INTO number_run (run, first_id, end_id, entries) VALUES (?1, ?2, ?3, ?4)")?
        .execute((run.number, run.first_id, run.end_id, run.entries))?;
    Ok(())
}
