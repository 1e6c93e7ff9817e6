//! Message ids beyond what memory holds: sorted runs in the journal.
//!
//! One edge divides all ids: those of parts before it are here, those of later ones in memory ([`crate::journal::matcher::id_index`]), but for
//! those that are asleep after a start (module `load`). When memory is full the oldest ids move here, and so do those that
//! an earlier sender left in its memory, as runs sorted by hash and packed into chunks, so that writing is appending, and
//! the edge moves on with them in the same transaction. An id given to a part before the edge (a late answer, a retry) is
//! entered at once, in run 0. A filter in memory for each run (ten bits an id) keeps a look-up from asking runs that cannot
//! know. Nothing is ever taken out: the receipt of a campaign long finished, or repeated, still finds its message.

use crate::journal::error::JournalError;
use crate::journal::matcher::id_index::{IdKey, Known};
use crate::journal::model::key::Attempt;
use crate::journal::store::notes::in_transaction;
use crate::journal::store::number_index::first_chunk;
use rusqlite::{Connection, OptionalExtension};
use std::ops::Range;
use std::time::Duration;

/// Bits of a filter for each id, and how many of them an id sets: one look-up in a hundred asks a run in vain.
const FILTER_BITS: u64 = 10;
const FILTER_PROBES: u64 = 6;
/// Octets of an id in a chunk.
const PACKED: usize = 24;
/// Ids of a chunk, which fits in a page of 4 KiB.
const CHUNK_IDS: usize = 166;
/// A chunk's id is its run's number, shifted by so much, and its place in the run.
const CHUNK_BITS: u32 = 24;
/// The bit of a packed attempt that says that its message was plain.
const PLAIN: u64 = 1 << 63;

/// The runs.
#[derive(Debug, Default)]
pub struct Spill {
    edge: i64,
    runs: Vec<Run>,
    stragglers: bool,
}

/// An id found here.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Spilled {
    /// Of which part.
    pub attempt: Attempt,
    /// In which run; 0: it came later.
    pub run: i64,
    /// Whether its message was plain when it came here.
    pub plain: bool,
}

#[derive(Debug)]
struct Run {
    number: i64,
    filter: Filter,
    /// How many there are in chunks; 0: they are rows.
    ids: u64,
}

impl Run {
    fn chunks(&self) -> i64 {
        self.ids.div_ceil(CHUNK_IDS as u64) as i64
    }
}

/// An id as a chunk has it.
struct Packed<'o>(&'o [u8; PACKED]);

impl Packed<'_> {
    fn word(&self, from: usize) -> u64 {
        self.0[from..].first_chunk().map_or(0, |octets| u64::from_le_bytes(*octets))
    }

    fn hash(&self) -> u64 {
        self.word(0)
    }

    fn attempt(&self) -> Attempt {
        Attempt((self.word(8) & !PLAIN) as i64)
    }

    fn is_plain(&self) -> bool {
        self.word(8) & PLAIN != 0
    }

    fn known(&self) -> Known {
        let (exact, tag) = (self.word(16) & u64::from(u32::MAX), (self.word(16) >> 32) as u32);
        Known::spilled(IdKey { exact, folded: self.hash() }, self.attempt(), self.is_plain(), tag)
    }

    fn write(known: &Known, octets: &mut Vec<u8>) {
        let attempt = known.attempt().0 as u64 | if known.is_plain() { PLAIN } else { 0 };
        octets.extend(known.folded().to_le_bytes());
        octets.extend(attempt.to_le_bytes());
        octets.extend(known.exact().to_le_bytes());
        octets.extend(known.tag().to_le_bytes());
    }
}

fn packed(octets: &[u8]) -> impl Iterator<Item = Packed<'_>> {
    octets.as_chunks().0.iter().map(Packed)
}

#[derive(Debug)]
struct Filter(Vec<u8>);

impl Filter {
    fn new(ids: usize) -> Self {
        Self(vec![0; (ids as u64 * FILTER_BITS).div_ceil(8).max(8) as usize])
    }

    fn bits(&self, hash: u64) -> impl Iterator<Item = (usize, u8)> + use<> {
        let count = self.0.len() as u64 * 8;
        let step = (hash >> 32) | 1;
        (0..FILTER_PROBES).map(move |n| {
            let bit = hash.wrapping_add(n.wrapping_mul(step)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let bit = ((u128::from(bit) * u128::from(count)) >> 64) as u64;
            ((bit / 8) as usize, 1 << (bit % 8))
        })
    }

    fn add(&mut self, hash: u64) {
        for (octet, bit) in self.bits(hash) {
            self.0[octet] |= bit;
        }
    }

    fn may_hold(&self, hash: u64) -> bool {
        self.bits(hash).all(|(octet, bit)| self.0[octet] & bit != 0)
    }
}

impl Spill {
    /// Reads the edge and the filters.
    pub fn load(connection: &Connection) -> Result<Self, JournalError> {
        let edge: Option<String> = connection
            .query_row("SELECT value FROM meta WHERE key = 'ids_spilled_before'", [], |row| row.get(0))
            .optional()?;
        let edge = edge.and_then(|edge| edge.parse().ok()).unwrap_or(0);
        let mut statement = connection.prepare("SELECT run, filter, ids FROM spilled_run ORDER BY run")?;
        let runs = statement
            .query_map([], |row| {
                Ok(Run { number: row.get(0)?, filter: Filter(row.get(1)?), ids: row.get::<_, i64>(2)? as u64 })
            })?
            .collect::<Result<_, _>>()?;
        let stragglers =
            connection.query_row("SELECT EXISTS (SELECT 1 FROM spilled_id WHERE run = 0)", [], |row| row.get(0))?;
        Ok(Self { edge, runs, stragglers })
    }

    /// The ids of parts before this one are here.
    pub fn edge(&self) -> i64 {
        self.edge
    }

    /// Whether nothing was spilled yet.
    pub fn is_empty(&self) -> bool {
        self.edge == 0
    }

    /// Enters the ids of all parts before `edge` that are not here yet, by the hashes of their folded forms.
    pub fn add(&mut self, connection: &Connection, mut ids: Vec<Known>, edge: i64) -> Result<(), JournalError> {
        // What came late is here already.
        ids.retain(|known| known.attempt().part() >= self.edge);
        let edge = edge.max(self.edge);
        let number = self.runs.last().map_or(1, |run| run.number + 1);
        let mut run = Run { number, filter: Filter::new(ids.len()), ids: ids.len() as u64 };
        ids.sort_unstable_by_key(|known| (known.folded(), known.attempt()));
        let mut octets = Vec::with_capacity(CHUNK_IDS * PACKED);
        let mut insert = connection.prepare_cached("INSERT INTO spilled_chunk (id, ids) VALUES (?1, ?2)")?;
        for (n, chunk) in ids.chunks(CHUNK_IDS).enumerate() {
            octets.clear();
            for known in chunk {
                run.filter.add(known.folded());
                Packed::write(known, &mut octets);
            }
            insert.execute((chunk_id(number, n as i64), &octets))?;
        }
        connection.prepare_cached("INSERT INTO spilled_run (run, filter, ids) VALUES (?1, ?2, ?3)")?.execute((
            number,
            &run.filter.0,
            run.ids as i64,
        ))?;
        self.runs.push(run);
        connection
            .prepare_cached("INSERT OR REPLACE INTO meta (key, value) VALUES ('ids_spilled_before', ?1)")?
            .execute([edge.to_string()])?;
        self.edge = edge;
        Ok(())
    }

    /// Enters an id that was given late to a part before the edge.
    pub fn add_straggler(&mut self, connection: &Connection, key: IdKey, attempt: Attempt) -> Result<(), JournalError> {
        self.stragglers = true;
        insert(connection, 0, &Known::spilled(key, attempt, false, 0))
    }

    /// Appends all ids of a run, as they were when they came here, in the order of their attempts.
    pub fn read(&self, connection: &Connection, run: i64, known: &mut Vec<Known>) -> Result<(), JournalError> {
        let mut statement =
            connection.prepare_cached("SELECT ids FROM spilled_chunk WHERE id >= ?1 AND id < ?2 ORDER BY id")?;
        let mut rows = statement.query((chunk_id(run, 0), chunk_id(run + 1, 0)))?;
        while let Some(row) = rows.next()? {
            known.extend(packed(row.get_ref(0)?.as_blob().unwrap_or_default()).map(|id| id.known()));
        }
        let mut statement =
            connection.prepare_cached("SELECT exact, hash, attempt, plain, tag FROM spilled_id WHERE run = ?1")?;
        let mut rows = statement.query([run])?;
        while let Some(row) = rows.next()? {
            let (exact, folded): (u32, i64) = (row.get(0)?, row.get(1)?);
            let key = IdKey { exact: exact.into(), folded: folded as u64 };
            known.push(Known::spilled(key, Attempt(row.get(2)?), row.get(3)?, row.get(4)?));
        }
        known.sort_unstable_by_key(Known::attempt);
        Ok(())
    }

    /// The attempts whose id may be one with this hash.
    pub fn find(&self, connection: &Connection, hash: u64) -> Result<Vec<Spilled>, JournalError> {
        let mut found = Vec::new();
        for run in self.runs.iter().filter(|run| run.filter.may_hold(hash)) {
            match run.ids {
                0 => find_rows(connection, run.number, hash, &mut found)?,
                _ => find_packed(connection, run, hash, &mut found)?,
            }
        }
        if self.stragglers {
            find_rows(connection, 0, hash, &mut found)?;
        }
        found.sort_unstable();
        // What came late, and was moved here with the others after a crash.
        found.dedup_by_key(|spilled| spilled.attempt);
        Ok(found)
    }
}

/// Takes the ids of parts in these ranges out of the runs, each in its place: what stays of one is the upper half of its hash,
/// so that the order stands and look-ups beside it go on. So many rows are looked at in a transaction. It may be cut short
/// anywhere and be done again.
pub fn forget(
    connection: &Connection,
    mut parts: Vec<Range<i64>>,
    rows: i64,
    pause: Duration,
) -> Result<(), JournalError> {
    parts.sort_unstable_by_key(|range| range.start);
    let is_in = |attempt: Attempt| {
        let after = parts.partition_point(|range| range.start <= attempt.part());
        parts[..after].last().is_some_and(|range| range.contains(&attempt.part()))
    };
    let mut last = Some((i64::MIN, i64::MIN, i64::MIN));
    while let Some(from) = last {
        last = in_transaction(connection, || forget_rows(connection, &is_in, from, rows))?;
        std::thread::sleep(pause);
    }
    let mut last = Some(i64::MIN);
    while let Some(from) = last {
        last = in_transaction(connection, || forget_packed(connection, &is_in, from, rows))?;
        std::thread::sleep(pause);
    }
    Ok(())
}

/// Deletes ids that are rows, behind one of them; says how far it came, `None`: to the end.
fn forget_rows(
    connection: &Connection,
    is_in: &dyn Fn(Attempt) -> bool,
    from: (i64, i64, i64),
    rows: i64,
) -> Result<Option<(i64, i64, i64)>, JournalError> {
    let mut next = connection.prepare_cached(
        "SELECT run, hash, attempt FROM spilled_id WHERE (run, hash, attempt) > (?1, ?2, ?3)
          ORDER BY run, hash, attempt LIMIT ?4",
    )?;
    let found: Vec<(i64, i64, i64)> = next
        .query_map((from.0, from.1, from.2, rows), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_, _>>()?;
    let mut delete =
        connection.prepare_cached("DELETE FROM spilled_id WHERE run = ?1 AND hash = ?2 AND attempt = ?3")?;
    for &id in found.iter().filter(|(_, _, attempt)| is_in(Attempt(*attempt))) {
        delete.execute(id)?;
    }
    Ok(found.last().copied())
}

/// The same in chunks.
fn forget_packed(
    connection: &Connection,
    is_in: &dyn Fn(Attempt) -> bool,
    mut from: i64,
    chunks: i64,
) -> Result<Option<i64>, JournalError> {
    let mut update = connection.prepare_cached("UPDATE spilled_chunk SET ids = ?2 WHERE id = ?1")?;
    let mut next = connection.prepare_cached("SELECT id, ids FROM spilled_chunk WHERE id > ?1 ORDER BY id LIMIT 1")?;
    for _ in 0..chunks {
        let found = next.query_row([from], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?))).optional()?;
        let Some((id, mut ids)) = found else { return Ok(None) };
        from = id;
        let mut is_changed = false;
        for octets in ids.as_chunks_mut::<PACKED>().0 {
            if is_in(Packed(octets).attempt()) {
                // Little-endian: the lower half of the hash, and all behind the hash.
                octets[..4].fill(0);
                octets[8..].fill(0);
                is_changed = true;
            }
        }
        if is_changed {
            update.execute((id, &ids))?;
        }
    }
    Ok(Some(from))
}

fn chunk_id(run: i64, n: i64) -> i64 {
    (run << CHUNK_BITS) + n
}

fn find_rows(connection: &Connection, run: i64, hash: u64, found: &mut Vec<Spilled>) -> Result<(), JournalError> {
    let mut statement =
        connection.prepare_cached("SELECT attempt, plain FROM spilled_id WHERE run = ?1 AND hash = ?2")?;
    let mut rows = statement.query((run, hash as i64))?;
    while let Some(row) = rows.next()? {
        found.push(Spilled { attempt: Attempt(row.get(0)?), run, plain: row.get(1)? });
    }
    Ok(())
}

fn find_packed(connection: &Connection, run: &Run, hash: u64, found: &mut Vec<Spilled>) -> Result<(), JournalError> {
    let mut statement = connection.prepare_cached("SELECT ids FROM spilled_chunk WHERE id = ?1")?;
    let mut octets: Vec<u8> = Vec::new();
    let mut load = |n: i64, octets: &mut Vec<u8>| -> Result<(), JournalError> {
        octets.clear();
        statement.query_row([chunk_id(run.number, n)], |row| {
            octets.extend_from_slice(row.get_ref(0)?.as_blob().unwrap_or_default());
            Ok(())
        })?;
        Ok(())
    };
    let expected = ((u128::from(hash) * run.chunks() as u128) >> 64) as i64;
    let mut chunk = first_chunk(0..run.chunks(), expected, |n| {
        load(n, &mut octets)?;
        Ok(packed(&octets).last().is_some_and(|last| last.hash() >= hash))
    })?;
    // Ids of one hash may go on in the chunks that follow.
    while chunk < run.chunks() {
        load(chunk, &mut octets)?;
        let with_hash = packed(&octets).filter(|id| id.hash() == hash);
        found.extend(with_hash.map(|id| Spilled { attempt: id.attempt(), run: run.number, plain: id.is_plain() }));
        if packed(&octets).last().is_none_or(|last| last.hash() > hash) {
            break;
        }
        chunk += 1;
    }
    Ok(())
}

fn insert(connection: &Connection, run: i64, known: &Known) -> Result<(), JournalError> {
    let (folded, attempt) = (known.folded() as i64, known.attempt().0);
    connection
        .prepare_cached(
            "INSERT OR IGNORE INTO spilled_id (run, hash, attempt, plain, exact, tag) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute((run, folded, attempt, known.is_plain(), known.exact(), known.tag()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_found_in_every_run_and_after_a_restart() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(crate::journal::open::SCHEMA).unwrap();
        let mut spill = Spill::load(&connection).unwrap();
        assert!(spill.is_empty());
        let mut random = fastrand::Rng::with_seed(7);
        let ids: Vec<Known> = (0..20_000)
            .map(|n| {
                let key = IdKey { exact: random.u64(..), folded: random.u64(..) };
                Known::spilled(key, Attempt::new(n, 0), n % 2 == 0, n as u32 * 400)
            })
            .collect();
        for (n, run) in ids.chunks(5_000).enumerate() {
            spill.add(&connection, run.to_vec(), (n as i64 + 1) * 5_000).unwrap();
        }
        spill.add_straggler(&connection, IdKey { exact: 1, folded: ids[0].folded() }, Attempt::new(3, 1)).unwrap();
        for spill in [&spill, &Spill::load(&connection).unwrap()] {
            assert_eq!(spill.edge(), 20_000);
            for (n, known) in ids.iter().enumerate().skip(1) {
                let (attempt, run, plain) = (known.attempt(), n as i64 / 5_000 + 1, known.is_plain());
                assert_eq!(spill.find(&connection, known.folded()).unwrap(), [Spilled { attempt, run, plain }]);
            }
            assert_eq!(spill.find(&connection, ids[0].folded()).unwrap().len(), 2);
            let whole = |known: &Known| (known.folded(), known.exact(), known.attempt(), known.is_plain(), known.tag());
            let mut read = Vec::new();
            for run in 1..=4 {
                let mut of_run = Vec::new();
                spill.read(&connection, run, &mut of_run).unwrap();
                read.append(&mut of_run);
            }
            assert!(read.iter().map(whole).eq(ids.iter().map(whole)));
            assert!(spill.find(&connection, 12_345).unwrap().is_empty());
        }
        // A run of an older program: rows.
        let old = Known::spilled(IdKey { exact: 9, folded: 77 }, Attempt::new(20_000, 0), true, 4);
        let mut filter = Filter::new(1);
        filter.add(77);
        insert(&connection, 5, &old).unwrap();
        connection.execute("INSERT INTO spilled_run (run, filter) VALUES (5, ?1)", [&filter.0]).unwrap();
        let mut spill = Spill::load(&connection).unwrap();
        let attempt = old.attempt();
        assert_eq!(spill.find(&connection, 77).unwrap(), [Spilled { attempt, run: 5, plain: true }]);
        let mut read = Vec::new();
        spill.read(&connection, 5, &mut read).unwrap();
        assert_eq!((read.len(), read[0].tag(), read[0].exact()), (1, 4, 9));
        // One hash in more ids than a chunk has.
        let same = (0..400).map(|n| {
            let key = IdKey { exact: n, folded: if n % 2 == 0 { 5 << 40 } else { random.u64(..) } };
            Known::spilled(key, Attempt::new(20_001 + n as i64, 0), false, 0)
        });
        spill.add(&connection, same.collect(), 20_500).unwrap();
        assert_eq!(spill.find(&connection, 5 << 40).unwrap().len(), 200);
        let vain = (0..10_000).filter(|_| spill.runs[0].filter.may_hold(random.u64(..))).count();
        assert!(vain < 200, "{vain} in 10,000");
    }
}
