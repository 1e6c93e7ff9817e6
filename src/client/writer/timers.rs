//! What a session's timers ask of its writer: that the link be asked after, that an idle session be left, that a session
//! which is to end comes to its end.

use super::{End, FAREWELL, HELD_IDLE, LAST_WORD, Leaving, Session};
use crate::client::SessionEnd;
use crate::policy::pacer::Hold;
use crate::wire::{CommandId, CommandStatus, encode_enquire_link, encode_header_only};
use std::time::{Duration, Instant};

impl Session<'_> {
    /// enquire_link when nothing is heard; the end when that is not answered either.
    pub(super) fn keep_link(&mut self) -> Result<Duration, SessionEnd> {
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
            return Err(SessionEnd::Silent(timers.response));
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
        if self.queued > 0 || !self.asking.is_empty() || !self.window.lock().is_empty() {
            self.active_at = Instant::now();
        }
        let idle = self.active_at.elapsed();
        if idle < limit {
            return limit - idle;
        }
        self.resting = Some(if is_held { SessionEnd::Held } else { SessionEnd::Idle(limit) });
        self.leaving = Some((Leaving::Finish, Instant::now()));
        Duration::ZERO
    }

    /// Brings a session to its end: once everything written is answered, or has waited long enough, unbind.
    pub(super) fn leave(&mut self) -> Result<Duration, SessionEnd> {
        let Some((leaving, since)) = &self.leaving else { return Ok(Duration::from_secs(3_600)) };
        let since = *since;
        if crate::platform::signals::at_once() {
            return Err(SessionEnd::AtOnce);
        }
        if matches!(leaving, Leaving::Peer { .. }) {
            return Ok(Duration::from_millis(50));
        }
        let (now, response) = (Instant::now(), self.shared.account.timers.response);
        match self.unbinding {
            None if self.window.lock().is_empty() || now >= since + response => {
                self.unbinding = Some(farewell_until(now, since, response));
                self.leaving = Some((Leaving::Finish, since));
                let number = self.control_number();
                encode_header_only(CommandId::UNBIND, CommandStatus::OK, number, &mut self.out);
            }
            Some(until) if now >= until => return Err(SessionEnd::UnbindUnanswered),
            _ => {}
        }
        Ok(Duration::from_millis(50))
    }

    /// Whether everything written is answered, and everything that came; or has waited long enough.
    pub(super) fn has_settled(&self) -> bool {
        let Some((_, since)) = &self.leaving else { return false };
        let limit = FAREWELL.min(self.shared.account.timers.response + LAST_WORD);
        self.window.lock().is_empty() && self.credits.is_empty() || since.elapsed() >= limit
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

/// Until when the answer to an unbind that is sent now is waited for, where the session began to end at `since`: what waited
/// long for its answers does not wait as long again.
fn farewell_until(now: Instant, since: Instant, response: Duration) -> Instant {
    (since + response + LAST_WORD).clamp(now + LAST_WORD, now + FAREWELL)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds after the end began: the unbind leaves after `unbinds_at`, and its answer is given up after `expected`.
    #[track_caller]
    fn check(response: u64, unbinds_at: u64, expected: u64) {
        let since = Instant::now();
        let until = farewell_until(since + Duration::from_secs(unbinds_at), since, Duration::from_secs(response));
        assert_eq!(until - since, Duration::from_secs(expected), "{response} {unbinds_at}");
    }

    #[test]
    fn a_session_ends_within_the_response_timeout_and_two_seconds_whatever_the_peer_says() {
        // All is answered: it gets its five seconds.
        check(30, 0, 5);
        check(30, 20, 25);
        // Part of that is gone already, or all of it.
        check(30, 28, 31);
        check(30, 30, 31);
        check(5, 5, 6);
        check(1, 0, 2);
        check(1, 1, 2);
        // A thread that woke late still asks.
        check(5, 8, 9);
    }
}
