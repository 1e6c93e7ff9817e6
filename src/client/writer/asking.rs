//! Requests about messages that the SMSC has, on a session that sends messages, too: they take turns with those, in the same
//! window and at the same rate.

use super::{AHEAD_MIN, LOOK_AGAIN, Session};
use crate::journal::model::events::ToJournal;
use crate::journal::model::operation::Ask;
use crate::wire::patch_sequence_number;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Those that are to be written.
#[derive(Debug, Default)]
pub(super) struct Asking {
    /// Their intents are on disk.
    queue: VecDeque<Ask>,
    /// More are asked for.
    wanted: bool,
    /// Messages wait for a slot or a token, and for nothing else.
    pub(super) parts_wait: bool,
    /// The last that was written was one of these.
    pub(super) went_last: bool,
}

impl Asking {
    /// The journal thread has these for the session.
    pub(super) fn take(&mut self, asks: Vec<Ask>) {
        self.wanted = false;
        self.queue.extend(asks);
    }

    /// Whether there is none to be written.
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

impl Session<'_> {
    /// Writes some as far as window and tokens allow. Where messages wait, too, each gets every other slot and token. Returns how
    /// long nothing more is to be done.
    pub(super) fn write_asks(&mut self) -> Duration {
        let idle = Duration::from_secs(3_600);
        if self.asking.is_empty() {
            return idle;
        }
        if self.leaving.is_some() {
            self.give_back_asks();
            return idle;
        }
        if self.enquired_at.is_some_and(|at| self.pulse.heard_at() <= at) {
            return idle;
        }
        loop {
            let competes = self.asking.parts_wait && self.queued > 0;
            if competes && self.asking.went_last {
                return idle;
            }
            let room = {
                let mut window = self.window.lock();
                window.set_limit(self.shared.pacer.window());
                window.room_to_ask(self.asking.queue.len())
            };
            if room == 0 {
                let may_grow = !self.asking.is_empty() && self.shared.pacer.look();
                return if may_grow { LOOK_AGAIN } else { idle };
            }
            let wanted = if competes { room.div_ceil(2) } else { room };
            let granted = self.shared.pacer.take_to_ask(self.slot, wanted);
            if granted == 0 {
                return self.shared.pacer.ready_to_ask(self.slot).max(Duration::from_micros(50));
            }
            let (now, mut window) = (Instant::now(), self.window.lock());
            for ask in self.asking.queue.drain(..granted) {
                let number = window.asked().insert(&ask, now);
                let start = self.out.len();
                self.out.extend_from_slice(&ask.pdu);
                patch_sequence_number(&mut self.out[start..], number);
            }
            drop(window);
            self.active_at = now;
            self.asking.went_last = true;
        }
    }

    /// Asks for more before the queue runs dry, no further ahead than messages are claimed: what is ahead when the process dies may
    /// have been written, as far as anybody knows.
    pub(super) fn want_asks(&mut self) {
        if self.asking.wanted || self.leaving.is_some() || !self.kind.can_submit() {
            return;
        }
        let ahead = self.shared.pacer.claim_ahead().min((2 * self.shared.account.window).max(AHEAD_MIN));
        let queued = self.asking.queue.len();
        if queued <= ahead / 2 {
            self.asking.wanted = true;
            let _ = self.shared.journal.send(ToJournal::WantAsks { session: self.id, count: ahead - queued });
        }
    }

    /// What is not going to be written.
    pub(super) fn give_back_asks(&mut self) {
        let operations: Vec<i64> = self.asking.queue.drain(..).map(|ask| ask.operation).collect();
        if !operations.is_empty() {
            let _ = self.shared.journal.send(ToJournal::Unasked { operations });
        }
    }

    /// The session has ended.
    pub(super) fn end_asking(&mut self, why: &str) {
        self.give_back_asks();
        let operations = self.window.lock().asked().drain();
        if !operations.is_empty() {
            let untold = ToJournal::Untold { operations, why: why.to_owned(), is_late: false };
            let _ = self.shared.journal.send(untold);
        }
    }
}
