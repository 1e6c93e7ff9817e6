//! A session's beginning: one message, doubled with each answer; and what a session without an answer may do.

use super::{Leaving, Session};
use crate::client::SessionEnd;
use crate::wire::encode_enquire_link;
use std::time::{Duration, Instant};

/// How long a session that has no leave to try a message lasts, and how often it asks for it.
const WITHOUT_LEAVE: Duration = Duration::from_secs(1);
const LEAVE_LOOK: Duration = Duration::from_millis(50);

/// What a session has shown of itself.
#[derive(Debug)]
pub struct Proof {
    /// A message was answered.
    proved: bool,
    /// There was something to send.
    wanted: bool,
    /// After a session that ended without an answer the SMSC is asked first whether it is there.
    awaits_link: bool,
    /// Since when it waits for leave to try a message.
    without_leave: Option<Instant>,
    /// Messages written while nothing was answered.
    written: u32,
}

impl Proof {
    /// Of a session that has just been bound, after so many of its connection that ended without an answer.
    pub fn new(fruitless: u32) -> Self {
        Self { proved: false, wanted: false, awaits_link: fruitless > 0, without_leave: None, written: 0 }
    }

    /// enquire_link was answered.
    pub fn link_answered(&mut self) {
        self.awaits_link = false;
    }
}

impl Session<'_> {
    /// Asks whether the SMSC is there, where the session before this one ended without an answer.
    pub(super) fn ask_first(&mut self) {
        if self.proof.awaits_link && self.kind.can_submit() {
            let number = self.control_number();
            encode_enquire_link(number, &mut self.out);
            self.enquired_at = Some(Instant::now());
        }
    }

    /// Whether messages may be written as far as this session's beginning is concerned; else when to look again.
    pub(super) fn is_trusted(&mut self) -> Result<(), Duration> {
        if self.proof.proved || self.queued == 0 {
            return Ok(());
        }
        let trust = &self.shared.trust;
        if self.pulse.has_answered() {
            self.proof.proved = true;
            trust.proved(self.slot);
            return Ok(());
        }
        self.proof.wanted = true;
        if self.proof.awaits_link {
            return Err(LEAVE_LOOK);
        }
        if trust.may_try(self.slot) {
            return Ok(());
        }
        let since = *self.proof.without_leave.get_or_insert_with(Instant::now);
        if since.elapsed() >= WITHOUT_LEAVE && trust.fruitless(self.slot) > 0 && self.leaving.is_none() {
            self.resting = Some(SessionEnd::Untried);
            self.leaving = Some((Leaving::Finish, Instant::now()));
        }
        Err(LEAVE_LOOK)
    }

    /// Messages were written.
    pub(super) fn note_written(&mut self, count: usize) {
        if !self.proof.proved {
            self.proof.written = self.proof.written.saturating_add(count as u32);
        }
    }

    /// The session has ended: what it says of its connection.
    pub(super) fn note_end(&self) {
        if !self.kind.can_submit() || self.proof.proved {
        } else if self.pulse.has_answered() {
            self.shared.trust.proved(self.slot);
        } else if self.proof.wanted {
            self.shared.trust.ended(self.slot, self.proof.written);
        }
    }
}
