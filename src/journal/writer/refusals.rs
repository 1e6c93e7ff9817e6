//! What refusals say of the account, its settings and the line, beyond the message that is refused: when sending stops
//! because of them, and whether a message is throttled alone or with all others.

use super::incoming::words;
use super::retry_queue::Crowd;
use crate::wire::{CommandStatus, StatusClass};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// So many equal rejections in a row condemn the campaign's settings, not its messages.
const EQUAL_REJECTIONS_MAX: u32 = 50;
/// So many sessions in a row on which nothing was accepted, and messages were refused as on one that is not bound, stop
/// sending.
const UNBOUND_SESSIONS_MAX: u32 = 8;

/// What the last answers were.
#[derive(Debug, Default)]
pub(in crate::journal) struct Refusals {
    /// The last rejection's status, and how many such in a row.
    streak: (u32, u32),
    /// The last session on which the SMSC refused messages as not bound, and how many such in a row.
    unbound: (i64, u32),
    /// Whether most of the last answers accepted their messages.
    crowd: Crowd,
    /// Whether requests carry a user_message_reference; cleared when the SMSC refuses it.
    pub references: Arc<AtomicBool>,
}

impl Refusals {
    /// None so far.
    pub(super) fn new(references: Arc<AtomicBool>) -> Self {
        Self { references, ..Self::default() }
    }

    /// An answer came.
    pub(super) fn note_answer(&mut self, is_accepted: bool) {
        self.crowd.note(is_accepted);
        if is_accepted {
            (self.streak, self.unbound) = ((0, 0), (0, 0));
        }
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

    /// A message was rejected. Sending stops when the account or its settings are what the SMSC refuses: why, in words.
    pub(super) fn note_rejected(&mut self, status: CommandStatus, class: StatusClass) -> Option<String> {
        let (last, count) = self.streak;
        self.streak = if last == status.0 { (last, count + 1) } else { (status.0, 1) };
        if class == StatusClass::Account {
            Some(format!("the SMSC refuses the account or its settings: {}", words(status)))
        } else if self.streak.1 >= EQUAL_REJECTIONS_MAX {
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
        refusals.note_answer(false);
        refusals.note_rejected(status, StatusClass::Permanent).is_some()
    }

    #[test]
    fn equal_rejections_in_a_row_stop_it_and_one_of_another_kind_begins_anew() {
        let mut refusals = Refusals::default();
        assert!((1..EQUAL_REJECTIONS_MAX).all(|_| !reject(&mut refusals, INVALID)));
        assert!(!reject(&mut refusals, OTHER));
        assert!((1..EQUAL_REJECTIONS_MAX).all(|_| !reject(&mut refusals, INVALID)));
        refusals.note_answer(true);
        assert!((1..EQUAL_REJECTIONS_MAX).all(|_| !reject(&mut refusals, INVALID)));
        assert!(reject(&mut refusals, INVALID));
        assert!(refusals.note_rejected(OTHER, StatusClass::Account).is_some_and(|why| why.contains("the account")));
    }

    #[test]
    fn sessions_in_a_row_that_are_not_bound_count_once_each() {
        let mut refusals = Refusals::default();
        let sessions = i64::from(UNBOUND_SESSIONS_MAX);
        for session in (1..sessions).flat_map(|session| [session, session]) {
            assert_eq!(refusals.note_unbound(session, CommandStatus(4)), None);
        }
        assert!(refusals.note_unbound(sessions, CommandStatus(4)).is_some());
        refusals.note_answer(true);
        assert_eq!(refusals.note_unbound(sessions + 1, CommandStatus(4)), None);
    }

    #[test]
    fn most_are_accepted_where_the_last_ones_were() {
        let mut refusals = Refusals::default();
        assert!(!refusals.most_are_accepted());
        (0..40).for_each(|_| refusals.note_answer(true));
        assert!(refusals.most_are_accepted());
        (0..40).for_each(|_| refusals.note_answer(false));
        assert!(!refusals.most_are_accepted());
    }
}
