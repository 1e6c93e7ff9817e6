//! Receipts without an owner, and those whose owner is conjectured and may yet turn out to be another: kept until their
//! answer comes, until what they wait for has happened, or for good.
//!
//! In memory are so many of them, by every spelling of their id and by the numbers in them; table `stray` lists all. What
//! comes while as many wait as are remembered is left to the table, and read back once nothing is outstanding of what it
//! may belong to (module `left_out`).

use super::JournalError;
use super::equivalent::in_other_radix;
use super::generations::Generations;
use super::ids::{IdKey, Ids};
use super::key::Attempt;
use crate::address::Destination;
use hashbrown::HashMap;
use rusqlite::Connection;
use std::collections::VecDeque;

/// Stray receipts that are remembered, 0.4 KB each. Those that wait for an answer come before those that were judged.
pub const STRAYS_MAX: usize = 100_000;

/// How a receipt was matched; the numbers stand in the journal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Rule {
    /// Not at all.
    None = 0,
    /// The exact id of the account.
    Exact = 1,
    /// The same id in another case, radix or padding.
    Equivalent = 2,
    /// An echoed user_message_reference, with the destination.
    Reference = 3,
    /// The one attempt in doubt that it fits.
    Doubt = 4,
    /// The operator said so.
    Operator = 5,
    /// Several fit: not guessed.
    Ambiguous = 6,
    /// It is no receipt, but what the SMSC answered to a query_sm.
    Query = 7,
}

/// A receipt that waits.
#[derive(Clone, Debug)]
pub struct Stray {
    /// Its (negative) number in the journal.
    pub id: i64,
    /// Its message id.
    pub key: IdKey,
    /// Hashes of the folded id and of its spellings in other radices; 0 where there is none.
    pub spellings: [u64; 3],
    /// The numbers in its addresses, as [`Destination::key`]; 0 where one is no number.
    pub numbers: [u64; 2],
    /// Whether nothing more is to come.
    pub is_final: bool,
    /// Attempts of this generation and before may be meant.
    pub generation: u32,
    /// Attempts before this serial may be meant; `None`: those claimed before the time of its arrival.
    pub serial: Option<i64>,
    /// The attempt that it is matched to.
    pub owner: Option<Attempt>,
    /// By which rule.
    pub rule: Rule,
    /// Rules 2 to 4 were tried.
    pub judged: bool,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Strays {
    all: HashMap<i64, Stray>,
    by_spelling: HashMap<u64, Vec<i64>>,
    by_number: HashMap<u64, Vec<i64>>,
    waiting: VecDeque<(u32, i64)>,
    /// How many of `waiting` are not judged and not forgotten.
    waiting_count: usize,
    judged: VecDeque<i64>,
    left_out: Option<LeftOut>,
    /// How many are remembered.
    max: usize,
    next_id: i64,
}

/// Receipts in table `stray` that were not judged and are not remembered.
#[derive(Clone, Copy, Debug)]
pub struct LeftOut {
    /// All of them have this number or a lower one (numbers fall).
    pub first: i64,
    /// All of them have this number or a higher one.
    pub last: i64,
    /// Attempts of this generation and before may be meant.
    pub generation: u32,
}

/// What is hashed and parsed once of a stray receipt: its spellings and numbers.
pub fn fingerprint(ids: &Ids, id: &[u8], addresses: [&str; 2]) -> (IdKey, [u64; 3], [u64; 2]) {
    let key = ids.key(id);
    let [hex, decimal] = in_other_radix(id);
    let hash = |spelling: Option<String>| spelling.map_or(0, |spelling| ids.folded(spelling.as_bytes()));
    let number = |address: &str| Destination::parse(address).map_or(0, |number| number.key());
    (key, [key.folded, hash(hex), hash(decimal)], addresses.map(number))
}

impl Strays {
    /// Reads the newest `max` of table `stray`: what was judged into memory, the rest is left to the table for now.
    pub fn load(connection: &Connection, ids: &Ids, max: usize) -> Result<Self, JournalError> {
        let next_id: i64 =
            connection.query_row("SELECT coalesce(min(min(id), 0), 0) - 1 FROM receipt", [], |row| row.get(0))?;
        let mut strays = Self { next_id, max, ..Self::default() };
        let mut statement = connection.prepare(
            "SELECT r.id, r.final, r.message_id, r.source, r.destination, x.id IS NOT NULL, x.attempt, x.rule
               FROM (SELECT receipt FROM stray ORDER BY receipt LIMIT ?1) s
               JOIN receipt r ON r.id = s.receipt
               LEFT JOIN receipt_match x
                 ON x.id = (SELECT max(y.id) FROM receipt_match y WHERE y.receipt_id = r.id)
              ORDER BY r.id DESC",
        )?;
        let mut rows = statement.query([max as i64])?;
        let mut count = 0;
        while let Some(row) = rows.next()? {
            count += 1;
            let (id, is_judged): (i64, bool) = (row.get(0)?, row.get(5)?);
            if !is_judged {
                // Its answer may have come since.
                strays.leave_out(id, 0);
                continue;
            }
            let text = |column| -> Result<String, rusqlite::Error> {
                Ok(row.get::<_, Option<String>>(column)?.unwrap_or_default())
            };
            let (key, spellings, numbers) = fingerprint(ids, text(2)?.as_bytes(), [&text(3)?, &text(4)?]);
            strays.add(Stray {
                id,
                key,
                spellings,
                numbers,
                is_final: row.get(1)?,
                generation: 0,
                serial: None,
                owner: row.get::<_, Option<i64>>(6)?.map(Attempt),
                rule: match row.get::<_, Option<u8>>(7)? {
                    Some(4) => Rule::Doubt,
                    Some(5) => Rule::Operator,
                    Some(6) => Rule::Ambiguous,
                    _ => Rule::None,
                },
                judged: true,
            });
        }
        if count >= max {
            // There are older ones that may not be judged either.
            let oldest = strays.left_out.map_or(next_id + 1, |left_out| left_out.last);
            strays.left_out = Some(LeftOut { first: -1, last: oldest, generation: 0 });
        }
        Ok(strays)
    }

    /// A number for a receipt that belongs to no attempt's own numbers.
    pub fn next_id(&mut self) -> i64 {
        self.next_id -= 1;
        self.next_id + 1
    }

    /// Remembers a stray receipt, or leaves it to the table.
    pub fn add(&mut self, stray: Stray) {
        if stray.judged {
            self.judged.push_back(stray.id);
        } else if self.waiting_count >= self.max {
            self.leave_out(stray.id, stray.generation);
            return;
        } else {
            self.waiting.push_back((stray.generation, stray.id));
        }
        self.remember(stray);
    }

    /// Remembers a stray receipt that is about to be judged, or is in its queue.
    pub fn remember(&mut self, stray: Stray) {
        for spelling in distinct(&stray.spellings) {
            self.by_spelling.entry(spelling).or_default().push(stray.id);
        }
        for number in distinct(&stray.numbers) {
            self.by_number.entry(number).or_default().push(stray.id);
        }
        self.waiting_count += usize::from(!stray.judged);
        self.all.insert(stray.id, stray);
        self.tidy();
    }

    /// Forgets what is too much, the oldest judged ones first, and queue entries of what is forgotten already.
    fn tidy(&mut self) {
        while (self.all.len() > self.max || self.judged.len() > self.max)
            && let Some(oldest) = self.judged.pop_front()
        {
            self.forget(oldest);
        }
        if self.waiting.len() > 2 * self.max {
            let all = &self.all;
            self.waiting.retain(|(_, id)| all.get(id).is_some_and(|stray| !stray.judged));
        }
    }

    fn leave_out(&mut self, id: i64, generation: u32) {
        let left_out = self.left_out.get_or_insert(LeftOut { first: id, last: id, generation });
        (left_out.last, left_out.generation) = (id, generation);
    }

    /// What was left to the table, once nothing is outstanding of what it may belong to.
    pub fn left_out(&self, generations: &Generations) -> Option<LeftOut> {
        self.left_out.filter(|left_out| generations.is_drained(left_out.generation))
    }

    /// What is left to the table waits for the attempts of this generation, too.
    pub fn wait_for(&mut self, generation: u32) {
        if let Some(left_out) = &mut self.left_out {
            left_out.generation = generation;
        }
    }

    /// What was left to the table is judged down to the number `next`, which is not.
    pub fn note_looked_at(&mut self, next: i64) {
        if let Some(left_out) = &mut self.left_out {
            left_out.first = next;
            if left_out.first < left_out.last {
                self.left_out = None;
            }
        }
    }

    /// How many are remembered.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Remembers no more than so many from now on.
    #[cfg(test)]
    pub fn remember_at_most(&mut self, max: usize) {
        self.max = max;
    }

    /// Forgets a receipt: nothing can change any more about whose it is.
    pub fn forget(&mut self, id: i64) {
        let Some(stray) = self.all.remove(&id) else { return };
        self.waiting_count -= usize::from(!stray.judged);
        let take = |map: &mut HashMap<u64, Vec<i64>>, key: u64| {
            if let Some(list) = map.get_mut(&key) {
                list.retain(|other| *other != id);
                if list.is_empty() {
                    map.remove(&key);
                }
            }
        };
        for spelling in distinct(&stray.spellings) {
            take(&mut self.by_spelling, spelling);
        }
        for number in distinct(&stray.numbers) {
            take(&mut self.by_number, number);
        }
    }

    /// Attempts in doubt that have their owner's id from a receipt: attempt, numbers, hash of the exact id.
    pub fn named_in_doubt(&self) -> impl Iterator<Item = (Attempt, [u64; 2], u64)> + '_ {
        let named = self.all.values().filter(|stray| matches!(stray.rule, Rule::Doubt | Rule::Operator));
        named.filter_map(|stray| Some((stray.owner?, stray.numbers, stray.key.exact)))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// A receipt.
    pub fn get(&self, id: i64) -> Option<&Stray> {
        self.all.get(&id)
    }

    /// Notes whose the receipt was found to be.
    pub fn note(&mut self, id: i64, owner: Option<Attempt>, rule: Rule) {
        if let Some(stray) = self.all.get_mut(&id) {
            if !stray.judged {
                self.judged.push_back(id);
                self.waiting_count -= 1;
            }
            (stray.owner, stray.rule, stray.judged) = (owner, rule, true);
            self.tidy();
        }
    }

    /// The next receipt that has waited until nothing is outstanding of what it may belong to.
    pub fn next_drained(&mut self, generations: &Generations) -> Option<i64> {
        while let Some(&(generation, id)) = self.waiting.front() {
            let is_settled = self.all.get(&id).is_none_or(|stray| stray.judged);
            if !is_settled && !generations.is_drained(generation) {
                return None;
            }
            self.waiting.pop_front();
            if !is_settled {
                return Some(id);
            }
        }
        None
    }

    /// Whether a receipt has waited long enough.
    pub fn has_drained(&self, generations: &Generations) -> bool {
        self.waiting.front().is_some_and(|&(generation, _)| generations.is_drained(generation))
            || self.left_out(generations).is_some()
    }

    /// Receipts that name exactly this id and came when an attempt of that generation was outstanding.
    pub fn naming(&self, key: IdKey, generation: u32) -> Vec<i64> {
        self.spelled(key.folded)
            .filter(|stray| stray.key.exact == key.exact && stray.generation >= generation)
            .map(|stray| stray.id)
            .collect()
    }

    /// Judged receipts that belong to nobody.
    pub fn undecided(&self) -> Vec<i64> {
        let mut found: Vec<i64> =
            self.all.values().filter(|stray| stray.judged && stray.owner.is_none()).map(|stray| stray.id).collect();
        found.sort_unstable_by(|a, b| b.cmp(a));
        found
    }

    /// Judged receipts one spelling of whose id has this hash, or that have this number in an address.
    pub fn judged(&self, spelling: u64, number: u64) -> Vec<i64> {
        let numbered = self.by_number.get(&number).into_iter().flatten().filter_map(|id| self.all.get(id));
        let mut found: Vec<i64> =
            self.spelled(spelling).chain(numbered).filter(|stray| stray.judged).map(|stray| stray.id).collect();
        found.sort_unstable_by(|a, b| b.cmp(a));
        found.dedup();
        found
    }

    fn spelled(&self, hash: u64) -> impl Iterator<Item = &Stray> {
        self.by_spelling.get(&hash).into_iter().flatten().filter_map(|id| self.all.get(id))
    }
}

/// Those that are not 0, each once.
fn distinct(keys: &[u64]) -> impl Iterator<Item = u64> + '_ {
    keys.iter().enumerate().filter(|&(n, key)| *key != 0 && !keys[..n].contains(key)).map(|(_, key)| *key)
}
