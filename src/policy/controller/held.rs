//! Nothing is accepted, or connections are lost: the pauses, and what comes after them.

use super::*;

impl Controller {
    /// Whether of those sent for a while none was accepted.
    pub(super) fn accepts_nothing(&self, now: f64) -> bool {
        if self.none_accepted < NONE_ACCEPTED || now - self.slowest - self.refused_since < NONE_ACCEPTED_S {
            return false;
        }
        // Where most are refused anyway, as many in a row are nothing new.
        let before = self.evidence.between(self.refused_since - LONG_S, self.refused_since);
        let share = (before.refused + 2.0) / (before.sent + 4.0);
        f64::from(self.none_accepted) * share.ln() < UNLIKELY
    }

    /// Nothing at all is accepted.
    pub(super) fn hold(&mut self, now: f64) {
        let resume = self.found.limit.unwrap_or(f64::INFINITY).min(self.rate.unwrap_or(f64::INFINITY));
        // No more was sent than after the last time: what is counted is counted over longer than a second, and on average no more
        // is taken than was since then.
        let again = self.held_from.filter(|(rate, ..)| resume <= 1.02 * rate);
        let average = again.map(|(_, accepted, at)| (self.accepted - accepted) as f64 / (now - at).max(1.0));
        self.held_from = Some((resume, self.accepted, now));
        self.averaged = average.is_some();
        let resume = average.map_or(resume, |average| average.min(resume));
        self.since = now;
        self.mode = Mode::Held { pause: 0, next_at: now + HELD_S[0], resume: resume.max(self.least()) };
    }

    /// Something is accepted again.
    pub(super) fn release(&mut self, now: f64, resume: f64, pauses: usize) {
        self.found.held = false;
        self.refused_at = None;
        let margin = if pauses > 0 { 0.97 } else { 1.0 };
        self.set_rate(now, Some((margin * resume).max(self.least())));
        self.found_limit(now);
        // A second's pause ends a fixed second, and is no box.
        self.pause = match pauses {
            0 => self.pause,
            _ if self.averaged => PAUSE_SHORT_S,
            _ => PAUSE_BOX_S,
        };
        self.probe_at = now + self.pause;
    }

    /// A connection was lost, with so many unanswered, of so many that were sent within the last second.
    pub fn lost(&mut self, now: f64, in_second: usize, unanswered: usize) {
        if unanswered == 0 || in_second < 10 {
            return;
        }
        let accepted = self.accepted;
        let answered = accepted - self.drop.map_or(0, |drop| drop.accepted);
        let held_long = self.found.limit.is_some() && now - self.since > 30.0;
        match self.drop {
            // Slower than before, and not more went: it has nothing to do with the rate.
            Some(Drop { tries: 1.., from, answered: before, .. }) if answered < 3 * before => {
                self.drop = Some(Drop { from, accepted, answered, tries: 9 });
                if matches!(self.mode, Mode::Steady | Mode::Probe { .. }) && self.rate != from {
                    self.mode = Mode::Steady;
                    self.found.limit = None;
                    self.found.drops = 0;
                    self.set_rate(now, from);
                    self.probe_at = f64::INFINITY;
                }
                return;
            }
            _ if held_long => {
                self.drop = Some(Drop { from: self.rate, accepted, answered, tries: 0 });
                return;
            }
            _ => {}
        }
        let from = self.rate;
        self.drop = Some(Drop { from, accepted, answered, tries: 1 });
        // Those just before the one that was too many were taken, as a rule: their answers were on the way.
        let taken = in_second as f64 - 0.2 * unanswered.min(in_second) as f64 - 1.0;
        let rate = (MARGIN * taken).min(0.96 * self.rate.unwrap_or(f64::INFINITY));
        self.ramping = false;
        self.mode = Mode::Steady;
        self.set_rate(now, Some(rate.max(self.least())));
        self.found.limit = self.rate;
        self.found.drops += 1;
        self.pause = PAUSE_DROP_S;
        self.probe_at = now + self.pause;
    }
}
