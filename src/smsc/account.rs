//! An account: its sessions, its rate, and its receipts, which any of its receiving sessions may carry.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::behaviour::Behaviour;
use super::checks::Part;
use super::limits::{Asked, Limiters, Verdict};
use super::rate::SlidingRate;
use super::receipts::{Delivery, DeliveryQueue};
use super::session::Session;
use super::stats::Counter;
use crate::smsc::reassembly::Joined;
use crate::wire::{BindKind, Sm};

/// Receipts that may wait for an account, about a gigabyte of them. Beyond it messages are answered "queue full", since
/// an account that never fetches its receipts must not take the machine's memory.
const WAITING_RECEIPTS_MAX: usize = 10_000_000;

/// All bound sessions of one system_id share one of these.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) system_id: Arc<[u8]>,
    /// Whether there is a limit at all, to be looked at without the lock.
    is_limited: AtomicBool,
    admission: Mutex<Admission>,
    members: Mutex<Members>,
    receipts: Mutex<DeliveryQueue>,
    joined: Mutex<Joined>,
    /// The length of `receipts`, to be looked at without its lock.
    waiting: AtomicUsize,
}

/// What decides whether a message is taken.
#[derive(Debug, Default)]
struct Admission {
    rate: Option<SlidingRate>,
    limiters: Limiters,
}

#[derive(Debug, Default)]
struct Members {
    bound: usize,
    receivers: Vec<Arc<Session>>,
}

impl Account {
    /// An account without sessions.
    pub(super) fn new(system_id: &[u8], behaviour: &Behaviour) -> Account {
        let account = Account {
            system_id: system_id.into(),
            is_limited: AtomicBool::new(false),
            admission: Mutex::default(),
            members: Mutex::default(),
            receipts: Mutex::default(),
            joined: Mutex::default(),
            waiting: AtomicUsize::new(0),
        };
        account.limit(behaviour);
        account
    }

    /// Limits it as it is to be treated from now on. What was counted before is forgotten.
    pub(super) fn limit(&self, behaviour: &Behaviour) {
        let mut admission = self.admission.lock();
        admission.rate = behaviour.rate.map(|rate| SlidingRate::new(rate, behaviour.rate_tolerance_percent));
        admission.limiters = Limiters::new(&behaviour.limits);
        self.is_limited.store(behaviour.rate.is_some() || !behaviour.limits.is_empty(), Ordering::Relaxed);
    }

    /// Forgets what waits to be delivered, and parts that wait for others.
    pub(super) fn forget(&self) {
        let mut receipts = self.receipts.lock();
        receipts.clear();
        self.waiting.store(0, Ordering::Relaxed);
        drop(receipts);
        *self.joined.lock() = Joined::default();
    }

    /// The sessions that receive, in the order in which they came.
    pub(super) fn receivers(&self) -> Vec<Arc<Session>> {
        self.members.lock().receivers.clone()
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
        drop(members);
        self.admission.lock().limiters.forget(session.id);
    }

    /// Whether the rate lets one more message through at `now`.
    pub(super) fn admit(&self, now: Duration) -> bool {
        !self.is_limited.load(Ordering::Relaxed)
            || self.admission.lock().rate.as_mut().is_none_or(|rate| rate.take(now, 1) == 1)
    }

    /// What the limiters say of a message, and which of them refuses it.
    pub(super) fn judge(&self, asked: &Asked<'_>, random: &mut fastrand::Rng) -> (Verdict, Option<String>) {
        let mut admission = self.admission.lock();
        let (verdict, limit) = admission.limiters.judge(asked, random);
        (verdict, limit.map(|limit| format!("limit {limit}")))
    }

    /// How far the rate is used up at `now`, in per cent.
    pub(super) fn load(&self, now: Duration) -> u8 {
        self.admission.lock().rate.as_mut().map_or(0, |rate| rate.load(now))
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

    /// Queues what is to be delivered, and wakes the sessions that can carry them if one is due before all others.
    pub(super) fn schedule(&self, batch: impl IntoIterator<Item = (Duration, Delivery)>) {
        self.schedule_unless(|| false, batch);
    }

    /// The same, unless all that waited was forgotten meanwhile: that is asked while nothing can be.
    pub(super) fn schedule_unless(
        &self,
        is_forgotten: impl FnOnce() -> bool,
        batch: impl IntoIterator<Item = (Duration, Delivery)>,
    ) {
        let mut earlier = false;
        {
            let mut receipts = self.receipts.lock();
            if is_forgotten() {
                return;
            }
            for (due, delivery) in batch {
                earlier |= receipts.push(due, delivery);
            }
            self.waiting.store(receipts.len(), Ordering::Relaxed);
        }
        if earlier {
            self.members.lock().receivers.iter().for_each(|session| session.wake());
        }
    }

    /// Moves up to `most` due deliveries to `taken`, and tells when the next is due. They count as outstanding before they do not
    /// wait any more: there is no moment at which they are nowhere.
    pub(super) fn take_due(
        &self,
        now: Duration,
        most: usize,
        taken: &mut Vec<Delivery>,
        outstanding: &Counter,
    ) -> Option<Duration> {
        let mut receipts = self.receipts.lock();
        let before = taken.len();
        receipts.take_due(now, most, taken);
        outstanding.add((taken.len() - before) as u64);
        self.waiting.store(receipts.len(), Ordering::Relaxed);
        receipts.next_due()
    }
}
