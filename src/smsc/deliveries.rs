//! The receipts and messages of one session that were sent and are not answered yet.
use std::time::Duration;

use super::receipts::Delivery;
use crate::wire::SEQUENCE_NUMBER_MAX;

/// A window over sequence numbers: number modulo window is a slot, and numbers whose slot is taken are skipped.
#[derive(Debug)]
pub(super) struct Deliveries {
    slots: Vec<Option<(u32, Duration, Delivery)>>,
    next: u32,
    outstanding: usize,
    /// Something was due and found no room: the writer wants to be woken when a slot comes free.
    pub(super) starved: bool,
}

impl Deliveries {
    /// At most `window` (at least 1) outstanding.
    pub(super) fn new(window: usize) -> Deliveries {
        let window = window.clamp(1, 1 << 20);
        Deliveries { slots: (0..window).map(|_| None).collect(), next: 1, outstanding: 0, starved: false }
    }

    /// Slots that are free.
    pub(super) fn free(&self) -> usize {
        self.slots.len() - self.outstanding
    }

    /// How many are outstanding.
    pub(super) fn outstanding(&self) -> usize {
        self.outstanding
    }

    /// A sequence number for a request of the SMSC's that is not a receipt.
    pub(super) fn next_sequence(&mut self) -> u32 {
        let sequence_number = self.next;
        self.next = if sequence_number == SEQUENCE_NUMBER_MAX { 1 } else { sequence_number + 1 };
        sequence_number
    }

    /// Notes a delivery as sent at `now`, and gives its sequence number; hands it back when nothing is free.
    pub(super) fn insert(&mut self, now: Duration, delivery: Delivery) -> Result<u32, Delivery> {
        if self.free() == 0 {
            return Err(delivery);
        }
        loop {
            let sequence_number = self.next_sequence();
            let slot = sequence_number as usize % self.slots.len();
            if self.slots[slot].is_none() {
                self.slots[slot] = Some((sequence_number, now, delivery));
                self.outstanding += 1;
                return Ok(sequence_number);
            }
        }
    }

    /// Takes out what was sent under a sequence number.
    pub(super) fn settle(&mut self, sequence_number: u32) -> Option<Delivery> {
        let slot = sequence_number as usize % self.slots.len();
        match &self.slots[slot] {
            Some((number, ..)) if *number == sequence_number => {
                self.outstanding -= 1;
                self.slots[slot].take().map(|(_, _, delivery)| delivery)
            }
            _ => None,
        }
    }

    /// Takes out what was sent at `limit` or before.
    pub(super) fn take_sent_until(&mut self, limit: Duration) -> Vec<Delivery> {
        let mut taken = Vec::new();
        for slot in &mut self.slots {
            if slot.as_ref().is_some_and(|(_, sent, _)| *sent <= limit)
                && let Some((_, _, delivery)) = slot.take()
            {
                taken.push(delivery);
            }
        }
        self.outstanding -= taken.len();
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::super::receipts::{Fate, Party, Receipt};
    use super::*;

    fn receipt(number: u64) -> Delivery {
        let receipt = Receipt::new(number, 0, Party::new(1, 1, b"1"), Party::new(1, 1, b"2"), Fate::Delivered);
        Delivery::Receipt(receipt)
    }

    fn number(delivery: Option<Delivery>) -> Option<u64> {
        match delivery? {
            Delivery::Receipt(receipt) => Some(receipt.number),
            Delivery::Inbound(_) => None,
        }
    }

    #[test]
    fn numbers_of_taken_slots_are_skipped() {
        let mut deliveries = Deliveries::new(3);
        let at = Duration::from_secs;
        let sent: Vec<u32> = (1..=3).map(|n| deliveries.insert(at(n), receipt(n)).unwrap()).collect();
        assert_eq!(sent, [1, 2, 3]);
        assert!(deliveries.insert(at(4), receipt(4)).is_err());
        assert_eq!(number(deliveries.settle(2)), Some(2));
        assert!(deliveries.settle(2).is_none());
        assert!(deliveries.settle(5).is_none());
        assert_eq!(deliveries.insert(at(5), receipt(5)).unwrap(), 5);
        assert_eq!(number(deliveries.settle(1)), Some(1));
        assert_eq!(deliveries.insert(at(6), receipt(6)).unwrap(), 7);
        assert_eq!(deliveries.take_sent_until(at(5)).len(), 2);
        assert_eq!((deliveries.outstanding(), deliveries.free()), (1, 2));
    }

    #[test]
    fn numbers_wrap_to_one() {
        let mut deliveries = Deliveries::new(10);
        deliveries.next = SEQUENCE_NUMBER_MAX;
        assert_eq!(deliveries.insert(Duration::ZERO, receipt(1)).unwrap(), SEQUENCE_NUMBER_MAX);
        assert_eq!(deliveries.insert(Duration::ZERO, receipt(2)).unwrap(), 1);
    }
}
