//! The numbers seen so far.

/// Shards: each grows on its own, so that only one 64th of the set is ever held twice.
const SHARDS: usize = 64;
const SHARD_BITS: u32 = SHARDS.ilog2();

/// Slots of the first shard when it is new. The others start with up to a growth step more, so that they do not all
/// grow at the same time and the set as a whole stays near its mean load.
const FIRST_SLOTS: usize = 64;

/// An exact set of [`Destination::key`](crate::message::address::Destination::key)s, 9 to 11 octets each at any time in its
/// growth.
///
/// Ten million numbers fit in 110 MB; a table that doubles would need 80 MB and 160 MB side by side.
#[derive(Clone, Debug)]
pub struct KeySet {
    shards: Vec<Shard>,
    len: usize,
}

/// Open addressing with linear probing. 0 marks a free slot: no key is 0.
#[derive(Clone, Debug)]
struct Shard {
    slots: Vec<u64>,
    len: usize,
}

impl Default for KeySet {
    fn default() -> KeySet {
        let slots = |i: usize| FIRST_SLOTS + FIRST_SLOTS * i / (4 * SHARDS);
        KeySet { shards: (0..SHARDS).map(|i| Shard { slots: vec![0; slots(i)], len: 0 }).collect(), len: 0 }
    }
}

impl KeySet {
    /// An empty set, which holds 36 KB.
    pub fn new() -> KeySet {
        KeySet::default()
    }

    /// Adds a key other than 0, and says whether it is new.
    pub fn insert(&mut self, key: u64) -> bool {
        let hash = mix(key);
        let shard = &mut self.shards[(hash >> (64 - SHARD_BITS)) as usize];
        match shard.find(key, hash) {
            Ok(_) => false,
            Err(free) => {
                shard.slots[free] = key;
                shard.len += 1;
                self.len += 1;
                // Nine tenths full at most, so that there always is a free slot to stop at.
                if shard.len * 10 >= shard.slots.len() * 9 {
                    shard.grow();
                }
                true
            }
        }
    }

    /// Whether the set has this key.
    #[cfg(test)]
    pub fn contains(&self, key: u64) -> bool {
        let hash = mix(key);
        self.shards[(hash >> (64 - SHARD_BITS)) as usize].find(key, hash).is_ok()
    }

    /// Keys in the set.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no key.
    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Octets that the set holds.
    #[cfg(test)]
    pub fn octets(&self) -> usize {
        self.shards.iter().map(|shard| shard.slots.capacity() * size_of::<u64>()).sum()
    }
}

impl Shard {
    /// The slot of a key, or else the free slot where it belongs.
    fn find(&self, key: u64, hash: u64) -> Result<usize, usize> {
        let slots = self.slots.as_slice();
        let mut at = ((u128::from(hash << SHARD_BITS) * slots.len() as u128) >> 64) as usize;
        loop {
            match slots[at] {
                0 => return Err(at),
                found if found == key => return Ok(at),
                _ => at = if at + 1 == slots.len() { 0 } else { at + 1 },
            }
        }
    }

    fn grow(&mut self) {
        let larger = self.slots.len() + self.slots.len() / 4;
        let smaller = std::mem::replace(&mut self.slots, vec![0; larger]);
        for key in smaller.into_iter().filter(|&key| key != 0) {
            if let Err(free) = self.find(key, mix(key)) {
                self.slots[free] = key;
            }
        }
    }
}

/// Spreads keys that differ in their last digits over all bits (the finaliser of MurmurHash3, which loses none of
/// them).
fn mix(key: u64) -> u64 {
    let mut hash = key;
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xFF51_AFD7_ED55_8CCD);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xC4CE_B9FE_1A85_EC53);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f04_a_key_is_new_once() {
        let mut keys = KeySet::new();
        let mut oracle = std::collections::HashSet::new();
        let mut random = fastrand::Rng::with_seed(4);
        for _ in 0..200_000 {
            let key = 1_447_700_000_000 + random.u64(..150_000);
            assert_eq!(keys.insert(key), oracle.insert(key));
        }
        assert_eq!(keys.len(), oracle.len());
        assert!((1_447_700_000_000..1_447_700_150_000).all(|key| keys.contains(key) == oracle.contains(&key)));
        assert!(!keys.contains(1) && !keys.is_empty());
    }

    #[test]
    fn f08_a_key_costs_at_most_eleven_octets_however_many_there_are() {
        let mut keys = KeySet::new();
        for i in 0..1_000_000 {
            keys.insert(1_447_700_000_000 + 7 * i);
            // While a shard grows, its new table stands beside the old one.
            let growing = keys.octets() / SHARDS * 5 / 4;
            assert!(i < 20_000 || keys.octets() + growing < 11 * keys.len(), "{i}: {}", keys.octets());
        }
    }
}
