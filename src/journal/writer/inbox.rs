//! What of the events that came goes into one transaction: not more than is worked off in a moment, so that no commit is
//! waited for while a whole window that was lost goes back into the queue. What is left waits in its order.

use crate::journal::model::events::ToJournal;
use crossbeam_channel::Receiver;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Events taken into one transaction at most; each is a whole read's worth, so this bounds its size, not its use.
pub(super) const EVENTS_PER_COMMIT_MAX: usize = 256;
/// Answers, receipts and messages from handsets that one transaction takes, at up to 25 us each; a read's worth at least.
const CAME_PER_COMMIT_MAX: usize = 8_000;
/// An attempt that ended without an answer (in doubt, or queued again) counts as so many of them.
const ENDED_WEIGHS: usize = 4;

/// What a session gives back because it was cancelled or suppressed.
pub(super) const GIVEN_BACK: &str = "cancelled or suppressed before it was written";

/// What came and is not written down yet, beyond what the transaction at hand does.
pub(super) struct Inbox {
    /// What came and is more than one transaction does.
    aside: VecDeque<ToJournal>,
    /// Commits are at least this far apart.
    gather: Duration,
    committed_at: Instant,
}

impl Inbox {
    /// Empty. `gather`: commits are at least this far apart.
    pub(super) fn new(gather: Duration) -> Self {
        Self { aside: VecDeque::new(), gather, committed_at: Instant::now() }
    }

    /// Commits are at least this far apart from now on.
    pub(super) fn set_gather(&mut self, gather: Duration) {
        self.gather = gather;
    }

    /// Whether something was put aside.
    pub(super) fn is_empty(&self) -> bool {
        self.aside.is_empty()
    }

    /// What was put aside.
    pub(super) fn take_aside(&mut self) -> impl Iterator<Item = ToJournal> + '_ {
        self.aside.drain(..)
    }

    /// A transaction is committed.
    pub(super) fn note_commit(&mut self) {
        self.committed_at = Instant::now();
    }

    /// Takes what else is there, and at a limited rate what comes in the next moments: each commit costs the same, whatever
    /// it holds.
    pub(super) fn gather(&self, events: &Receiver<ToJournal>, inbox: &mut Vec<ToJournal>) {
        let until = self.committed_at + self.gather;
        while inbox.len() < EVENTS_PER_COMMIT_MAX {
            match events.recv_deadline(until) {
                Ok(event) => inbox.push(event),
                Err(_) => break,
            }
        }
    }

    /// Keeps in `inbox` what one transaction does, and puts the rest aside. Nothing is put aside yet. Says whether nothing
    /// more is to be claimed, whatever else is to be done first.
    pub(super) fn portion(&mut self, inbox: &mut Vec<ToJournal>) -> bool {
        let mut left = CAME_PER_COMMIT_MAX;
        let exceeds = |event: &ToJournal| {
            let exceeds = weight(event) > left;
            left = left.saturating_sub(weight(event));
            exceeds
        };
        let Some(at) = inbox.iter().position(exceeds) else { return false };
        let used: usize = inbox[..at].iter().map(weight).sum();
        self.aside.extend(inbox.drain(at..));
        if let Some(first) = self.aside.front_mut() {
            match split(first, (CAME_PER_COMMIT_MAX - used) / ENDED_WEIGHS) {
                Some(portion) => inbox.push(portion),
                // As it was read, whole.
                None if at == 0 => inbox.extend(self.aside.pop_front()),
                None => {}
            }
        }
        self.aside.iter().any(|event| matches!(event, ToJournal::StopClaiming))
    }
}

fn weight(event: &ToJournal) -> usize {
    match event {
        ToJournal::Came { batch, .. } => batch.answers.len() + batch.receipts.len() + batch.inbound.len(),
        ToJournal::TimedOut { sent, .. } | ToJournal::Withdrawn { sent, .. } | ToJournal::GaveBack { sent, .. } => {
            ENDED_WEIGHS * sent.len()
        }
        ToJournal::Closed { unanswered, unwritten, .. } | ToJournal::Lost { unanswered, unwritten, .. } => {
            ENDED_WEIGHS * (unanswered.len() + unwritten.len())
        }
        ToJournal::Told { told } => ENDED_WEIGHS * told.len(),
        ToJournal::Untold { operations, .. } | ToJournal::Unasked { operations } => ENDED_WEIGHS * operations.len(),
        ToJournal::Open { .. }
        | ToJournal::Want { .. }
        | ToJournal::WantAsks { .. }
        | ToJournal::Closing { .. }
        | ToJournal::StopClaiming => 0,
        ToJournal::Renew(_) | ToJournal::Reloaded(_) => 0,
    }
}

/// Takes what concerns `room` attempts out of an event, as one of its own; `None`: it cannot be divided so.
fn split(event: &mut ToJournal, room: usize) -> Option<ToJournal> {
    if room == 0 {
        return None;
    }
    match event {
        ToJournal::TimedOut { session, sent } if sent.len() > room => {
            Some(ToJournal::TimedOut { session: *session, sent: sent.drain(..room).collect() })
        }
        ToJournal::Withdrawn { session, sent, reason } if sent.len() > room => {
            Some(ToJournal::Withdrawn { session: *session, sent: sent.drain(..room).collect(), reason })
        }
        ToJournal::GaveBack { session, sent } if sent.len() > room => {
            let sent = sent.drain(..room).collect();
            Some(ToJournal::Withdrawn { session: *session, sent, reason: GIVEN_BACK })
        }
        ToJournal::Closed { session, reason, unanswered, unwritten } if unanswered.len() + unwritten.len() > room => {
            let unanswered: Vec<_> = unanswered.drain(..room.min(unanswered.len())).collect();
            let unwritten = unwritten.drain(..(room - unanswered.len()).min(unwritten.len())).collect();
            Some(ToJournal::Lost { session: *session, reason: reason.clone(), unanswered, unwritten })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::model::events::Sent;
    use crate::journal::model::key::Attempt;

    fn sent(count: usize) -> Vec<Sent> {
        let sent = |n: usize| Sent {
            attempt: Attempt::new(n as i64, 0),
            message: n as i64,
            sequence_number: n as u32,
            campaign: 0,
            plain: true,
            refused: 0,
            late: false,
            referenced: false,
            generation: 0,
            destination: 0,
        };
        (0..count).map(sent).collect()
    }

    /// What each transaction gets, until nothing is left.
    fn portions(events: Vec<ToJournal>) -> Vec<(usize, bool)> {
        let mut inbox = Inbox::new(Duration::ZERO);
        let mut events = events;
        let mut found = Vec::new();
        loop {
            let stops = inbox.portion(&mut events);
            found.push((events.iter().map(weight).sum::<usize>() / ENDED_WEIGHS, stops));
            if inbox.is_empty() {
                return found;
            }
            events = inbox.take_aside().collect();
        }
    }

    #[test]
    fn what_is_too_much_waits_in_its_order_and_a_stop_counts_at_once() {
        let events = || vec![ToJournal::TimedOut { session: 1, sent: sent(5_000) }, ToJournal::StopClaiming];
        assert_eq!(portions(events()), [(2_000, true), (2_000, true), (1_000, false)]);
        assert_eq!(portions(vec![ToJournal::StopClaiming]), [(0, false)]);
    }

    #[test]
    fn a_session_that_ends_is_told_in_parts_and_closed_with_the_last_one() {
        let closed =
            ToJournal::Closed { session: 1, reason: "cut".into(), unanswered: sent(2_500), unwritten: sent(1_000) };
        let (mut inbox, mut events) = (Inbox::new(Duration::ZERO), vec![closed]);
        inbox.portion(&mut events);
        let is_first = |event: &ToJournal| matches!(event, ToJournal::Lost { unanswered, unwritten, .. } if unanswered.len() == 2_000 && unwritten.is_empty());
        assert!(matches!(&events[..], [lost] if is_first(lost)), "{events:?}");
        events = inbox.take_aside().collect();
        inbox.portion(&mut events);
        let is_last = |event: &ToJournal| matches!(event, ToJournal::Closed { unanswered, unwritten, .. } if unanswered.len() == 500 && unwritten.len() == 1_000);
        assert!(inbox.is_empty() && matches!(&events[..], [closed] if is_last(closed)), "{events:?}");
    }
}
