//! How much is risked on a connection that has proved nothing. What is written and never answered is in doubt, so a
//! connection that ends again and again before its first answer must not be handed a message each time.
//!
//! A session is *proved* by its first answer to a message. Until then it may try one message, and only with leave: over all
//! connections no more messages are lost to sessions without an answer than [`RISKED`], and one more for every
//! [`SESSIONS_FOR_ONE`] such sessions. What a connection lost is forgotten when one of its sessions is proved.

use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// Messages that sessions without an answer may cost before it counts how many sessions there were.
pub const RISKED: u32 = 3;
/// So many sessions without an answer allow one message more.
pub const SESSIONS_FOR_ONE: u32 = 4;
/// So many sessions of a connection in a row without an answer are worth a word.
pub const WORTH_A_WORD: u32 = 5;

/// What is known of an account's connections.
#[derive(Debug, Default)]
pub struct Trust {
    slots: Mutex<Vec<Slot>>,
    nacked: AtomicBool,
}

/// Since the last answer on this connection.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    /// Sessions that ended without an answer.
    fruitless: u32,
    /// Messages that they left without one.
    lost: u32,
    /// The session that is bound now has leave to try.
    tries: bool,
}

impl Trust {
    /// For so many connections.
    pub fn new(connections: usize) -> Self {
        Self { slots: Mutex::new(vec![Slot::default(); connections]), nacked: AtomicBool::new(false) }
    }

    /// How many sessions of this connection in a row have ended without an answer.
    pub fn fruitless(&self, slot: usize) -> u32 {
        self.slots.lock().get(slot).map_or(0, |slot| slot.fruitless)
    }

    /// Whether a session that is not proved may write its one message. Leave holds until the session ends or is proved.
    pub fn may_try(&self, slot: usize) -> bool {
        let mut slots = self.slots.lock();
        let at_stake: u32 = slots.iter().map(|slot| slot.lost.saturating_add(u32::from(slot.tries))).sum();
        // This session is one of them, if it comes to that.
        let sessions = slots.iter().map(|slot| slot.fruitless).sum::<u32>().saturating_add(1);
        let Some(slot) = slots.get_mut(slot) else { return true };
        if !slot.tries {
            slot.tries = at_stake < RISKED + sessions / SESSIONS_FOR_ONE;
        }
        slot.tries
    }

    /// A session of this connection got its first answer.
    pub fn proved(&self, slot: usize) {
        if let Some(slot) = self.slots.lock().get_mut(slot) {
            *slot = Slot::default();
        }
    }

    /// A session that had something to send has ended without an answer, and leaves so many messages without one.
    pub fn ended(&self, slot: usize, lost: u32) {
        if let Some(slot) = self.slots.lock().get_mut(slot) {
            slot.fruitless = slot.fruitless.saturating_add(1);
            slot.lost = slot.lost.saturating_add(lost);
            slot.tries = false;
        }
    }

    /// Whether it is the first time that the SMSC answers enquire_link by generic_nack.
    pub fn is_first_nack(&self) -> bool {
        !self.nacked.swap(true, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_message_for_four_sessions_once_three_are_lost() {
        let trust = Trust::new(1);
        let tried: Vec<bool> = (0..16)
            .map(|_| {
                let tries = trust.may_try(0);
                trust.ended(0, u32::from(tries));
                tries
            })
            .collect();
        let count = tried.iter().filter(|&&tries| tries).count();
        assert_eq!(&tried[..3], [true; 3]);
        assert_eq!(count, 3 + 16 / 4);
        trust.proved(0);
        assert_eq!(trust.fruitless(0), 0);
        assert!(trust.may_try(0));
    }

    proptest! {
        #[test]
        fn never_more_is_lost_than_three_and_one_for_four_sessions(
            connections in 1..9usize, steps in proptest::collection::vec((0..9usize, 0..4u8), 1..400)
        ) {
            let trust = Trust::new(connections);
            let mut bound = vec![None::<bool>; connections];
            let (mut sessions, mut lost) = (0, 0);
            for (slot, step) in steps {
                let slot = slot % connections;
                match (step, bound[slot]) {
                    (0, None) => bound[slot] = Some(false),
                    (1 | 2, Some(false)) if trust.may_try(slot) => bound[slot] = Some(true),
                    (3, Some(tried)) => {
                        trust.ended(slot, u32::from(tried));
                        sessions += 1;
                        lost += u32::from(tried);
                        bound[slot] = None;
                    }
                    _ => {}
                }
                prop_assert!(lost <= RISKED + sessions / SESSIONS_FOR_ONE, "{lost} lost in {sessions} sessions");
            }
        }
    }
}
