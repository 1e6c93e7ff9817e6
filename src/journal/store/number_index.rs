//! The look-up by number: which messages there are to a number, without an index that each insert would have to touch at
//! a random place.
//!
//! A run holds the messages of a range of ids, sorted by a keyed hash of their numbers: an import sorts some hundred
//! thousand messages in memory and appends them ([`upkeep`]), and small runs are merged later. A run holds no number, and
//! what it says is only a hint: each hit is held against the message itself, so that a message that is gone, or whose
//! number was taken out, is not found however old the run is. Ids that no run covers (those of a journal that an older
//! version made) are found by reading their messages, until an import has sorted them, too.

pub mod upkeep;

use crate::journal::error::JournalError;
use crate::journal::handle::Sql;
use crate::message::address::Destination;
use rusqlite::{Connection, OptionalExtension};
use siphasher::sip::SipHasher13;
use std::hash::Hasher;
use std::ops::{ControlFlow, Range};

/// An entry is a hash of so many bits, followed by how far its message is from the first of the run.
const HASH_BITS: u32 = 64 - OFFSET_BITS;
const OFFSET_BITS: u32 = 24;
/// Ids that a run can span.
const SPAN_MAX: i64 = 1 << OFFSET_BITS;
/// Entries of a chunk. With 8 octets each, the chunk fits in a page of 4 KiB.
const CHUNK_ENTRIES: usize = 500;
/// A chunk's id is its run's number, shifted by so much, and its place in the run.
const CHUNK_BITS: u32 = 24;
/// A sorted chunk is most likely so near to where its hash lets it be expected.
const NEAR_CHUNKS: i64 = 4;
/// Hits of one question that are held in memory (16 octets each) before they are looked at.
const HITS_MAX: usize = 1 << 20;
const _: () = assert!(SPAN_MAX / (CHUNK_ENTRIES as i64) < 1 << CHUNK_BITS);

/// Whether to go on with what was found.
pub type Flow = Result<ControlFlow<()>, JournalError>;

/// The key of the hashes, in the notes of the journal.
const KEY: &str = "number_key";

/// A run, by what its row says.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Run {
    number: i64,
    first_id: i64,
    end_id: i64,
    entries: i64,
}

impl Run {
    fn chunks(&self) -> i64 {
        (self.entries as u64).div_ceil(CHUNK_ENTRIES as u64) as i64
    }

    fn chunk_id(&self, n: i64) -> i64 {
        (self.number << CHUNK_BITS) + n
    }

    fn overlaps(&self, range: &Range<i64>) -> bool {
        self.first_id < range.end && range.start < self.end_id
    }
}

/// Hashes numbers as this journal does.
#[derive(Clone, Copy, Debug)]
struct Hashing(u64, u64);

impl Hashing {
    /// By the key that the journal has; `None`: it has none yet.
    fn load(connection: &Connection) -> Result<Option<Self>, JournalError> {
        let Some(key) = crate::journal::store::notes::note(connection, KEY)? else { return Ok(None) };
        let half = |range| key.get(range).and_then(|digits| u64::from_str_radix(digits, 16).ok());
        match (half(0..16), half(16..32)) {
            (Some(first), Some(second)) => Ok(Some(Self(first, second))),
            _ => Err(JournalError::Inconsistent("the key of its look-up by number cannot be read".into())),
        }
    }

    /// As [`load`](Self::load); gives the journal a key where it has none.
    fn load_or_make(connection: &Connection) -> Result<Self, JournalError> {
        let fresh = format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
        connection.execute("INSERT OR IGNORE INTO meta (key, value) VALUES (?1, ?2)", (KEY, fresh))?;
        Ok(Self::load(connection)?.unwrap_or(Self(0, 0)))
    }

    fn hash(self, number: u64) -> u64 {
        let mut hasher = SipHasher13::new_with_keys(self.0, self.1);
        hasher.write(&number.to_le_bytes());
        hasher.finish() >> OFFSET_BITS
    }
}

/// The [`same_key`](Destination::same_key) of a number as the journal has it; 0: it is none, or was taken out.
pub fn key_of(digits: &str) -> u64 {
    Destination::parse(digits).map_or(0, |number| number.same_key())
}

/// The look-up, as the journal has it at this moment: to be loaded and used in one transaction, or under the import lock.
#[derive(Clone, Debug)]
pub struct Numbers {
    hashing: Hashing,
    /// By their ids; no two have one in common.
    runs: Vec<Run>,
    /// Ids of whole campaigns that no run covers.
    gaps: Vec<Range<i64>>,
}

/// A number that is asked for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Asked {
    hash: u64,
    /// Its [`Destination::same_key`].
    pub number: u64,
}

/// A message that may be to a number that was asked for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Hit {
    /// The message's id.
    pub message: i64,
    /// Which of the numbers.
    pub asked: u32,
}

impl Numbers {
    /// Reads which runs there are.
    pub fn load(journal: &dyn Sql) -> Result<Self, JournalError> {
        let connection = journal.connection();
        let hashing = Hashing::load(connection)?.unwrap_or(Hashing(0, 0));
        let runs = runs(connection)?;
        let gaps = gaps(connection, &runs)?;
        Ok(Self { hashing, runs, gaps })
    }

    /// Messages that no run covers: they are found by reading them all.
    pub fn not_covered(&self) -> i64 {
        self.gaps.iter().map(|gap| gap.end - gap.start).sum()
    }

    /// Calls `each` with the id of every message to `number` ([`Destination::same_key`]) among the ids `within`, by their
    /// order, until it says to break. Only whole campaigns are looked at.
    pub fn messages_to(
        &self,
        connection: &Connection,
        number: u64,
        within: &Range<i64>,
        each: &mut dyn FnMut(i64) -> Flow,
    ) -> Result<(), JournalError> {
        let asked = self.sorted([number].into());
        let mut is_to = connection.prepare_cached(
            "SELECT m.destination FROM message m
              WHERE m.id = ?1 AND EXISTS (
                  SELECT 1 FROM (SELECT end_id, imported_at FROM campaign WHERE first_id <= ?1
                                  ORDER BY first_id DESC, end_id DESC LIMIT 1)
                   WHERE ?1 < end_id AND imported_at IS NOT NULL)",
        )?;
        self.hits(connection, &asked, std::slice::from_ref(within), &mut |hits| {
            for hit in hits.iter() {
                let found: Option<String> = is_to.query_row([hit.message], |row| row.get(0)).optional()?;
                if found.is_some_and(|digits| key_of(&digits) == number) && each(hit.message)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            Ok(ControlFlow::Continue(()))
        })
    }

    /// Numbers ([`Destination::same_key`]), each once, in the order in which they are to be asked for.
    pub fn sorted(&self, numbers: Vec<u64>) -> Vec<Asked> {
        let mut asked: Vec<Asked> =
            numbers.into_iter().map(|number| Asked { hash: self.hashing.hash(number), number }).collect();
        asked.sort_unstable();
        asked.dedup();
        asked
    }

    /// Calls `each` with messages that may be to one of the numbers, within the ranges of ids (in their order, apart): many
    /// at a time, those of one call sorted by their ids, until it says to break. Whether they are to that number stands in
    /// `message`.
    pub fn hits(
        &self,
        connection: &Connection,
        asked: &[Asked],
        within: &[Range<i64>],
        each: &mut dyn FnMut(&mut Vec<Hit>) -> Flow,
    ) -> Result<(), JournalError> {
        let mut hits = Hits { within, found: Vec::new(), each };
        let (mut runs, mut gaps) = (self.runs.iter().peekable(), self.gaps.iter().peekable());
        loop {
            let flow = match (runs.peek(), gaps.peek()) {
                (None, None) => break,
                (Some(run), gap) if gap.is_none_or(|gap| run.first_id < gap.start) => {
                    let run = *run;
                    runs.next();
                    match within.iter().any(|range| run.overlaps(range)) {
                        true => search(connection, run, asked, &mut hits)?,
                        false => continue,
                    }
                }
                (_, Some(gap)) => {
                    let gap = *gap;
                    gaps.next();
                    self.read(connection, gap, asked, &mut hits)?
                }
                (Some(_), None) => break,
            };
            if flow.is_break() || hits.flush()?.is_break() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Reads all messages of a range that no run covers.
    fn read(&self, connection: &Connection, gap: &Range<i64>, asked: &[Asked], hits: &mut Hits<'_>) -> Flow {
        let mut statement =
            connection.prepare_cached("SELECT id, destination FROM message WHERE id >= ?1 AND id < ?2 ORDER BY id")?;
        for range in hits.within {
            let mut rows = statement.query((gap.start.max(range.start), gap.end.min(range.end)))?;
            while let Some(row) = rows.next()? {
                let number = key_of(row.get_ref(1)?.as_str().unwrap_or_default());
                let sought = Asked { hash: self.hashing.hash(number), number };
                if let Ok(n) = asked.binary_search(&sought)
                    && hits.add(row.get(0)?, n)?.is_break()
                {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}

/// What was found and not looked at yet.
struct Hits<'h> {
    within: &'h [Range<i64>],
    found: Vec<Hit>,
    each: &'h mut dyn FnMut(&mut Vec<Hit>) -> Flow,
}

impl Hits<'_> {
    fn add(&mut self, message: i64, asked: usize) -> Flow {
        let after = self.within.partition_point(|range| range.end <= message);
        if self.within.get(after).is_none_or(|range| message < range.start) {
            return Ok(ControlFlow::Continue(()));
        }
        self.found.push(Hit { message, asked: asked as u32 });
        if self.found.len() >= HITS_MAX { self.flush() } else { Ok(ControlFlow::Continue(())) }
    }

    fn flush(&mut self) -> Flow {
        if self.found.is_empty() {
            return Ok(ControlFlow::Continue(()));
        }
        self.found.sort_unstable();
        let flow = (self.each)(&mut self.found)?;
        self.found.clear();
        Ok(flow)
    }
}

/// Looks for numbers in a run.
fn search(connection: &Connection, run: &Run, asked: &[Asked], hits: &mut Hits<'_>) -> Flow {
    let mut cursor = Cursor { connection, run, chunk: -1, entries: Vec::new(), at: 0 };
    for (n, sought) in asked.iter().enumerate() {
        // Different numbers of one hash: the first of them has looked for all.
        if n > 0 && asked[n - 1].hash == sought.hash {
            continue;
        }
        cursor.seek(sought.hash)?;
        while let Some(entry) = cursor.entry().filter(|entry| entry >> OFFSET_BITS == sought.hash) {
            let message = run.first_id + (entry & (SPAN_MAX as u64 - 1)) as i64;
            let alike = asked[n..].iter().take_while(|other| other.hash == sought.hash).count();
            for other in n..n + alike {
                if hits.add(message, other)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            cursor.step()?;
        }
        if cursor.is_at_end() {
            break;
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// A place in a run. It only goes forward.
struct Cursor<'c> {
    connection: &'c Connection,
    run: &'c Run,
    /// Which chunk is in `entries`; -1: none yet.
    chunk: i64,
    entries: Vec<u64>,
    at: usize,
}

impl Cursor<'_> {
    fn entry(&self) -> Option<u64> {
        self.entries.get(self.at).copied()
    }

    fn is_at_end(&self) -> bool {
        self.chunk >= self.run.chunks()
    }

    fn step(&mut self) -> Result<(), JournalError> {
        self.at += 1;
        if self.at == self.entries.len() { self.load(self.chunk + 1) } else { Ok(()) }
    }

    /// Goes to the first entry from here on whose hash is not below this one.
    fn seek(&mut self, hash: u64) -> Result<(), JournalError> {
        if !self.reaches(hash) && !self.is_at_end() {
            // As a rule many numbers are asked for, and the next chunk is the one.
            self.load(self.chunk + 1)?;
            if !self.reaches(hash) {
                self.leap(hash)?;
            }
        }
        let rest = self.entries.get(self.at..).unwrap_or_default();
        self.at += rest.partition_point(|entry| entry >> OFFSET_BITS < hash);
        Ok(())
    }

    /// Whether the chunk at hand ends with this hash or a later one.
    fn reaches(&self, hash: u64) -> bool {
        self.entries.last().is_some_and(|last| last >> OFFSET_BITS >= hash)
    }

    /// Goes to the first later chunk that ends with this hash or a later one.
    fn leap(&mut self, hash: u64) -> Result<(), JournalError> {
        let chunks = self.run.chunks();
        let expected = ((u128::from(hash) * chunks as u128) >> HASH_BITS) as i64;
        let chunk = first_chunk(self.chunk + 1..chunks, expected, |n| {
            self.load(n)?;
            Ok(self.reaches(hash))
        })?;
        if self.chunk == chunk { Ok(()) } else { self.load(chunk) }
    }

    fn load(&mut self, chunk: i64) -> Result<(), JournalError> {
        (self.chunk, self.at) = (chunk, 0);
        self.entries.clear();
        if self.is_at_end() {
            return Ok(());
        }
        let mut statement = self.connection.prepare_cached("SELECT entries FROM number_chunk WHERE id = ?1")?;
        let entries = &mut self.entries;
        let found = statement
            .query_row([self.run.chunk_id(chunk)], |row| {
                unpack(row.get_ref(0)?.as_blob().unwrap_or_default(), entries);
                Ok(())
            })
            .optional()?;
        match found {
            Some(()) if !self.entries.is_empty() => Ok(()),
            _ => Err(JournalError::Inconsistent(format!(
                "chunk {chunk} of run {} of the look-up by number is not there",
                self.run.number
            ))),
        }
    }
}

/// The first of the sorted chunks of a range that `reaches` what is sought; the range's end: none does. Hashes are spread
/// evenly, unless one occurs very often, so that the chunk is as a rule near to where it is `expected`.
pub(in crate::journal) fn first_chunk(
    chunks: Range<i64>,
    expected: i64,
    mut reaches: impl FnMut(i64) -> Result<bool, JournalError>,
) -> Result<i64, JournalError> {
    let (mut low, mut high) = (chunks.start, chunks.end);
    let mut guesses = [expected + NEAR_CHUNKS, expected - NEAR_CHUNKS].into_iter();
    while low < high {
        let guess = guesses.next().filter(|guess| (low..high).contains(guess));
        let middle = guess.unwrap_or(low + (high - low) / 2);
        match reaches(middle)? {
            true => high = middle,
            false => low = middle + 1,
        }
    }
    Ok(low)
}

fn unpack(octets: &[u8], entries: &mut Vec<u64>) {
    entries.extend(octets.as_chunks().0.iter().map(|octets| u64::from_le_bytes(*octets)));
}

fn runs(connection: &Connection) -> Result<Vec<Run>, JournalError> {
    let mut statement =
        connection.prepare_cached("SELECT run, first_id, end_id, entries FROM number_run ORDER BY first_id, end_id")?;
    let runs = statement.query_map([], |row| {
        Ok(Run { number: row.get(0)?, first_id: row.get(1)?, end_id: row.get(2)?, entries: row.get(3)? })
    })?;
    Ok(runs.collect::<Result<_, _>>()?)
}

/// Ids of whole campaigns that none of the runs covers.
fn gaps(connection: &Connection, runs: &[Run]) -> Result<Vec<Range<i64>>, JournalError> {
    let mut statement = connection.prepare_cached(
        "SELECT first_id, end_id FROM campaign WHERE imported_at IS NOT NULL AND first_id < end_id ORDER BY first_id",
    )?;
    let mut rows = statement.query([])?;
    let mut gaps: Vec<Range<i64>> = Vec::new();
    let mut add = |gap: Range<i64>| match gaps.last_mut() {
        Some(last) if last.end == gap.start => last.end = gap.end,
        _ => gaps.push(gap),
    };
    let mut runs = runs.iter().peekable();
    while let Some(row) = rows.next()? {
        let (mut from, end): (i64, i64) = (row.get(0)?, row.get(1)?);
        while from < end {
            while runs.next_if(|run| run.end_id <= from).is_some() {}
            match runs.peek() {
                Some(run) if run.first_id <= from => from = run.end_id,
                Some(run) if run.first_id < end => {
                    add(from..run.first_id);
                    from = run.end_id;
                }
                _ => {
                    add(from..end);
                    from = end;
                }
            }
        }
    }
    Ok(gaps)
}

#[cfg(test)]
mod tests;
