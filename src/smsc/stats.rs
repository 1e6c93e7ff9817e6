//! Counters, and what is shown of them.
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a simulator has done so far. Counts since its start, or since it was reset, but for those of now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Stats {
    /// Connections taken.
    pub connections: u64,
    /// Binds that succeeded.
    pub binds: u64,
    /// submit_sm and data_sm received.
    pub submits: u64,
    /// Of these, accepted.
    pub accepted: u64,
    /// Of these, refused because of the rate.
    pub throttled: u64,
    /// Of these, refused for any other reason.
    pub refused: u64,
    /// Receipts handed to the network, each time anew.
    pub receipts_sent: u64,
    /// Receipts that were answered with success.
    pub receipts_answered: u64,
    /// Receipts that were answered with an error.
    pub receipts_refused: u64,
    /// Messages from handsets that were to be delivered.
    pub inbound: u64,
    /// Requests sent for them, each time anew.
    pub inbound_sent: u64,
    /// Of these requests, answered with success.
    pub inbound_answered: u64,
    /// Of these requests, answered with an error.
    pub inbound_refused: u64,
    /// Sessions bound now.
    pub bound: u64,
    /// deliver_sm sent and neither answered nor given up now.
    pub deliver_outstanding: u64,
    /// Receipts that wait now: for their time, for a session, or for room in a window.
    pub receipts_waiting: u64,
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "connections {}, binds {}, submits {} (accepted {}, throttled {}, refused {}), receipts sent {} (answered {}, \
             refused {}), outstanding {}, waiting {}",
            self.connections,
            self.binds,
            self.submits,
            self.accepted,
            self.throttled,
            self.refused,
            self.receipts_sent,
            self.receipts_answered,
            self.receipts_refused,
            self.deliver_outstanding,
            self.receipts_waiting
        )?;
        if self.inbound > 0 {
            let (sent, answered, refused) = (self.inbound_sent, self.inbound_answered, self.inbound_refused);
            write!(f, ", from handsets {} (sent {sent}, answered {answered}, refused {refused})", self.inbound)?;
        }
        Ok(())
    }
}

/// The counters behind [`Stats`]. Added to once for each batch, so that threads do not fight over them.
/// One for each field of [`Stats`].
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) connections: Counter,
    pub(super) binds: Counter,
    pub(super) submits: Counter,
    pub(super) accepted: Counter,
    pub(super) throttled: Counter,
    pub(super) refused: Counter,
    pub(super) receipts_sent: Counter,
    pub(super) receipts_answered: Counter,
    pub(super) receipts_refused: Counter,
    pub(super) inbound: Counter,
    pub(super) inbound_sent: Counter,
    pub(super) inbound_answered: Counter,
    pub(super) inbound_refused: Counter,
    pub(super) bound: Counter,
    pub(super) deliver_outstanding: Counter,
}

impl Counters {
    /// All of them now; `receipts_waiting` is for the caller to fill in.
    pub(super) fn snapshot(&self) -> Stats {
        Stats {
            connections: self.connections.get(),
            binds: self.binds.get(),
            submits: self.submits.get(),
            accepted: self.accepted.get(),
            throttled: self.throttled.get(),
            refused: self.refused.get(),
            receipts_sent: self.receipts_sent.get(),
            receipts_answered: self.receipts_answered.get(),
            receipts_refused: self.receipts_refused.get(),
            inbound: self.inbound.get(),
            inbound_sent: self.inbound_sent.get(),
            inbound_answered: self.inbound_answered.get(),
            inbound_refused: self.inbound_refused.get(),
            bound: self.bound.get(),
            deliver_outstanding: self.deliver_outstanding.get(),
            receipts_waiting: 0,
        }
    }
}

impl Counters {
    /// Counts from now on; what is now stays.
    pub(super) fn begin_anew(&self) {
        for counter in [
            &self.connections,
            &self.binds,
            &self.submits,
            &self.accepted,
            &self.throttled,
            &self.refused,
            &self.receipts_sent,
            &self.receipts_answered,
            &self.receipts_refused,
            &self.inbound,
            &self.inbound_sent,
            &self.inbound_answered,
            &self.inbound_refused,
        ] {
            counter.0.store(0, Ordering::Relaxed);
        }
    }
}

/// One counter. It orders nothing else.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, count: u64) {
        if count > 0 {
            self.0.fetch_add(count, Ordering::Relaxed);
        }
    }

    pub(super) fn subtract(&self, count: u64) {
        if count > 0 {
            self.0.fetch_sub(count, Ordering::Relaxed);
        }
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
