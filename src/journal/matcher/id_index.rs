//! Message ids in memory: from the id that an SMSC gave to the attempt that it stands for.
//!
//! An index on random ids would be the dearest thing in the journal (three times all the rest), so the newest ids are
//! looked up here; older ones have moved to [`spill`](crate::journal::matcher::id_archive). Of an id only two keyed hashes are kept: one of the
//! id as it came, one of its folded form (lower case, no leading zeros). The keys are the journal's own, so that a hash
//! means the same in every run, and nobody outside can make ids that collide.

use crate::journal::matcher::id_recall::Recall;
use crate::journal::model::id_spelling::bare;
use crate::journal::model::key::Attempt;
use hashbrown::HashTable;
use siphasher::sip::SipHasher13;
use std::hash::Hasher;

/// An attempt known by its message id.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    folded: u64,
    packed: u64,
    /// Of the hash of the id as it came: what tells spellings of one id apart.
    exact: u32,
    /// The last digits of the number that the attempt went to ([`tag`]).
    tag: u32,
}

/// Set when the attempt's message has one part that was tried once, with nothing unusual in its story.
const PLAIN: u64 = 1 << 63;
/// Set when a receipt of the attempt is stored under the attempt's own number.
const SEEN: u64 = 1 << 62;
/// Set when one of them was final.
const FINAL: u64 = 1 << 61;
/// Set when a receipt was matched to the attempt, or taken from it, that the bits above say nothing of.
const MATCHED: u64 = 1 << 60;
/// Set when a receipt of the attempt that is stored under its own number named no number.
const NUMBERLESS: u64 = 1 << 59;
const ATTEMPT: u64 = NUMBERLESS - 1;

/// What is kept of the number of an attempt that went nobody knows where to.
const NOWHERE: u32 = u32::MAX;

/// How many of their last digits tell two numbers apart: a number may be written with or without its country.
pub const LAST_DIGITS: u64 = 10_000_000;

/// What a known attempt keeps of the number that it went to ([`crate::message::address::Destination::key`]): 0, nothing, of no
/// number; else one more than its last digits.
fn tag(number: u64) -> u32 {
    if number == 0 { 0 } else { 1 + (number % LAST_DIGITS) as u32 }
}

impl Known {
    /// An id as [`spill`](crate::journal::matcher::id_archive) keeps it; `tag` is what [`Self::tag`] gave.
    pub fn spilled(key: IdKey, attempt: Attempt, plain: bool, tag: u32) -> Self {
        let packed = attempt.0 as u64 & ATTEMPT | if plain { PLAIN } else { 0 };
        Self { folded: key.folded, packed, exact: key.exact as u32, tag }
    }

    /// What is kept of the hash of the id as it came.
    pub fn exact(&self) -> u32 {
        self.exact
    }

    /// What is kept of the number that the attempt went to; 0: nothing yet.
    pub fn tag(&self) -> u32 {
        self.tag
    }

    /// Whether a receipt with these numbers in its addresses (0: none) can be about the attempt: unless it names only
    /// others. `None`: it is not known where the attempt went to.
    fn may_be_meant(&self, numbers: [u64; 2]) -> Option<bool> {
        match self.tag() {
            _ if numbers == [0, 0] => Some(true),
            0 => None,
            kept => Some(kept == NOWHERE || numbers.iter().any(|number| tag(*number) == kept)),
        }
    }

    fn has(&self, key: IdKey) -> bool {
        self.folded == key.folded && self.exact == key.exact as u32
    }

    /// The attempt.
    pub fn attempt(&self) -> Attempt {
        Attempt((self.packed & ATTEMPT) as i64)
    }

    /// The hash of the folded id.
    pub fn folded(&self) -> u64 {
        self.folded
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

    /// Notes that a receipt was matched to the attempt, or taken from it, other than as it came.
    pub fn note_matched(&mut self) {
        self.packed |= MATCHED;
    }

    /// Notes that one of its receipts named no number.
    pub fn note_numberless(&mut self) {
        self.packed |= NUMBERLESS;
    }

    /// Whether it has, or had, a receipt.
    fn is_receipted(&self) -> bool {
        self.packed & (SEEN | MATCHED) != 0
    }

    /// Whether its final receipt has come, or may have.
    pub fn may_be_over(&self) -> bool {
        self.packed & (FINAL | MATCHED) != 0
    }

    /// Whether its final receipt has come for certain.
    fn is_over(&self) -> bool {
        self.packed & (FINAL | MATCHED) == FINAL
    }

    /// Whether it is known to which number it went.
    pub fn has_number(&self) -> bool {
        !matches!(self.tag, 0 | NOWHERE)
    }
}

/// What is known of an attempt's receipts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Receipts {
    /// One is stored under the attempt's own number.
    pub seen: bool,
    /// One of those was final.
    pub is_final: bool,
    /// One of those named no number.
    pub numberless: bool,
    /// One was matched to it otherwise.
    pub matched: bool,
}

impl Receipts {
    /// Notes them.
    pub fn note(self, known: &mut Known) {
        if self.seen {
            known.note_receipt(self.is_final);
        }
        if self.numberless {
            known.note_numberless();
        }
        if self.matched {
            known.note_matched();
        }
    }
}

/// An id as a key: hashed once for every look-up of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct IdKey {
    /// Hash of the octets as they came.
    pub exact: u64,
    /// Hash of the octets in lower case without padding.
    pub folded: u64,
}

/// What an id leads to.
#[derive(Debug)]
pub enum Found<'a> {
    /// No attempt.
    None,
    /// This one.
    One(&'a mut Known),
    /// Several that it takes a closer look to choose from.
    Several,
    /// Some, and the receipt names the number of none of them.
    OfOthers,
    /// This one, of which it is to be found out where it went to ([`Ids::note_destination`]).
    Unsure(Attempt),
}

/// [`Found`], without a way to change it.
enum Choice {
    None,
    One(Known),
    Several,
    OfOthers,
    Unsure(Attempt),
}

fn choose<'a>(near: impl Iterator<Item = &'a Known>, key: IdKey, numbers: [u64; 2]) -> Choice {
    let mut chosen: Option<Known> = None;
    let mut several = false;
    let mut of_others = false;
    for known in near {
        if !known.has(key) {
            continue;
        }
        match known.may_be_meant(numbers) {
            Some(true) => {}
            Some(false) => {
                of_others = true;
                continue;
            }
            None => return Choice::Unsure(known.attempt()),
        }
        let Some(other) = chosen else {
            chosen = Some(*known);
            continue;
        };
        let (older, newer) = if other.attempt() < known.attempt() { (other, *known) } else { (*known, other) };
        if !several && older.is_over() && !newer.may_be_over() {
            // An id that the SMSC gave again: the one that still waits is meant.
            chosen = Some(newer);
        } else {
            several = true;
        }
    }
    match chosen {
        Some(_) if several => Choice::Several,
        Some(chosen) => Choice::One(chosen),
        None if of_others => Choice::OfOthers,
        None => Choice::None,
    }
}

/// One table in so many pieces. A table that grows, or is rid of the traces of what was taken out, needs its memory twice
/// for that moment; a piece of it needs little.
const PIECES: usize = 64;

/// The table.
#[derive(Debug)]
pub struct Ids {
    pieces: Vec<HashTable<Known>>,
    len: usize,
    keys: (u64, u64),
    capacity: usize,
    recall: Recall,
}

/// The piece for a hash: given by bits that a piece itself neither places nor marks its entries by.
fn piece_of(folded: u64) -> usize {
    (folded >> 32) as usize % PIECES
}

impl Ids {
    /// An empty table that is full with `capacity` ids. `keys` are those of the hashes.
    pub fn new(capacity: usize, keys: (u64, u64)) -> Self {
        let pieces = (0..PIECES).map(|_| HashTable::new()).collect();
        Self { pieces, len: 0, keys, capacity, recall: Recall::default() }
    }

    /// The key of an id.
    pub fn key(&self, id: &[u8]) -> IdKey {
        let mut hasher = SipHasher13::new_with_keys(self.keys.0, self.keys.1);
        hasher.write(id);
        IdKey { exact: hasher.finish(), folded: self.folded(id) }
    }

    /// The hash of an id's folded form.
    pub fn folded(&self, id: &[u8]) -> u64 {
        let significant = bare(id);
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
        hasher.finish()
    }

    /// A hash, by the journal's own keys, of things that belong together; not 0.
    pub fn keyed(&self, things: &[&[u8]]) -> u64 {
        let mut hasher = SipHasher13::new_with_keys(self.keys.0, !self.keys.1);
        things.iter().for_each(|thing| hasher.write(thing));
        hasher.finish().max(1)
    }

    /// Notes that `key` is the id of `attempt`, of which no receipt came yet.
    /// `destination` is where it went to, 0 if that is not at hand. Says whether another attempt has exactly that id.
    pub fn insert(&mut self, key: IdKey, attempt: Attempt, plain: bool, destination: u64) -> bool {
        let is_again = self.near(key.folded).any(|known| known.has(key));
        self.put(key, Known::spilled(key, attempt, plain, tag(destination)));
        is_again
    }

    /// Notes that `key` is the id of `attempt`, of which these receipts are known.
    pub fn restore(&mut self, key: IdKey, attempt: Attempt, plain: bool, receipts: Receipts) {
        let mut known = Known::spilled(key, attempt, plain, 0);
        receipts.note(&mut known);
        self.put(key, known);
    }

    /// Attempts other than `attempt` with exactly its id, of which a receipt that came can be about `attempt` as well: it
    /// named no number, or one to which both went.
    pub fn receipted(&self, key: IdKey, attempt: Attempt, destination: u64) -> impl Iterator<Item = Attempt> + '_ {
        let went_to = tag(destination);
        let may_share = move |known: &&Known| {
            known.has(key)
                && known.attempt() != attempt
                && known.is_receipted()
                && (went_to == 0
                    || !known.has_number()
                    || known.tag == went_to
                    || known.packed & (NUMBERLESS | MATCHED) != 0)
        };
        self.near(key.folded).filter(may_share).map(Known::attempt)
    }

    fn put(&mut self, key: IdKey, known: Known) {
        self.len += 1;
        self.pieces[piece_of(key.folded)].insert_unique(key.folded, known, |known| known.folded);
    }

    /// Looks at where the attempts of these ids stand or will stand, and at nothing else: side by side, so that the
    /// processor waits for the memory of several at once instead of for one after the other.
    pub fn warm(&self, keys: &[IdKey]) {
        for key in keys {
            let near = self.near(key.folded).chain(self.recall.near(key.folded));
            std::hint::black_box(near.map(|known| known.packed).next());
        }
    }

    /// Notes where an attempt went to; 0: nobody knows.
    pub fn note_destination(&mut self, key: IdKey, attempt: Attempt, destination: u64) {
        let kept = if destination == 0 { NOWHERE } else { tag(destination) };
        self.change(key.folded, attempt, |known| known.tag = kept);
    }

    /// The attempts with exactly this id that are not known to have gone to other numbers than these.
    pub fn with_exactly(&self, key: IdKey, numbers: [u64; 2]) -> impl Iterator<Item = Attempt> + '_ {
        let may_be = move |known: &&Known| known.has(key) && known.may_be_meant(numbers) != Some(false);
        self.near(key.folded).filter(may_be).map(Known::attempt)
    }

    /// The attempt with exactly this id, to one of the numbers in a receipt's addresses if it has any (0: none). What is
    /// in memory for a while only ([`Self::recall`]) is looked at where nothing else fits.
    pub fn find_exact(&mut self, key: IdKey, numbers: [u64; 2]) -> Found<'_> {
        let mut choice = choose(self.near(key.folded), key, numbers);
        let mut recalled = false;
        if matches!(choice, Choice::None | Choice::OfOthers) {
            let other = choose(self.recall.near(key.folded), key, numbers);
            if !matches!(other, Choice::None) {
                (choice, recalled) = (other, true);
            }
        }
        let chosen = match choice {
            Choice::None => return Found::None,
            Choice::OfOthers => return Found::OfOthers,
            Choice::Several => return Found::Several,
            Choice::Unsure(attempt) => return Found::Unsure(attempt),
            Choice::One(chosen) => chosen,
        };
        let is_it = |known: &Known| known.packed == chosen.packed && known.has(key);
        let found = if recalled {
            self.recall.note_hit();
            self.recall.find_mut(key.folded, is_it)
        } else {
            self.pieces[piece_of(key.folded)].find_mut(key.folded, is_it)
        };
        found.map_or(Found::None, Found::One)
    }

    /// The attempts whose id has this folded form.
    pub fn find_folded(&self, folded: u64) -> impl Iterator<Item = Attempt> + '_ {
        self.near(folded).filter(move |known| known.folded == folded).map(Known::attempt)
    }

    /// Notes something of the attempt known under an id with this folded form.
    pub fn change(&mut self, folded: u64, attempt: Attempt, note: impl Fn(&mut Known)) {
        let is_it = |known: &Known| known.attempt() == attempt;
        let kept = self.pieces[piece_of(folded)].find_mut(folded, is_it);
        for known in kept.into_iter().chain(self.recall.find_mut(folded, is_it)) {
            note(known);
        }
    }

    /// Spilled ids that are in memory for a while.
    pub fn recall(&mut self) -> &mut Recall {
        &mut self.recall
    }

    /// What is kept under a hash, and perhaps some under others.
    fn near(&self, folded: u64) -> impl Iterator<Item = &Known> {
        self.pieces[piece_of(folded)].iter_hash(folded)
    }

    /// How many ids are kept.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether none is kept.
    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// With how many it is full.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Whether some must go before another is kept.
    pub fn is_full(&self) -> bool {
        self.len >= self.capacity
    }

    /// Takes out about one in `share`: those of the lowest parts. Returns them and the part before which none is left.
    pub fn take_oldest(&mut self, share: usize) -> (Vec<Known>, i64) {
        self.take(self.len / share.max(1))
    }

    fn take(&mut self, count: usize) -> (Vec<Known>, i64) {
        // A sample is enough to find a part that about so many are before.
        let step = (self.len / 4_096).max(1);
        let all = self.pieces.iter().flatten();
        let mut sample: Vec<i64> = all.step_by(step).map(|known| known.attempt().part()).collect();
        sample.sort_unstable();
        let place = (sample.len() as u128 * count as u128 / self.len.max(1) as u128) as usize;
        let Some(&edge) = sample.get(place) else { return (Vec::new(), 0) };
        // At least one part goes, whatever the sample held.
        let edge = edge.max(sample.first().map_or(0, |first| first + 1));
        let mut taken = Vec::with_capacity(count * 9 / 8);
        for piece in &mut self.pieces {
            let before = piece.len();
            taken.extend(piece.extract_if(|known| known.attempt().part() < edge));
            // What is taken out leaves traces, for which the piece would soon be twice as large.
            let mut fresh = HashTable::with_capacity(before);
            for known in piece.drain() {
                fresh.insert_unique(known.folded, known, |known| known.folded);
            }
            *piece = fresh;
        }
        self.len -= taken.len();
        (taken, edge)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(ids: &mut Ids, id: &str) -> Option<Known> {
        match ids.find_exact(ids.key(id.as_bytes()), [0, 0]) {
            Found::One(known) => Some(*known),
            _ => None,
        }
    }

    #[test]
    fn ids_are_found_as_they_came() {
        let mut ids = Ids::new(10, (1, 2));
        let spellings = ["77", "077", "B8BE19", "b8be19", ""];
        for (n, id) in spellings.into_iter().enumerate() {
            let key = ids.key(id.as_bytes());
            ids.insert(key, Attempt(n as i64), true, 0);
        }
        for (n, id) in spellings.into_iter().enumerate() {
            let known = one(&mut ids, id).unwrap();
            assert_eq!(known.attempt(), Attempt(n as i64), "{id}");
            assert!(known.is_plain() && !known.is_seen());
        }
        assert_eq!(ids.key(b"00b8be19").folded, ids.key(b"B8BE19").folded);
        assert_eq!(ids.find_folded(ids.folded(b"00B8be19")).count(), 2);
        assert!(one(&mut ids, "0077").is_none());
    }

    #[test]
    fn an_id_given_twice_means_the_one_that_waits() {
        let mut ids = Ids::new(10, (1, 2));
        let key = ids.key(b"5");
        ids.insert(key, Attempt(1), true, 0);
        ids.insert(key, Attempt(2), true, 0);
        assert!(matches!(ids.find_exact(key, [0, 0]), Found::Several));
        ids.change(key.folded, Attempt(1), |known| known.note_receipt(true));
        assert_eq!(one(&mut ids, "5").unwrap().attempt(), Attempt(2));
    }

    #[test]
    fn memory_does_not_grow_with_what_comes_and_goes() {
        let mut ids = Ids::new(100_000, (1, 2));
        for n in 0..600_000 {
            if ids.is_full() {
                ids.take_oldest(8);
            }
            let key = ids.key(n.to_string().as_bytes());
            ids.insert(key, Attempt::new(n, 0), true, 0);
        }
        assert!(ids.len() > 80_000);
        let room: usize = ids.pieces.iter().map(HashTable::capacity).sum();
        // Pieces have room for 1,792 each; a few have more than their share.
        assert!(room < 1_792 * PIECES * 5 / 4, "{room}");
    }

    #[test]
    fn the_oldest_go_first_and_all_of_them() {
        let mut ids = Ids::new(1_000, (1, 2));
        for n in 0..100_000 {
            let key = ids.key(n.to_string().as_bytes());
            ids.insert(key, Attempt::new(n, 0), true, 0);
        }
        assert!(ids.is_full());
        let (taken, edge) = ids.take_oldest(8);
        assert!((10_000..16_000).contains(&taken.len()), "{}", taken.len());
        assert!(taken.iter().all(|known| known.attempt().part() < edge));
        assert_eq!(taken.len() as i64, edge);
        assert_eq!(ids.len(), ids.pieces.iter().map(HashTable::len).sum::<usize>());
        assert_eq!(ids.len() + taken.len(), 100_000);
        assert!(ids.pieces.iter().flatten().all(|known| known.attempt().part() >= edge));
        let mut single = Ids::new(1, (1, 2));
        single.insert(IdKey { exact: 1, folded: 1 }, Attempt::new(5, 0), true, 0);
        assert_eq!(single.take_oldest(8).1, 6);
        assert!(single.is_empty());
    }
}
