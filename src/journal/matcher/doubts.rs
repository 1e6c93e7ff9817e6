//! Attempts in doubt that no answer has settled, so that a receipt of unknown id finds the one that it fits without
//! looking at the others: what counts is whether none, one or several fit.
//!
//! They lie in pools: those to one number from one sender, in the order in which they were claimed. A receipt can be about
//! what was claimed before it came, so that what fits it is the beginning of a pool, and two are enough to look at. An
//! attempt to which a receipt gave its id has left its pool: it is found by that id and fits no other.
//!
//! So many are remembered ([`DOUBTS_MAX`]). Of the others it is known in which pools they lie: a receipt for one of these is
//! not guessed, as if several fitted.

use crate::journal::error::JournalError;
use crate::journal::matcher::id_index::Ids;
use crate::journal::model::key::Attempt;
use crate::message::address::{Destination, Sender};
use hashbrown::{HashMap, HashSet};
use rusqlite::{Connection, OptionalExtension};
use std::collections::BTreeSet;

/// Attempts in doubt that are remembered, some 0.1 KB each.
pub const DOUBTS_MAX: usize = 400_000;
/// Of those in the journal at a start, the newest so many: the run gets room for its own.
const LOADED_MAX: usize = DOUBTS_MAX / 2;
/// So many are read by one statement: while it reads, the -wal cannot be folded.
const READ_AT_ONCE: i64 = 10_000;
/// Bits that tell in which pools those lie that are not remembered, 8 MB: two for each pool, so that with ten million of
/// them one receipt in fourteen is taken for theirs in vain.
const LEFT_OUT_BITS: usize = 1 << 26;

/// So many attempts that have one id from receipts are looked at: more than one of them is the operator's doing.
const NAMED_ALIKE_MAX: usize = 64;

/// Where an attempt in doubt lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Of its number and its sender: see [`pool`].
    pub pool: u64,
    /// The number that it went to, as [`Destination::key`].
    pub number: u64,
    /// Its serial.
    pub serial: i64,
    /// When it was claimed; [`ANY_TIME`]: the clock was set back since, so that times do not tell what came first.
    pub claimed_at: i64,
}

/// See [`Place::claimed_at`].
pub const ANY_TIME: i64 = i64::MIN;

/// What a receipt can be about: what was claimed before it came.
#[derive(Clone, Copy, Debug)]
pub enum Before {
    /// Attempts before this serial.
    Serial(i64),
    /// Those claimed by the time of its arrival, or later than the clock shows now: it was set back.
    Time {
        /// When it arrived.
        received_at: i64,
        /// What the clock shows.
        now: i64,
    },
}

impl Before {
    fn holds(self, place: &Place) -> bool {
        match self {
            Self::Serial(next) => place.serial < next,
            Self::Time { received_at, now } => place.claimed_at <= received_at || place.claimed_at > now,
        }
    }
}

/// An attempt in doubt to which a receipt gave its id: it has no other.
#[derive(Clone, Copy, Debug)]
struct Named {
    place: Place,
    /// The hash of the id as it came.
    id: u64,
}

/// All of them.
#[derive(Debug)]
pub struct Doubts {
    /// Those without an id: pool, serial, attempt.
    by_serial: BTreeSet<(u64, i64, Attempt)>,
    /// The same: pool, time, attempt.
    by_time: BTreeSet<(u64, i64, Attempt)>,
    /// Which they are.
    free: HashSet<Attempt>,
    named: HashMap<Attempt, Named>,
    by_id: BTreeSet<(u64, Attempt)>,
    /// No attempt was claimed later by the clock.
    latest: i64,
    /// How many are remembered.
    max: usize,
    /// The pools of those that are not; empty: all are remembered.
    left_out: Vec<u64>,
    /// How many of those that are remembered went to a number.
    numbers: HashMap<u64, u32>,
}

impl Default for Doubts {
    fn default() -> Self {
        Self {
            by_serial: BTreeSet::new(),
            by_time: BTreeSet::new(),
            free: HashSet::new(),
            named: HashMap::new(),
            by_id: BTreeSet::new(),
            latest: 0,
            max: DOUBTS_MAX,
            left_out: Vec::new(),
            numbers: HashMap::new(),
        }
    }
}

/// The pool of messages to a number from a sender. A message without a sender has the SMSC's own, which is any.
pub fn pool(ids: &Ids, number: u64, sender: &str) -> u64 {
    let sender = Sender::canonical(sender).trim_start_matches('+').to_ascii_lowercase();
    ids.keyed(&[&number.to_be_bytes(), sender.as_bytes()])
}

/// The pools of the messages that a receipt with these addresses can be about: one address is the message's destination,
/// the other its sender. 0: no further one.
pub fn pools(ids: &Ids, numbers: [u64; 2], addresses: [&str; 2]) -> [u64; 4] {
    let of = |n: usize, sender: &str| {
        // No message goes to what is no number.
        if numbers[n] == 0 {
            return 0;
        }
        let sender = sender.trim().trim_start_matches('+').to_ascii_lowercase();
        ids.keyed(&[&numbers[n].to_be_bytes(), sender.as_bytes()])
    };
    let mut pools = [of(0, addresses[1]), of(0, ""), of(1, addresses[0]), of(1, "")];
    for n in 1..pools.len() {
        if pools[..n].contains(&pools[n]) {
            pools[n] = 0;
        }
    }
    pools
}

impl Doubts {
    /// Reads those of the journal, and notes which id receipts gave to them (`named`, with the numbers of the receipt).
    pub fn load(
        connection: &Connection,
        ids: &Ids,
        named: impl Iterator<Item = (Attempt, [u64; 2], u64)>,
    ) -> Result<Self, JournalError> {
        Self::load_newest(connection, ids, named, LOADED_MAX)
    }

    /// As [`Self::load`]; `newest`: so many of them, and whatever has a name.
    fn load_newest(
        connection: &Connection,
        ids: &Ids,
        named: impl Iterator<Item = (Attempt, [u64; 2], u64)>,
        newest: usize,
    ) -> Result<Self, JournalError> {
        let mut names: HashMap<Attempt, Vec<([u64; 2], u64)>> = HashMap::new();
        for (attempt, numbers, id) in named {
            names.entry(attempt).or_default().push((numbers, id));
        }
        let mut doubts = Self::default();
        let reader = Reader { senders: Senders::load(connection)?, clocks: Clocks::load(connection)?, ids };
        let mut before = Some(i64::MAX);
        while let Some(end) = before {
            before = reader.read(connection, end, &mut |attempt, place| {
                let name =
                    names.get(&attempt).and_then(|names| names.iter().find(|name| name.0.contains(&place.number)));
                if name.is_none() && doubts.free.len() >= newest {
                    doubts.leave_out(place.pool);
                    return;
                }
                doubts.free(attempt, place);
                if let Some(&(_, id)) = name {
                    doubts.name(attempt, place, Some(id));
                }
            })?;
        }
        Ok(doubts)
    }

    /// Takes in an attempt, once.
    pub fn add(&mut self, attempt: Attempt, place: Place) {
        if self.has(attempt) {
            return;
        }
        match self.free.len() + self.named.len() < self.max {
            true => self.free(attempt, place),
            false => self.leave_out(place.pool),
        }
    }

    /// Does not remember an attempt of this pool.
    fn leave_out(&mut self, pool: u64) {
        self.left_out.resize(LEFT_OUT_BITS / 64, 0);
        for bit in bits_of(pool) {
            self.left_out[bit / 64] |= 1 << (bit % 64);
        }
    }

    /// Whether attempts that are not remembered may fit a receipt with these pools: as a rule right where it says so, always
    /// where it does not.
    pub fn are_left_out(&self, pools: [u64; 4]) -> bool {
        let is_set = |bit: usize| self.left_out.get(bit / 64).is_some_and(|word| word >> (bit % 64) & 1 == 1);
        !self.left_out.is_empty() && pools.into_iter().any(|pool| pool != 0 && bits_of(pool).into_iter().all(is_set))
    }

    /// Remembers no more than so many from now on.
    #[cfg(test)]
    pub fn remember_at_most(&mut self, max: usize) {
        self.max = max;
    }

    fn free(&mut self, attempt: Attempt, place: Place) {
        self.count(place.number, 1);
        self.free.insert(attempt);
        self.by_serial.insert((place.pool, place.serial, attempt));
        self.by_time.insert((place.pool, place.claimed_at, attempt));
        self.latest = self.latest.max(place.claimed_at);
    }

    /// Whether an attempt is one of them, with or without an id.
    pub fn has(&self, attempt: Attempt) -> bool {
        self.free.contains(&attempt) || self.named.contains_key(&attempt)
    }

    /// Takes an attempt out. Says whether it was there and had no id.
    pub fn remove(&mut self, attempt: Attempt, place: Place) -> bool {
        if let Some(named) = self.named.remove(&attempt) {
            self.by_id.remove(&(named.id, attempt));
            self.count(named.place.number, -1);
            return false;
        }
        let _ = self.by_time.remove(&(place.pool, place.claimed_at, attempt))
            || self.by_time.remove(&(place.pool, ANY_TIME, attempt));
        if self.free.remove(&attempt) {
            self.count(place.number, -1);
        }
        self.by_serial.remove(&(place.pool, place.serial, attempt))
    }

    /// Whether a receipt gave it its id.
    pub fn is_named(&self, attempt: Attempt) -> bool {
        self.named.contains_key(&attempt)
    }

    /// Notes which id a receipt gave to an attempt, or no longer gives it. What is in no doubt is left alone. Says whether the
    /// attempt had none before.
    pub fn name(&mut self, attempt: Attempt, place: Place, id: Option<u64>) -> bool {
        let is_named = self.named.contains_key(&attempt);
        if !is_named && !self.by_serial.contains(&(place.pool, place.serial, attempt)) {
            return false;
        }
        self.remove(attempt, place);
        match id {
            Some(id) => {
                self.count(place.number, 1);
                self.named.insert(attempt, Named { place, id });
                self.by_id.insert((id, attempt));
            }
            None => self.free(attempt, place),
        }
        !is_named
    }

    fn count(&mut self, number: u64, change: i32) {
        let count = self.numbers.entry(number).or_default();
        *count = count.saturating_add_signed(change);
        if *count == 0 {
            self.numbers.remove(&number);
        }
    }

    /// Whether an attempt in doubt, with or without an id, went to one of these numbers (0: none), or may have.
    pub fn may_be_to(&self, numbers: [u64; 2]) -> bool {
        !self.left_out.is_empty() || numbers.iter().any(|number| *number != 0 && self.numbers.contains_key(number))
    }

    /// The id that a receipt gave to an attempt.
    pub fn id_of(&self, attempt: Attempt) -> Option<u64> {
        self.named.get(&attempt).map(|named| named.id)
    }

    /// What a receipt with this id fits: the attempt that has the id from an earlier receipt, or else the first two that
    /// have none.
    pub fn fitting(&self, id: u64, pools: [u64; 4], before: Before) -> Vec<Attempt> {
        let named = self.by_id.range((id, Attempt(i64::MIN))..=(id, Attempt(i64::MAX))).take(NAMED_ALIKE_MAX);
        for &(_, attempt) in named {
            let place = self.named.get(&attempt).map(|named| named.place);
            if place.is_some_and(|place| pools.contains(&place.pool) && before.holds(&place)) {
                return vec![attempt];
            }
        }
        let mut fitting = Vec::with_capacity(8);
        for pool in pools.into_iter().filter(|pool| *pool != 0) {
            let (first, last) = (Attempt(i64::MIN), Attempt(i64::MAX));
            match before {
                Before::Serial(next) => {
                    let before = self.by_serial.range((pool, i64::MIN, first)..(pool, next, first));
                    fitting.extend(before.take(2).map(|&(_, _, attempt)| attempt));
                }
                Before::Time { received_at, now } => {
                    let before = self.by_time.range((pool, i64::MIN, first)..=(pool, received_at, last)).take(2);
                    fitting.extend(before.map(|&(_, _, attempt)| attempt));
                    if now < self.latest {
                        let after = self.by_time.range((pool, now + 1, first)..=(pool, i64::MAX, last)).take(2);
                        fitting.extend(after.map(|&(_, _, attempt)| attempt));
                    }
                }
            }
        }
        fitting.sort_unstable();
        fitting.dedup();
        fitting.truncate(2);
        fitting
    }

    /// From which serial and from which time on two attempts of a pool precede whatever comes: what happens to a third makes
    /// no difference there.
    pub fn decided_from(&self, pool: u64) -> (i64, i64) {
        let first = Attempt(i64::MIN);
        let second = |set: &BTreeSet<(u64, i64, Attempt)>| {
            let found = set.range((pool, i64::MIN, first)..).take_while(|entry| entry.0 == pool).nth(1);
            found.map_or(i64::MAX, |entry| entry.1)
        };
        (second(&self.by_serial), second(&self.by_time))
    }

    /// A session began when the clock showed this: what was claimed later by the clock was claimed before.
    pub fn note_clock(&mut self, opened_at: i64) {
        if opened_at >= self.latest {
            return;
        }
        let later: Vec<_> = self.by_time.iter().copied().filter(|(_, time, _)| *time > opened_at).collect();
        for (pool, time, attempt) in later {
            self.by_time.remove(&(pool, time, attempt));
            self.by_time.insert((pool, ANY_TIME, attempt));
        }
        for named in self.named.values_mut().filter(|named| named.place.claimed_at > opened_at) {
            named.place.claimed_at = ANY_TIME;
        }
        self.latest = opened_at;
    }
}

/// The bits of a pool that is not remembered whole. A pool is a keyed hash already.
fn bits_of(pool: u64) -> [usize; 2] {
    [pool as usize % LEFT_OUT_BITS, (pool >> 32) as usize % LEFT_OUT_BITS]
}

/// Reads attempts in doubt of the journal, the newest first.
struct Reader<'a> {
    senders: Senders,
    clocks: Clocks,
    ids: &'a Ids,
}

impl Reader<'_> {
    /// Those before this one, so many as one statement reads. Returns before which to go on; `None`: that was all.
    fn read(
        &self,
        connection: &Connection,
        before: i64,
        take: &mut dyn FnMut(Attempt, Place),
    ) -> Result<Option<i64>, JournalError> {
        let mut statement = connection.prepare_cached(
            "SELECT v.attempt, m.destination, m.source, k.first_serial + ((v.attempt >> 12) - k.first_part),
                    k.claimed_at, EXISTS (SELECT 1 FROM answer a WHERE a.attempt = v.attempt)
               FROM (SELECT DISTINCT attempt FROM verdict WHERE kind = 1 AND attempt < ?1
                      ORDER BY attempt DESC LIMIT ?2) v
               LEFT JOIN message m ON m.id = (SELECT n.id FROM message n WHERE n.id <= (v.attempt >> 12)
                                          ORDER BY n.id DESC LIMIT 1)
               LEFT JOIN claim k ON k.first_serial = (SELECT l.first_serial FROM claim l
                                                  WHERE l.try = (v.attempt & 4095) AND l.first_part <= (v.attempt >> 12)
                                                  ORDER BY l.first_part DESC LIMIT 1)",
        )?;
        let mut rows = statement.query((before, READ_AT_ONCE))?;
        let (mut count, mut last) = (0, before);
        while let Some(row) = rows.next()? {
            let attempt = Attempt(row.get(0)?);
            (count, last) = (count + 1, last.min(attempt.0));
            // Answered, or neither message nor claim is there any more.
            let (serial, claimed_at): (Option<i64>, Option<i64>) = (row.get(3)?, row.get(4)?);
            let (Some(serial), Some(claimed_at), false) = (serial, claimed_at, row.get(5)?) else { continue };
            let Some(destination) = row.get_ref(1)?.as_str_or_null().unwrap_or_default() else { continue };
            let number = Destination::parse(destination).map_or(0, |destination| destination.key());
            let own = row.get_ref(2)?.as_str_or_null().unwrap_or_default();
            let sender = own.unwrap_or_else(|| self.senders.of(attempt.part()));
            let claimed_at = if self.clocks.was_set_back(serial, claimed_at) { ANY_TIME } else { claimed_at };
            take(attempt, Place { pool: pool(self.ids, number, sender), number, serial, claimed_at });
        }
        Ok((count == READ_AT_ONCE).then_some(last))
    }
}

/// Where an attempt lies; `None`: it belongs to no message, or was not claimed.
pub fn place_of(connection: &Connection, ids: &Ids, attempt: Attempt) -> Result<Option<Place>, JournalError> {
    let found: Option<(u64, String, i64, i64, i64)> = connection
        .prepare_cached(
            "SELECT m.destination, coalesce(m.source, c.source), k.first_serial + (?2 - k.first_part), k.claimed_at,
                    k.session_id
               FROM (SELECT * FROM message WHERE id <= ?2 ORDER BY id DESC LIMIT 1) m
               JOIN (SELECT * FROM claim WHERE try = ?1 AND first_part <= ?2 ORDER BY first_part DESC LIMIT 1) k
               JOIN campaign c ON c.id = (SELECT d.id FROM campaign d WHERE d.first_id <= m.id AND d.end_id > m.id
                                           ORDER BY d.first_id DESC LIMIT 1)
              WHERE ?2 < m.id + m.parts",
        )?
        .query_row((attempt.tried(), attempt.part()), |row| {
            let number = Destination::parse(row.get_ref(0)?.as_str()?).map_or(0, |destination| destination.key());
            Ok((number, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
        })
        .optional()?;
    let Some((number, sender, serial, claimed_at, session)) = found else { return Ok(None) };
    let was_set_back = was_clock_set_back(connection, session, serial, claimed_at)?;
    let claimed_at = if was_set_back { ANY_TIME } else { claimed_at };
    Ok(Some(Place { pool: pool(ids, number, &sender), number, serial, claimed_at }))
}

/// Whether the clock showed less, when a session began after something had been claimed on this one, than at that claim.
pub fn was_clock_set_back(
    connection: &Connection,
    session: i64,
    serial: i64,
    claimed_at: i64,
) -> Result<bool, JournalError> {
    let mut statement = connection.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM session WHERE id > ?1 AND first_serial > ?2 AND opened_at < ?3)",
    )?;
    Ok(statement.query_row((session, serial, claimed_at), |row| row.get(0))?)
}

/// The senders of campaigns whose rows name none, in the order of their messages.
struct Senders(Vec<(i64, i64, String)>);

impl Senders {
    fn load(connection: &Connection) -> Result<Self, JournalError> {
        let mut statement =
            connection.prepare("SELECT first_id, end_id, source FROM campaign ORDER BY first_id, id")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        Ok(Self(rows.collect::<Result<_, _>>()?))
    }

    fn of(&self, part: i64) -> &str {
        let after = self.0.partition_point(|campaign| campaign.0 <= part);
        let found = self.0[..after].iter().rfind(|campaign| part < campaign.1);
        found.map_or("", |campaign| &campaign.2)
    }
}

/// For each session the first serial that it may claim, and the least that the clock showed when it or a later one began.
struct Clocks(Vec<(i64, i64)>);

impl Clocks {
    fn load(connection: &Connection) -> Result<Self, JournalError> {
        let mut statement = connection.prepare("SELECT first_serial, opened_at FROM session ORDER BY id")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let mut sessions: Vec<(i64, i64)> = rows.collect::<Result<_, _>>()?;
        let mut least = i64::MAX;
        for (_, opened_at) in sessions.iter_mut().rev() {
            least = least.min(*opened_at);
            *opened_at = least;
        }
        Ok(Self(sessions))
    }

    fn was_set_back(&self, serial: i64, claimed_at: i64) -> bool {
        let later = self.0.partition_point(|session| session.0 <= serial);
        self.0.get(later).is_some_and(|session| session.1 < claimed_at)
    }
}

#[cfg(test)]
mod tests;
