//! The latest messages, for query_sm, cancel_sm and replace_sm.
use std::collections::VecDeque;
use std::time::Duration;

use hashbrown::HashMap;

use super::receipts::{Fate, Party, Receipt};

/// What is kept of a message.
#[derive(Clone, Debug)]
pub(super) struct KeptMessage {
    pub(super) source: Party,
    pub(super) destination: Party,
    /// What becomes of it, and when (since the simulator's start).
    pub(super) fate: Fate,
    pub(super) due: Duration,
    /// The text that replaced its own, as octets.
    pub(super) replaced: Option<Vec<u8>>,
}

impl KeptMessage {
    /// What it is at the time `now`.
    pub(super) fn fate_at(&self, now: Duration) -> Fate {
        if now < self.due { Fate::Enroute } else { self.fate }
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

    /// Keeps one more.
    pub(super) fn insert(&mut self, number: u64, message: KeptMessage) {
        if self.order.len() >= self.most
            && let Some(oldest) = self.order.pop_front()
        {
            self.messages.remove(&oldest);
        }
        self.order.push_back(number);
        self.messages.insert(number, message);
    }

    /// The message, if it is still known and came from this source address.
    pub(super) fn find(&mut self, number: u64, source: &[u8]) -> Option<&mut KeptMessage> {
        self.messages.get_mut(&number).filter(|message| message.source.address() == source)
    }

    /// Cancels whatever waits from `source` to `destination`, and says how many there were.
    pub(super) fn cancel_all(&mut self, source: &[u8], destination: &[u8], now: Duration) -> usize {
        let matching = |message: &&mut KeptMessage| {
            message.source.address() == source && message.destination.address() == destination && now < message.due
        };
        self.messages.values_mut().filter(matching).map(|message| message.cancel(now)).count()
    }

    /// What became of a message since its receipt was scheduled.
    pub(super) fn bring_up_to_date(&self, receipt: &mut Receipt) {
        let Some(message) = self.messages.get(&receipt.number) else { return };
        receipt.fate = message.fate;
        if let Some(text) = &message.replaced {
            receipt.quote(text);
        }
    }
}

impl KeptMessage {
    /// Deletes the message at the time `now`.
    pub(super) fn cancel(&mut self, now: Duration) {
        self.fate = Fate::Deleted;
        self.due = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(destination: &[u8]) -> KeptMessage {
        KeptMessage {
            source: Party::new(1, 1, b"1234"),
            destination: Party::new(1, 1, destination),
            fate: Fate::Delivered,
            due: Duration::from_secs(10),
            replaced: None,
        }
    }

    #[test]
    fn only_the_latest_are_known() {
        let mut kept = Kept::new(2);
        (1..=3).for_each(|number| kept.insert(number, message(b"5678")));
        assert!(kept.find(1, b"1234").is_none());
        assert!(kept.find(3, b"9999").is_none());
        let found = kept.find(3, b"1234").unwrap();
        assert_eq!(found.fate_at(Duration::from_secs(9)), Fate::Enroute);
        assert_eq!(found.fate_at(Duration::from_secs(10)), Fate::Delivered);
    }

    #[test]
    fn cancelling_by_address_takes_what_still_waits() {
        let mut kept = Kept::new(10);
        kept.insert(1, message(b"5678"));
        kept.insert(2, message(b"5679"));
        assert_eq!(kept.cancel_all(b"1234", b"5678", Duration::from_secs(11)), 0);
        assert_eq!(kept.cancel_all(b"1234", b"5678", Duration::from_secs(1)), 1);
        let fate = |number| {
            let party = Party::new(1, 1, b"1");
            let mut receipt = Receipt::new(number, 0, party, party, Fate::Delivered);
            kept.bring_up_to_date(&mut receipt);
            receipt.fate
        };
        assert_eq!((fate(1), fate(2), fate(9)), (Fate::Deleted, Fate::Delivered, Fate::Delivered));
    }
}
