//! What refusals say of the account, its settings and the line, beyond the message that is refused: when sending stops
//! because of them, and whether a message is throttled alone or with all others.

use super::incoming::words;
use super::retry_queue::Crowd;
use crate::wire::{CommandStatus, StatusClass};
use hashbrown::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// So many equal rejections of a campaign's messages in a row condemn its settings, not its messages.
const EQUAL_REJECTIONS_MAX: u32 = 50;
/// So many sessions in a row on which nothing was accepted, and messages were refused as on one that is not bound, stop
/// sending.
const UNBOUND_SESSIONS_MAX: u32 = 8;

/// What the last answers were.
#[derive(Debug, Default)]
pub(in crate::journal) struct Refusals {
    /// Of each campaign whose last answer was a rejection: its status, and how many such in a row.
    streaks: HashMap<u32, (u32, u32)>,
    /// The last refusal of a message.
    last: Option<Refused>,
    /// The last session on which the SMSC refused messages as not bound, and how many such in a row.
    unbound: (i64, u32),
    /// Whether most of the last answers accepted their messages.
    crowd: Crowd,
    /// Whether requests carry a user_message_reference; cleared when the SMSC refuses it.
    pub references: Arc<AtomicBool>,
}

/// A message that was refused.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refused {
    /// When, in milliseconds since 1970.
    pub(super) at: i64,
    /// Index of its campaign.
    pub(super) campaign: u32,
    /// Why.
    pub(super) status: CommandStatus,
}

impl Refusals {
    /// None so far.
    pub(super) fn new(references: Arc<AtomicBool>) -> Self {
        Self { references, ..Self::default() }
    }

    /// An answer to a message of this campaign came.
    pub(super) fn note_answer(&mut self, campaign: u32, is_accepted: bool) {
        self.crowd.note(is_accepted);
        if is_accepted {
            self.unbound = (0, 0);
            if !self.streaks.is_empty() {
                self.forget(campaign);
            }
        }
    }

    /// A campaign begins anew.
    pub(super) fn forget(&mut self, campaign: u32) {
        self.streaks.remove(&campaign);
    }

    /// A message was refused, for the moment or for good.
    pub(super) fn note_refused(&mut self, refused: Refused) {
        self.last = Some(refused);
    }

    /// The last one that was.
    pub(super) fn last(&self) -> Option<Refused> {
        self.last
    }

    /// Whether most of the last answers accepted their messages.
    pub(super) fn most_are_accepted(&self) -> bool {
        self.crowd.accepts_most()
    }

    /// The SMSC says of a session that it is not bound. Its connection binds anew; where that never helps, sending stops: why,
    /// in words.
    pub(super) fn note_unbound(&mut self, session: i64, status: CommandStatus) -> Option<String> {
        let (last, sessions) = self.unbound;
        if last != session {
            self.unbound = (session, sessions + 1);
        }
        (self.unbound.1 >= UNBOUND_SESSIONS_MAX).then(|| {
            format!(
                "{UNBOUND_SESSIONS_MAX} sessions in a row were bound, and then refused messages as not bound: {}; ask the \
                 provider whether the account may send with this bind mode",
                words(status)
            )
        })
    }

    /// A message of a campaign was rejected. Sending stops when the account or its settings are what the SMSC refuses, or what
    /// the campaign is sent with: why, in words.
    pub(super) fn note_rejected(&mut self, campaign: u32, status: CommandStatus, class: StatusClass) -> Option<String> {
        let streak = self.streaks.entry(campaign).or_default();
        *streak = if streak.0 == status.0 { (streak.0, streak.1 + 1) } else { (status.0, 1) };
        if class == StatusClass::Account {
            Some(format!("the SMSC refuses the account or its settings: {}", words(status)))
        } else if streak.1 >= EQUAL_REJECTIONS_MAX {
            Some(format!("{EQUAL_REJECTIONS_MAX} messages in a row were rejected alike: {}", words(status)))
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVALID: CommandStatus = CommandStatus(0x0B);
    const OTHER: CommandStatus = CommandStatus(0x0A);

    fn reject(refusals: &mut Refusals, status: CommandStatus) -> bool {
        refusals.note_answer(0, false);
        refusals.note_rejected(0, status, StatusClass::Permanent).is_some()
    }

    #[test]
    fn rejections_in_a_row_are_counted_for_each_campaign() {
        let mut refusals = Refusals::default();
        let mut reject = |campaign: u32| {
            refusals.note_answer(campaign, false);
            refusals.note_rejected(campaign, INVALID, StatusClass::Permanent).is_some()
        };
        assert!((1..EQUAL_REJECTIONS_MAX).all(|_| !reject(1) && !reject(2)), "none of them has as many");
        assert!(reject(1));
        assert!(reject(2));
        // What another campaign is accepted for is no excuse, and one that is held begins anew.
        refusals.note_answer(3, true);
        assert!(refusals.note_rejected(1, INVALID, StatusClass::Permanent).is_some());
        refusals.forget(1);
        assert!(refusals.note_rejected(1, INVALID, StatusClass::Permanent).is_none());
    }

    #[test]
    fn equal_rejections_in_a_row_stop_it_and_one_of_another_kind_begins_anew() {
        let mut refusals = Refusals::default();
        assert!((1..EQUAL_REJECTIONS_MAX).all(|_| !reject(&mut refusals, INVALID)));
        assert!(!reject(&mut refusals, OTHER));
        assert!((1..EQUAL_REJECTIONS_MAX).all(|_| !reject(&mut refusals, INVALID)));
        refusals.note_answer(0, true);
        assert!((1..EQUAL_REJECTIONS_MAX).all(|_| !reject(&mut refusals, INVALID)));
        assert!(reject(&mut refusals, INVALID));
        assert!(refusals.note_rejected(0, OTHER, StatusClass::Account).is_some_and(|why| why.contains("the account")));
    }

    #[test]
    fn sessions_in_a_row_that_are_not_bound_count_once_each() {
        let mut refusals = Refusals::default();
        let sessions = i64::from(UNBOUND_SESSIONS_MAX);
        for session in (1..sessions).flat_map(|session| [session, session]) {
            assert_eq!(refusals.note_unbound(session, CommandStatus(4)), None);
        }
        assert!(refusals.note_unbound(sessions, CommandStatus(4)).is_some());
        refusals.note_answer(0, true);
        assert_eq!(refusals.note_unbound(sessions + 1, CommandStatus(4)), None);
    }

    #[test]
    fn most_are_accepted_where_the_last_ones_were() {
        let mut refusals = Refusals::default();
        assert!(!refusals.most_are_accepted());
        (0..40).for_each(|_| refusals.note_answer(0, true));
        assert!(refusals.most_are_accepted());
        (0..40).for_each(|_| refusals.note_answer(0, false));
        assert!(!refusals.most_are_accepted());
    }
}
