//! Receipts without an owner, and those whose owner is conjectured and may yet turn out to be another: kept until their
//! answer comes, until what they wait for has happened, or for good.
//!
//! In memory are the newest of them, by every spelling of their id and by the numbers in them; table `stray` lists all.

use super::JournalError;
use super::equivalent::in_other_radix;
use super::generations::Generations;
use super::ids::{IdKey, Ids};
use super::key::Attempt;
use crate::address::Destination;
use hashbrown::HashMap;
use rusqlite::Connection;
use std::collections::VecDeque;

/// Stray receipts that are remembered after they were judged; what waits for its answer is always remembered. Older ones
/// stay in the journal.
const STRAYS_MAX: usize = 100_000;

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
    judged: VecDeque<i64>,
    next_id: i64,
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
    /// Reads the newest of table `stray`.
    pub fn load(connection: &Connection, ids: &Ids) -> Result<Self, JournalError> {
        let next_id: i64 =
            connection.query_row("SELECT coalesce(min(min(id), 0), 0) - 1 FROM receipt", [], |row| row.get(0))?;
        let mut strays = Self { next_id, ..Self::default() };
        let mut statement = connection.prepare(
            "SELECT r.id, r.final, r.message_id, r.source, r.destination, x.id IS NOT NULL, x.attempt, x.rule
               FROM (SELECT receipt FROM stray ORDER BY receipt LIMIT ?1) s
               JOIN receipt r ON r.id = s.receipt
               LEFT JOIN receipt_match x
                 ON x.id = (SELECT max(y.id) FROM receipt_match y WHERE y.receipt_id = r.id)
              ORDER BY r.id DESC",
        )?;
        let mut rows = statement.query([STRAYS_MAX as i64])?;
        while let Some(row) = rows.next()? {
            let text = |column| -> Result<String, rusqlite::Error> {
                Ok(row.get::<_, Option<String>>(column)?.unwrap_or_default())
            };
            let (key, spellings, numbers) = fingerprint(ids, text(2)?.as_bytes(), [&text(3)?, &text(4)?]);
            strays.add(Stray {
                id: row.get(0)?,
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
                judged: row.get(5)?,
            });
        }
        Ok(strays)
    }

    /// A number for a receipt that belongs to no attempt's own numbers.
    pub fn next_id(&mut self) -> i64 {
        self.next_id -= 1;
        self.next_id + 1
    }

    /// Remembers a stray receipt.
    pub fn add(&mut self, stray: Stray) {
        for spelling in distinct(&stray.spellings) {
            self.by_spelling.entry(spelling).or_default().push(stray.id);
        }
        for number in distinct(&stray.numbers) {
            self.by_number.entry(number).or_default().push(stray.id);
        }
        if stray.judged {
            self.judged.push_back(stray.id);
        } else {
            self.waiting.push_back((stray.generation, stray.id));
        }
        self.all.insert(stray.id, stray);
        while self.judged.len() > STRAYS_MAX {
            if let Some(oldest) = self.judged.pop_front() {
                self.forget(oldest);
            }
        }
    }

    /// Forgets a receipt: nothing can change any more about whose it is.
    pub fn forget(&mut self, id: i64) {
        let Some(stray) = self.all.remove(&id) else { return };
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
            }
            (stray.owner, stray.rule, stray.judged) = (owner, rule, true);
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
