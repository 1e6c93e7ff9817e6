//! Which messages go to a number, in memory: read slice by slice while receipts ask for it, 8 octets a message. It is
//! only needed as long as ids say nothing of whose a receipt is.

use crate::journal::error::JournalError;
use crate::journal::matcher::id_index::LAST_DIGITS;
use crate::journal::matcher::rules::{PARTS_MAX, REFERENCES};
use crate::message::address::Destination;
use hashbrown::{HashMap, HashSet};
use rusqlite::Connection;

/// So many messages are read in one transaction, in a few milliseconds.
pub const ROWS_PER_COMMIT: i64 = 20_000;
/// No more messages than these are kept, 64 MB: beyond, every number counts as one that others have, too.
const ROWS_MAX: usize = 8_000_000;
/// Slices are merged up to so many messages, in some 20 ms.
const MERGED_MAX: usize = 2_000_000;
/// What was found out is kept of so many numbers.
const KNOWN_MAX: usize = 100_000;

/// The messages of some campaigns by their numbers.
#[derive(Debug, Default)]
pub struct Table {
    slices: Vec<Slice>,
    rows: usize,
    /// First messages of the campaigns that were read.
    read: HashSet<i64>,
    /// Ranges of messages that are still to be read.
    wanted: Vec<(i64, i64, i64)>,
    /// First messages of the campaigns that they belong to.
    listed: HashSet<i64>,
    known: HashMap<u64, Known>,
}

#[derive(Debug)]
struct Slice {
    first: i64,
    /// Sorted: hash of the number, distance from `first`.
    entries: Vec<(u32, u32)>,
}

/// What was found out of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// Messages to it that were taken and await their receipts.
    pub rivals: [Option<i64>; 2],
}

impl Slice {
    /// Both in one; `None`: they are too far apart.
    fn merged(a: &Self, b: &Self) -> Option<Self> {
        let first = a.first.min(b.first);
        let rebased = |slice: &Self| u32::try_from(slice.first - first).ok();
        let (a_further, b_further) = (rebased(a)?, rebased(b)?);
        let last = |slice: &Self| slice.entries.iter().map(|entry| entry.1).max().unwrap_or(0);
        last(a).checked_add(a_further)?;
        last(b).checked_add(b_further)?;
        let mut entries = Vec::with_capacity(a.entries.len() + b.entries.len());
        let mut left = a.entries.iter().map(|&(hash, distance)| (hash, distance + a_further)).peekable();
        let mut right = b.entries.iter().map(|&(hash, distance)| (hash, distance + b_further)).peekable();
        while let Some(next) = match (left.peek(), right.peek()) {
            (Some(l), Some(r)) if r < l => right.next(),
            (Some(_), _) => left.next(),
            (None, _) => right.next(),
        } {
            entries.push(next);
        }
        Some(Self { first, entries })
    }
}

/// Of a number's last digits: it may be written with its country or without.
fn hash(key: u64) -> u32 {
    ((key % LAST_DIGITS).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as u32
}

impl Table {
    /// Whether the messages of a campaign are there; if not, they are going to be.
    pub fn has(&mut self, first: i64, end: i64) -> bool {
        if self.read.contains(&first) {
            return true;
        }
        if self.listed.insert(first) {
            self.wanted.push((first, first, end));
        }
        false
    }

    /// Whether the messages of so many campaigns are there.
    pub fn has_all_of(&self, campaigns: usize) -> bool {
        self.read.len() >= campaigns
    }

    /// Whether something is to be read.
    pub fn is_reading(&self) -> bool {
        !self.wanted.is_empty()
    }

    /// Whether there are more messages than are kept.
    pub fn is_full(&self) -> bool {
        self.rows >= ROWS_MAX
    }

    /// Reads a slice of what is wanted, of so many messages at most. Returns how many there were.
    pub fn read_on(&mut self, connection: &Connection, limit: i64) -> Result<i64, JournalError> {
        let Some((campaign, from, end)) = self.wanted.pop() else { return Ok(0) };
        let mut statement = connection
            .prepare_cached("SELECT id, destination FROM message WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT ?3")?;
        let mut rows = statement.query((from, end, limit))?;
        let mut slice = Slice { first: from, entries: Vec::new() };
        let (mut next, mut count) = (from, 0);
        while let Some(row) = rows.next()? {
            let id: i64 = row.get(0)?;
            let number = row.get_ref(1)?.as_str().ok().and_then(|digits| Destination::parse(digits).ok());
            if let (Some(number), Ok(distance)) = (number, u32::try_from(id - from)) {
                slice.entries.push((hash(number.key()), distance));
            }
            (next, count) = (id + 1, count + 1);
        }
        if count < limit || self.is_full() {
            self.read.insert(campaign);
            self.listed.remove(&campaign);
        } else {
            self.wanted.push((campaign, next, end));
        }
        self.rows += slice.entries.len();
        slice.entries.sort_unstable();
        slice.entries.shrink_to_fit();
        self.slices.push(slice);
        self.merge();
        Ok(count)
    }

    /// Merges the last slices while they are about as large as each other: there are never more than a few to look into.
    fn merge(&mut self) {
        while let [.., a, b] = &self.slices[..]
            && a.entries.len() < 2 * b.entries.len()
            && a.entries.len() + b.entries.len() <= MERGED_MAX
            && let Some(merged) = Slice::merged(a, b)
        {
            self.slices.truncate(self.slices.len() - 2);
            self.slices.push(merged);
        }
    }

    /// Messages that may be to this number: others can end alike, or have the same hash.
    pub fn perhaps_to(&self, number: u64) -> impl Iterator<Item = i64> + '_ {
        let wanted = hash(number);
        self.slices.iter().flat_map(move |slice| {
            let from = slice.entries.partition_point(|entry| entry.0 < wanted);
            let found = slice.entries[from..].iter().take_while(move |entry| entry.0 == wanted);
            found.map(|entry| slice.first + i64::from(entry.1))
        })
    }

    /// Parts that end in this reference of messages that may be to this number; they are not more than one in each 65,536,
    /// however many messages go there.
    pub fn perhaps_referred(&self, number: u64, reference: i64) -> impl Iterator<Item = i64> + '_ {
        let wanted = hash(number);
        self.slices.iter().flat_map(move |slice| {
            let mut from = slice.entries.partition_point(|entry| entry.0 < wanted);
            std::iter::from_fn(move || {
                loop {
                    let (_, distance) = *slice.entries.get(from).filter(|entry| entry.0 == wanted)?;
                    let message = slice.first + i64::from(distance);
                    let further = (reference - message).rem_euclid(REFERENCES);
                    let is_its = further < PARTS_MAX;
                    // On to the next message that such a part can belong to.
                    let next = message + further + 1 + if is_its { REFERENCES - PARTS_MAX } else { -PARTS_MAX };
                    let next = u32::try_from(next - slice.first).unwrap_or(u32::MAX);
                    let rest = &slice.entries[from..];
                    from += rest.partition_point(|entry| *entry < (wanted, next)).max(1);
                    if is_its {
                        return Some(message + further);
                    }
                }
            })
        })
    }

    /// What was found out of a number, if nothing of it was taken since.
    pub fn known(&self, number: u64) -> Option<Known> {
        self.known.get(&number).copied()
    }

    /// Keeps what was found out of a number.
    pub fn note(&mut self, number: u64, known: Known) {
        if self.known.len() >= KNOWN_MAX {
            self.known.clear();
        }
        self.known.insert(number, known);
    }

    /// A message to this number was taken, or is awaited no more.
    pub fn forget(&mut self, number: u64) {
        if !self.known.is_empty() {
            self.known.remove(&number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_with_a_reference_are_found_among_all_messages_to_one_number() {
        let key = Destination::parse("447700900001").unwrap().key();
        let mut random = fastrand::Rng::with_seed(7);
        for first in [1, 70_000, 1_000_000] {
            let mut entries: Vec<(u32, u32)> = (0..20_000).map(|_| (hash(key), random.u32(..400_000))).collect();
            entries.extend((0..20_000).map(|_| (random.u32(..), random.u32(..400_000))));
            entries.extend((0..1_000).map(|n| (hash(key), 200_000 + n)));
            entries.sort_unstable();
            entries.dedup();
            let table = Table { slices: vec![Slice { first, entries }], ..Table::default() };
            for reference in [0, 1, 255, 256, 65_535, random.i64(..REFERENCES)] {
                let mut found: Vec<i64> = table.perhaps_referred(key, reference).collect();
                let referred = table.perhaps_to(key).filter_map(|message| {
                    let further = (reference - message).rem_euclid(REFERENCES);
                    (further < PARTS_MAX).then_some(message + further)
                });
                let mut expected: Vec<i64> = referred.collect();
                assert!(found.len() <= 8, "{}", found.len());
                found.sort_unstable();
                found.dedup();
                expected.sort_unstable();
                expected.dedup();
                assert_eq!(found, expected, "{first} {reference}");
            }
        }
    }

    #[test]
    fn f24_messages_are_found_by_their_number_in_slices() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE message (id INTEGER PRIMARY KEY, destination TEXT)").unwrap();
        let count = ROWS_PER_COMMIT * 2 + 10;
        connection
            .execute(
                "INSERT INTO message WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
                 SELECT i, 491700000000 + i / 3 FROM n",
                [count],
            )
            .unwrap();
        let mut table = Table::default();
        assert!(!table.has(1, count + 1));
        let mut slices = 0;
        while table.is_reading() {
            table.read_on(&connection, ROWS_PER_COMMIT).unwrap();
            slices += 1;
        }
        assert_eq!((slices, table.slices.len()), (3, 2));
        assert!(table.has(1, count + 1));
        for n in [1, 5_000, 13_333] {
            let key = Destination::parse(&(491_700_000_000 + n).to_string()).unwrap().key();
            let found: Vec<i64> = table.perhaps_to(key).collect();
            for id in [3 * n, 3 * n + 1, 3 * n + 2] {
                assert!(found.contains(&id), "{n} {found:?}");
            }
            assert!(found.len() <= 4, "{found:?}");
        }
    }
}
