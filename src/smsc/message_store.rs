//! The latest messages, for query_sm, cancel_sm and replace_sm.
use std::collections::VecDeque;
use std::iter;
use std::time::Duration;

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

use super::history::key_of;
use super::receipts::{Fate, Party, Receipt};

/// What is kept of a message.
#[derive(Clone, Debug)]
pub(super) struct KeptMessage {
    source: Party,
    first: Addressed,
    /// Further destinations, of a message to many.
    others: Vec<Addressed>,
}

/// A message as it goes to one destination.
#[derive(Clone, Debug)]
pub(super) struct Addressed {
    pub(super) destination: Party,
    /// What becomes of it, and when (since the simulator's start).
    pub(super) fate: Fate,
    pub(super) due: Duration,
    is_cancelled: bool,
    /// The text that replaced its own, as octets.
    replaced: Option<Vec<u8>>,
}

impl Addressed {
    /// As it was sent.
    pub(super) fn new(destination: Party, fate: Fate, due: Duration) -> Addressed {
        Addressed { destination, fate, due, is_cancelled: false, replaced: None }
    }
}

impl KeptMessage {
    fn all(&self) -> impl Iterator<Item = &Addressed> {
        iter::once(&self.first).chain(&self.others)
    }

    fn all_mut(&mut self) -> impl Iterator<Item = &mut Addressed> {
        iter::once(&mut self.first).chain(&mut self.others)
    }

    /// What it is at the time `now`, and since when: a message to many is on its way as long as it is to one of them.
    pub(super) fn fate_at(&self, now: Duration) -> (Fate, Duration) {
        match self.all().find(|one| now < one.due) {
            Some(open) => (Fate::Enroute, open.due),
            None => (self.first.fate, self.first.due),
        }
    }

    /// Deletes what still waits at the time `now`, for one destination or all of them, and tells for which; false where nothing
    /// does.
    pub(super) fn cancel(&mut self, now: Duration, destination: Option<&[u8]>, mut tell: impl FnMut(&[u8])) -> bool {
        let mut is_any = false;
        let is_meant = |one: &&mut Addressed| destination.is_none_or(|wanted| one.destination.address() == wanted);
        for one in self.all_mut().filter(is_meant).filter(|one| now < one.due) {
            (one.is_cancelled, one.fate, one.due) = (true, Fate::Deleted, now);
            tell(one.destination.address());
            is_any = true;
        }
        is_any
    }

    /// Replaces the text of what still waits at the time `now`; false where nothing does.
    pub(super) fn replace(&mut self, now: Duration, text: &[u8]) -> bool {
        let mut is_any = false;
        for one in self.all_mut().filter(|one| now < one.due) {
            one.replaced = Some(text.to_vec());
            is_any = true;
        }
        is_any
    }
}

/// The latest so many messages; older ones are forgotten.
#[derive(Debug)]
pub(super) struct Kept {
    most: usize,
    messages: HashMap<u64, KeptMessage>,
    order: VecDeque<u64>,
}

impl Kept {
    /// Keeps at most `most`.
    pub(super) fn new(most: usize) -> Kept {
        Kept { most, messages: HashMap::new(), order: VecDeque::new() }
    }

    /// Keeps one more, or one more destination of one that is kept already.
    pub(super) fn insert(&mut self, number: u64, source: Party, one: Addressed) {
        match self.messages.entry(number) {
            Entry::Occupied(mut message) => return message.get_mut().others.push(one),
            Entry::Vacant(place) => drop(place.insert(KeptMessage { source, first: one, others: Vec::new() })),
        }
        self.order.push_back(number);
        if self.order.len() > self.most
            && let Some(oldest) = self.order.pop_front()
        {
            self.messages.remove(&oldest);
        }
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.messages.clear();
        self.order.clear();
    }

    /// The message, if it is still known and came from this source address.
    pub(super) fn find(&mut self, number: u64, source: &[u8]) -> Option<&mut KeptMessage> {
        self.messages.get_mut(&number).filter(|message| message.source.address() == source)
    }

    /// Cancels whatever waits from `source` to `destination`, and gives the keys of what it was.
    pub(super) fn cancel_all(&mut self, source: &[u8], destination: &[u8], now: Duration) -> Vec<u64> {
        let mut cancelled = Vec::new();
        for (number, message) in &mut self.messages {
            if message.source.address() == source {
                message.cancel(now, Some(destination), |to| cancelled.push(key_of(*number, to)));
            }
        }
        cancelled
    }

    /// What became of a message since its receipt was scheduled.
    pub(super) fn bring_up_to_date(&self, receipt: &mut Receipt) {
        let Some(message) = self.messages.get(&receipt.number) else { return };
        let is_it = |one: &&Addressed| one.destination.address() == receipt.destination.address();
        let Some(one) = message.all().find(is_it) else { return };
        // What was not cancelled has the end that the receipt tells already.
        if one.is_cancelled {
            (receipt.fate, receipt.error) = (one.fate, None);
        }
        if let Some(text) = &one.replaced {
            receipt.quote(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn insert(kept: &mut Kept, number: u64, destination: &[u8]) {
        let to = Addressed::new(Party::new(1, 1, destination), Fate::Delivered, Duration::from_secs(10));
        kept.insert(number, Party::new(1, 1, b"1234"), to);
    }

    fn fate(kept: &Kept, number: u64, destination: &[u8]) -> Fate {
        let party = Party::new(1, 1, destination);
        let mut receipt = Receipt::new(number, 0, party, party, Fate::Delivered);
        kept.bring_up_to_date(&mut receipt);
        receipt.fate
    }

    #[test]
    fn only_the_latest_are_known() {
        let mut kept = Kept::new(2);
        (1..=3).for_each(|number| insert(&mut kept, number, b"5678"));
        assert!(kept.find(1, b"1234").is_none());
        assert!(kept.find(3, b"9999").is_none());
        let found = kept.find(3, b"1234").unwrap();
        assert_eq!(found.fate_at(Duration::from_secs(9)).0, Fate::Enroute);
        assert_eq!(found.fate_at(Duration::from_secs(10)).0, Fate::Delivered);
        kept.clear();
        assert!(kept.find(3, b"1234").is_none());
    }

    #[test]
    fn cancelling_by_address_takes_what_still_waits() {
        let mut kept = Kept::new(10);
        insert(&mut kept, 1, b"5678");
        insert(&mut kept, 2, b"5679");
        assert_eq!(kept.cancel_all(b"1234", b"5678", Duration::from_secs(11)), [0; 0]);
        assert_eq!(kept.cancel_all(b"1234", b"5678", Duration::from_secs(1)), [key_of(1, b"5678")]);
        let fates = [(1, b"5678"), (2, b"5679"), (9, b"5678")].map(|(number, to)| fate(&kept, number, to));
        assert_eq!(fates, [Fate::Deleted, Fate::Delivered, Fate::Delivered]);
    }

    #[test]
    fn a_message_to_many_is_one_and_each_of_its_destinations_has_its_own_end() {
        let mut kept = Kept::new(2);
        insert(&mut kept, 1, b"0");
        (1..=200).for_each(|to: u8| insert(&mut kept, 2, to.to_string().as_bytes()));
        assert!(kept.find(1, b"1234").is_some(), "it counts as one message");
        assert_eq!(kept.cancel_all(b"1234", b"7", Duration::from_secs(1)), [key_of(2, b"7")]);
        let now = Duration::from_secs(2);
        let message = kept.find(2, b"1234").unwrap();
        assert_eq!(message.fate_at(now).0, Fate::Enroute);
        let mut told = Vec::new();
        assert!(message.cancel(now, None, |to| told.push(to.to_vec())));
        assert_eq!(told.len(), 199);
        assert!(!message.cancel(now, None, |_| {}) && !message.replace(now, b"x"), "nothing waits any more");
        assert_eq!(message.fate_at(now), (Fate::Deleted, now));
        assert!((1..=200).all(|to: u8| fate(&kept, 2, to.to_string().as_bytes()) == Fate::Deleted));
    }
}
