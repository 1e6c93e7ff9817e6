//! What of the events that came goes into one transaction: not more than is worked off in a moment, so that no commit is
//! waited for while a whole window that was lost goes back into the queue. What is left waits in its order.

use super::Keeper;
use crate::journal::events::ToJournal;

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
        if let Some(event) = self.aside.pop_front() {
            let room = (CAME_PER_COMMIT_MAX - used) / ENDED_WEIGHS;
            match split(event, room) {
                Ok((portion, rest)) => {
                    inbox.push(portion);
                    self.aside.push_front(rest);
                }
                // As it was read, whole.
                Err(whole) if at == 0 => inbox.push(whole),
                Err(whole) => self.aside.push_front(whole),
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

/// An event about `room` attempts, and one about the others; the event itself, where it cannot be divided so.
fn split(event: ToJournal, room: usize) -> Result<(ToJournal, ToJournal), ToJournal> {
    if room == 0 {
        return Err(event);
    }
    match event {
        ToJournal::TimedOut { session, mut sent } if sent.len() > room => {
            let rest = sent.split_off(room);
            Ok((ToJournal::TimedOut { session, sent }, ToJournal::TimedOut { session, sent: rest }))
        }
        ToJournal::Withdrawn { session, mut sent, reason } if sent.len() > room => {
            let rest = sent.split_off(room);
            Ok((ToJournal::Withdrawn { session, sent, reason }, ToJournal::Withdrawn { session, sent: rest, reason }))
        }
        ToJournal::GaveBack { session, mut sent } if sent.len() > room => {
            let rest = sent.split_off(room);
            let portion = ToJournal::Withdrawn { session, sent, reason: GIVEN_BACK };
            Ok((portion, ToJournal::GaveBack { session, sent: rest }))
        }
        ToJournal::Closed { session, reason, mut unanswered, mut unwritten }
            if unanswered.len() + unwritten.len() > room =>
        {
            let later_unanswered = unanswered.split_off(room.min(unanswered.len()));
            let later_unwritten = unwritten.split_off((room - unanswered.len()).min(unwritten.len()));
            let portion = ToJournal::Lost { session, reason: reason.clone(), unanswered, unwritten };
            let (unanswered, unwritten) = (later_unanswered, later_unwritten);
            Ok((portion, ToJournal::Closed { session, reason, unanswered, unwritten }))
        }
        event => Err(event),
    }
}
