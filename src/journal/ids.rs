//! Message ids in memory: from the id that an SMSC gave to the attempt that it stands for.
//!
//! An index on random ids would be the dearest thing in the journal (three times all the rest), so what is outstanding
//! is looked up here and can be rebuilt from the journal at any time. Of an id only two keyed hashes are kept: one of the
//! id as it came, one of its folded form (lower case, no leading zeros).

use super::key::Attempt;
use hashbrown::HashTable;
use siphasher::sip::SipHasher13;
use std::hash::Hasher;

/// An attempt known by its message id.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    exact: u64,
    folded: u64,
    packed: u64,
}

/// Set when the attempt's message has one part that was tried once, with nothing unusual in its story.
const PLAIN: u64 = 1 << 63;
/// Set when a receipt of the attempt is stored under the attempt's own number.
const SEEN: u64 = 1 << 62;
/// Set when one of them was final.
const FINAL: u64 = 1 << 61;
const ATTEMPT: u64 = FINAL - 1;

impl Known {
    /// The attempt.
    pub fn attempt(&self) -> Attempt {
        Attempt((self.packed & ATTEMPT) as i64)
    }

    /// Whether the message's state is read straight off its facts.
    pub fn is_plain(&self) -> bool {
        self.packed & PLAIN != 0
    }

    /// Whether a receipt came already.
    pub fn is_seen(&self) -> bool {
        self.packed & SEEN != 0
    }

    /// Whether a final receipt came already.
    pub fn is_final(&self) -> bool {
        self.packed & FINAL != 0
    }

    /// Notes a receipt.
    pub fn note_receipt(&mut self, is_final: bool) {
        self.packed |= SEEN | if is_final { FINAL } else { 0 };
    }

    /// Notes that the message's state is from now on stored.
    pub fn not_plain(&mut self) {
        self.packed &= !PLAIN;
    }
}

/// An id as a key: hashed once for every look-up of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct IdKey {
    /// Hash of the octets as they came.
    pub exact: u64,
    /// Hash of the octets in lower case without leading zeros.
    pub folded: u64,
}

/// The table.
#[derive(Debug)]
pub struct Ids {
    table: HashTable<Known>,
    keys: (u64, u64),
    capacity: usize,
}

impl Ids {
    /// An empty table that keeps about `capacity` ids whose final receipt is outstanding.
    pub fn new(capacity: usize) -> Self {
        Self { table: HashTable::new(), keys: (fastrand::u64(..), fastrand::u64(..)), capacity }
    }

    /// The key of an id.
    pub fn key(&self, id: &[u8]) -> IdKey {
        let mut hasher = SipHasher13::new_with_keys(self.keys.0, self.keys.1);
        hasher.write(id);
        let exact = hasher.finish();
        let significant = &id[id.iter().take_while(|&&octet| octet == b'0').count()..];
        let mut hasher = SipHasher13::new_with_keys(self.keys.1, self.keys.0);
        if significant.iter().any(u8::is_ascii_uppercase) {
            let mut lower = [0; 64];
            for piece in significant.chunks(64) {
                let lower = &mut lower[..piece.len()];
                lower.copy_from_slice(piece);
                lower.make_ascii_lowercase();
                hasher.write(lower);
            }
        } else {
            hasher.write(significant);
        }
        IdKey { exact, folded: hasher.finish() }
    }

    /// Notes that `key` is the id of `attempt`, of which no receipt came yet.
    pub fn insert(&mut self, key: IdKey, attempt: Attempt, plain: bool) {
        self.restore(key, attempt, plain, None);
    }

    /// Notes that `key` is the id of `attempt`. `receipt`: whether one came already, and whether it was final.
    pub fn restore(&mut self, key: IdKey, attempt: Attempt, plain: bool, receipt: Option<bool>) {
        if self.table.len() >= self.capacity && self.table.len() == self.table.capacity() {
            self.shed();
        }
        let packed = attempt.0 as u64 & ATTEMPT | if plain { PLAIN } else { 0 };
        let mut known = Known { exact: key.exact, folded: key.folded, packed };
        if let Some(is_final) = receipt {
            known.note_receipt(is_final);
        }
        self.table.insert_unique(key.folded, known, |known| known.folded);
    }

    /// The attempt with exactly this id: `None` where there is none, `Some(Err)` where there are several whose final
    /// receipt is outstanding.
    pub fn find_exact(&mut self, key: IdKey) -> Option<Result<&mut Known, Vec<Attempt>>> {
        let mut found: Option<Known> = None;
        let mut rivals = Vec::new();
        for known in self.table.iter_hash(key.folded) {
            if known.exact != key.exact || known.folded != key.folded {
                continue;
            }
            match found {
                None => found = Some(*known),
                // An id that the SMSC gave again: the one that still waits is meant.
                Some(other) if other.is_final() && !known.is_final() => found = Some(*known),
                Some(other) if other.is_final() == known.is_final() => {
                    if rivals.is_empty() {
                        rivals.push(other.attempt());
                    }
                    rivals.push(known.attempt());
                }
                Some(_) => {}
            }
        }
        let chosen = found?;
        if !rivals.is_empty() && rivals.contains(&chosen.attempt()) {
            return Some(Err(rivals));
        }
        self.table.find_mut(key.folded, |known| known.packed == chosen.packed && known.exact == key.exact).map(Ok)
    }

    /// Notes that the attempt's message is not plain (any more).
    pub fn not_plain(&mut self, key: IdKey, attempt: Attempt) {
        if let Some(known) = self.table.find_mut(key.folded, |known| known.attempt() == attempt) {
            known.not_plain();
        }
    }

    /// How many ids are kept.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Lets go of attempts with a final receipt: only a repetition of it would still ask for them.
    fn shed(&mut self) {
        self.table.retain(|known| !known.is_final());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_found_as_they_came() {
        let mut ids = Ids::new(10);
        for (n, id) in ["77", "077", "B8BE19", "b8be19", ""].into_iter().enumerate() {
            let key = ids.key(id.as_bytes());
            ids.insert(key, Attempt(n as i64), true);
        }
        for (n, id) in ["77", "077", "B8BE19", "b8be19", ""].into_iter().enumerate() {
            let key = ids.key(id.as_bytes());
            let known = ids.find_exact(key).unwrap().unwrap();
            assert_eq!(known.attempt(), Attempt(n as i64), "{id}");
            assert!(known.is_plain() && !known.is_seen());
        }
        assert_eq!(ids.key(b"00b8be19").folded, ids.key(b"B8BE19").folded);
        assert!(ids.find_exact(ids.key(b"0077")).is_none());
    }

    #[test]
    fn an_id_given_twice_means_the_one_that_waits() {
        let mut ids = Ids::new(10);
        let key = ids.key(b"5");
        ids.insert(key, Attempt(1), true);
        ids.insert(key, Attempt(2), true);
        assert_eq!(ids.find_exact(key).unwrap().unwrap_err().len(), 2);
        ids.table.find_mut(key.folded, |known| known.attempt() == Attempt(1)).unwrap().note_receipt(true);
        assert_eq!(ids.find_exact(key).unwrap().unwrap().attempt(), Attempt(2));
    }

    #[test]
    fn what_has_its_final_receipt_goes_first_when_memory_is_short() {
        let mut ids = Ids::new(1_000);
        for n in 0..100_000 {
            let key = ids.key(n.to_string().as_bytes());
            ids.insert(key, Attempt(n), true);
            if n % 10 != 0 {
                ids.find_exact(key).unwrap().unwrap().note_receipt(true);
            }
        }
        assert!(ids.len() < 60_000, "{}", ids.len());
        for n in (0..100_000).step_by(10) {
            let key = ids.key(n.to_string().as_bytes());
            assert_eq!(ids.find_exact(key).unwrap().unwrap().attempt(), Attempt(n));
        }
    }
}
