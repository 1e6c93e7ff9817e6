//! An account: its sessions, its rate, and its receipts, which any of its receiving sessions may carry.
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::checks::Part;
use super::rate::SlidingRate;
use super::receipts::{Receipt, ReceiptQueue};
use super::session::Session;
use super::settings::Settings;
use crate::smsc::reassembly::Joined;
use crate::wire::{BindKind, Sm};

/// Receipts that may wait for an account, about a gigabyte of them. Beyond it messages are answered "queue full", since
/// an account that never fetches its receipts must not take the machine's memory.
const WAITING_RECEIPTS_MAX: usize = 10_000_000;

/// All bound sessions of one system_id share one of these.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) system_id: Vec<u8>,
    rate: Option<Mutex<SlidingRate>>,
    members: Mutex<Members>,
    receipts: Mutex<ReceiptQueue>,
    joined: Mutex<Joined>,
    /// The length of `receipts`, to be looked at without its lock.
    waiting: AtomicUsize,
}

#[derive(Debug, Default)]
struct Members {
    bound: usize,
    receivers: Vec<Arc<Session>>,
}

impl Account {
    /// An account without sessions.
    pub(super) fn new(system_id: &[u8], settings: &Settings) -> Account {
        let rate = settings.rate.map(|rate| Mutex::new(SlidingRate::new(rate, settings.rate_tolerance_percent)));
        Account {
            system_id: system_id.to_vec(),
            rate,
            members: Mutex::default(),
            receipts: Mutex::default(),
            joined: Mutex::default(),
            waiting: AtomicUsize::new(0),
        }
    }

    /// Adds a session, unless there are already `most`.
    pub(super) fn join(&self, session: &Arc<Session>, kind: BindKind, most: usize) -> bool {
        let mut members = self.members.lock();
        if members.bound >= most {
            return false;
        }
        members.bound += 1;
        if kind.can_receive() {
            members.receivers.push(Arc::clone(session));
        }
        true
    }

    /// Removes a session that had joined.
    pub(super) fn leave(&self, session: &Session) {
        let mut members = self.members.lock();
        members.bound -= 1;
        members.receivers.retain(|receiver| receiver.id != session.id);
    }

    /// Whether the rate lets one more message through at `now`.
    pub(super) fn admit(&self, now: Duration) -> bool {
        self.rate.as_ref().is_none_or(|rate| rate.lock().take(now, 1) == 1)
    }

    /// Takes a part of a long message; gives the whole text with the last one.
    pub(super) fn join_part(&self, sm: &Sm<'_>, part: Part) -> Option<String> {
        self.joined.lock().take(sm, part)
    }

    /// Whether too many receipts wait already.
    pub(super) fn is_full(&self) -> bool {
        self.waiting() >= WAITING_RECEIPTS_MAX
    }

    /// Receipts that wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Queues receipts, and wakes the sessions that can carry them if one is due before all others.
    pub(super) fn schedule(&self, batch: impl IntoIterator<Item = (Duration, Receipt)>) {
        let mut earlier = false;
        {
            let mut receipts = self.receipts.lock();
            for (due, receipt) in batch {
                earlier |= receipts.push(due, receipt);
            }
            self.waiting.store(receipts.len(), Ordering::Relaxed);
        }
        if earlier {
            self.members.lock().receivers.iter().for_each(|session| session.wake());
        }
    }

    /// Moves up to `most` due receipts to `taken`, and tells when the next is due.
    pub(super) fn take_due(&self, now: Duration, most: usize, taken: &mut Vec<Receipt>) -> Option<Duration> {
        let mut receipts = self.receipts.lock();
        receipts.take_due(now, most, taken);
        self.waiting.store(receipts.len(), Ordering::Relaxed);
        receipts.next_due()
    }
}
