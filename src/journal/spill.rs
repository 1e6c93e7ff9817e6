//! Message ids beyond what memory holds: sorted runs in the journal.
//!
//! One edge divides all ids: those of parts before it are here, those of later ones in memory ([`super::ids`]). When
//! memory is full, the oldest ids move here as one run sorted by hash, so that writing is appending, and the edge moves
//! on with them in the same transaction. An id given to a part before the edge (a late answer, a retry) is entered at
//! once, in run 0. A filter in memory for each run (ten bits an id) keeps a look-up from asking runs that cannot know.
//! Nothing is ever taken out: the receipt of a campaign long finished, or repeated, still finds its message.

use super::JournalError;
use super::ids::{IdKey, Known};
use super::key::Attempt;
use rusqlite::{Connection, OptionalExtension};

/// Bits of a filter for each id, and how many of them an id sets: one look-up in a hundred asks a run in vain.
const FILTER_BITS: u64 = 10;
const FILTER_PROBES: u64 = 6;

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
        let mut statement = connection.prepare("SELECT run, filter FROM spilled_run ORDER BY run")?;
        let runs = statement
            .query_map([], |row| Ok(Run { number: row.get(0)?, filter: Filter(row.get(1)?) }))?
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
        let mut filter = Filter::new(ids.len());
        ids.sort_unstable_by_key(|known| (known.folded() as i64, known.attempt()));
        for known in &ids {
            filter.add(known.folded());
            insert(connection, number, known)?;
        }
        connection
            .prepare_cached("INSERT INTO spilled_run (run, filter) VALUES (?1, ?2)")?
            .execute((number, &filter.0))?;
        self.runs.push(Run { number, filter });
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
        let asked = self.runs.iter().filter(|run| run.filter.may_hold(hash)).map(|run| run.number);
        for number in asked.chain(self.stragglers.then_some(0)) {
            let mut statement =
                connection.prepare_cached("SELECT attempt, plain FROM spilled_id WHERE run = ?1 AND hash = ?2")?;
            let mut rows = statement.query((number, hash as i64))?;
            while let Some(row) = rows.next()? {
                found.push(Spilled { attempt: Attempt(row.get(0)?), run: number, plain: row.get(1)? });
            }
        }
        found.sort_unstable();
        Ok(found)
    }
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
        connection.execute_batch(crate::journal::SCHEMA).unwrap();
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
        let vain = (0..10_000).filter(|_| spill.runs[0].filter.may_hold(random.u64(..))).count();
        assert!(vain < 200, "{vain} in 10,000");
    }
}
