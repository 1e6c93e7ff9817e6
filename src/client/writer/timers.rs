//! What a session's timers ask of its writer: that the link be asked after, that an idle session be left, that a session
//! which is to end comes to its end.

use super::{End, FAREWELL, HELD_IDLE, Leaving, Session, UNBOUND};
use crate::policy::pacer::Hold;
use crate::wire::{CommandId, CommandStatus, encode_enquire_link, encode_header_only};
use std::time::{Duration, Instant};

impl Session<'_> {
    /// enquire_link when nothing is heard; the end when that is not answered either.
    pub(super) fn keep_link(&mut self) -> Result<Duration, String> {
        let timers = &self.shared.account.timers;
        let heard = self.pulse.heard_at();
        if self.enquired_at.is_some_and(|at| heard > at) {
            self.enquired_at = None;
        }
        let now = Instant::now();
        let due = match self.enquired_at {
            Some(at) => at + timers.response,
            None => heard + timers.enquire_link,
        };
        if now < due {
            return Ok((due - now).min(timers.enquire_link));
        }
        if self.enquired_at.is_some() {
            return Err(format!(
                "the SMSC is silent: no answer to enquire_link within the response timeout ({:?})",
                timers.response
            ));
        }
        let number = self.control_number();
        encode_enquire_link(number, &mut self.out);
        self.enquired_at = Some(now);
        Ok(timers.response.min(timers.enquire_link))
    }

    /// Leaves a session on which nothing passes. Returns when to look again.
    pub(super) fn rest(&mut self) -> Duration {
        let is_held = self.shared.pacer.hold() == Hold::Long;
        let limit = if is_held { Some(HELD_IDLE) } else { self.shared.account.timers.inactivity };
        let Some(limit) = limit.filter(|_| self.leaving.is_none()) else {
            return Duration::from_secs(3_600);
        };
        if self.queued > 0 || !self.window.lock().is_empty() {
            self.active_at = Instant::now();
        }
        let idle = self.active_at.elapsed();
        if idle < limit {
            return limit - idle;
        }
        self.resting = Some(if is_held {
            "unbound until sending may begin".into()
        } else {
            format!("nothing passed for the inactivity timeout ({limit:?})")
        });
        self.leaving = Some((Leaving::Finish, Instant::now()));
        Duration::ZERO
    }

    /// Brings a session to its end: once everything written is answered, or has waited long enough, unbind.
    pub(super) fn leave(&mut self) -> Result<Duration, String> {
        let Some((leaving, since)) = &self.leaving else { return Ok(Duration::from_secs(3_600)) };
        let since = *since;
        if crate::platform::signals::at_once() {
            return Err("left at once, as SIGQUIT asks".into());
        }
        if matches!(leaving, Leaving::Peer { .. }) {
            return Ok(Duration::from_millis(50));
        }
        if !self.unbinding && (self.window.lock().is_empty() || since.elapsed() >= self.shared.account.timers.response)
        {
            self.unbinding = true;
            self.leaving = Some((Leaving::Finish, Instant::now()));
            let number = self.control_number();
            encode_header_only(CommandId::UNBIND, CommandStatus::OK, number, &mut self.out);
        } else if self.unbinding && since.elapsed() >= FAREWELL {
            return Err(UNBOUND.into());
        }
        Ok(Duration::from_millis(50))
    }

    /// Whether everything written is answered, and everything that came; or has waited long enough.
    pub(super) fn has_settled(&self) -> bool {
        let Some((_, since)) = &self.leaving else { return false };
        self.window.lock().is_empty() && self.credits.is_empty() || since.elapsed() >= FAREWELL
    }

    pub(super) fn farewell_to_peer(&mut self) -> End {
        let Some((Leaving::Peer { reason, unbind }, _)) = self.leaving.take() else { return End::Finished };
        if let Some(number) = unbind {
            encode_header_only(CommandId::UNBIND_RESP, CommandStatus::OK, number, &mut self.out);
            let _ = self.flush();
        }
        End::Lost(reason)
    }
}
