//! What of the events that came goes into one transaction: not more than is worked off in a moment, so that no commit is
//! waited for while a whole window that was lost goes back into the queue. What is left waits in its order.

use super::Keeper;
use crate::journal::model::events::ToJournal;

/// Answers, receipts and messages from handsets that one transaction takes, at up to 25 us each; a read's worth at least.
const CAME_PER_COMMIT_MAX: usize = 8_000;
/// An attempt that ended without an answer (in doubt, or queued again) counts as so many of them.
const ENDED_WEIGHS: usize = 4;

/// What a session gives back because it was cancelled or suppressed.
pub(super) const GIVEN_BACK: &str = "cancelled or suppressed before it was written";

impl Keeper {
    /// Keeps in the inbox what one transaction does, and puts the rest aside. Nothing is put aside yet.
    pub(super) fn portion(&mut self, inbox: &mut Vec<ToJournal>) {
        let mut left = CAME_PER_COMMIT_MAX;
        let exceeds = |event: &ToJournal| {
            let exceeds = weight(event) > left;
            left = left.saturating_sub(weight(event));
            exceeds
        };
        let Some(at) = inbox.iter().position(exceeds) else { return };
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
        // Whatever else is to be done first, nothing more is claimed.
        if self.aside.iter().any(|event| matches!(event, ToJournal::StopClaiming)) {
            self.claiming = false;
        }
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
        ToJournal::Open { .. } | ToJournal::Want { .. } | ToJournal::Closing { .. } | ToJournal::StopClaiming => 0,
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
