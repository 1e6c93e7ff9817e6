//! What answers tell: they are counted, and what they are counted for.

use super::*;

impl Controller {
    pub(super) fn see(&mut self, now: f64, answer: &Answered) {
        let (count, sent_at) = (answer.count, answer.sent_at);
        let code = match answer.said {
            Said::Accepted => None,
            // While nothing was ever accepted, it is the messages.
            Said::Temporary(_) if self.accepted == 0 => return,
            Said::Throttled(code) | Said::Temporary(code) => Some((code, matches!(answer.said, Said::Temporary(_)))),
        };
        let took = (now - sent_at).max(1e-4);
        self.round_trip = self.round_trip.min(took);
        self.slowest = took.max(self.slowest * 0.999);
        let Some((code, is_temporary)) = code else {
            self.accepted += u64::from(count);
            self.evidence.add(sent_at, count, 0);
            self.see_background(sent_at, f64::from(count), 0.0);
            if let Some(trouble) = self.trouble.as_mut().filter(|trouble| sent_at >= trouble.first) {
                trouble.since.sent += f64::from(count);
                self.depths.see(answer.depth, true, count);
            }
            if sent_at >= self.since {
                self.none_accepted = 0;
                if matches!(self.mode, Mode::Echo { .. }) {
                    self.heard_echo(now, true);
                }
                if let Mode::Held { resume, pause, .. } = self.mode {
                    self.release(now, resume, pause);
                }
            }
            return;
        };
        self.see_background(sent_at, f64::from(count), f64::from(count));
        self.evidence.add(sent_at, 0, count);
        self.depths.see(answer.depth, false, count);
        if self.trouble.is_none() && sent_at < self.ignored_before && matches!(self.mode, Mode::Steady) {
            // It was sent at another rate, or too soon after that.
            if is_temporary {
                self.note_code(code, count);
            }
            return;
        }
        if self.trouble.is_none()
            && self.background.sent == 0.0
            && self.ramping
            && self.rate.is_none()
            && matches!(self.mode, Mode::Steady)
        {
            self.look(now);
        }
        let trouble = self.trouble.get_or_insert(Trouble { first: sent_at, last: sent_at, since: Share::default() });
        if sent_at - trouble.last > LATELY_S {
            // What is refused now and then is looked at as it comes.
            *trouble = Trouble { first: sent_at, last: sent_at, since: Share::default() };
        }
        trouble.last = trouble.last.max(sent_at);
        trouble.since.sent += f64::from(count);
        trouble.since.refused += f64::from(count);
        if is_temporary {
            self.note_code(code, count);
        }
        if sent_at >= self.since {
            if self.none_accepted == 0 {
                self.refused_since = sent_at;
            }
            self.none_accepted = self.none_accepted.saturating_add(count);
            if matches!(self.mode, Mode::Echo { .. }) {
                self.heard_echo(now, false);
            }
            if let Mode::Held { pause, next_at, .. } = &mut self.mode {
                self.found.boxes += u32::from(*pause == 0);
                self.found.held = true;
                *pause += 1;
                *next_at = now + HELD_S[(*pause).min(HELD_S.len() - 1)];
            }
        }
    }

    /// Once some is refused whatever the rate, the share is learned better with time.
    pub(super) fn see_background(&mut self, sent_at: f64, sent: f64, refused: f64) {
        if self.background.sent > 0.0
            && self.found.limit.is_none()
            && matches!(self.mode, Mode::Steady)
            && sent_at >= self.since
        {
            if self.background.sent > BACKGROUND_MAX {
                self.background = Share { sent: self.background.sent / 2.0, refused: self.background.refused / 2.0 };
            }
            self.background.sent += sent;
            // What comes on top of it is not taken for it.
            if self.background.refused + refused <= self.background_max * self.background.sent {
                self.background.refused += refused;
            }
            self.found.background = Some(self.background.value());
        }
    }

    pub(super) fn note_code(&mut self, code: u32, count: u32) {
        if let Some(entry) = self.codes.iter_mut().find(|entry| entry.0 == code || entry.1 == 0) {
            *entry = (code, entry.1.saturating_add(count));
        }
    }

    pub(super) fn background(&self) -> f64 {
        self.background.value()
    }

    pub(super) fn end_trouble(&mut self) {
        self.trouble = None;
        self.codes = [(0, 0); CODES_MAX];
    }

    /// Messages a second that were sent before then.
    pub(super) fn sent_before(&self, last: f64) -> f64 {
        let from = (last - 1.0).max(self.since.min(last - 0.05));
        let sent = self.evidence.between(from, last + evidence::SLOT_S).sent / (last - from).max(0.05);
        self.rate.map_or(sent, |rate| rate.min(sent.max(0.8 * rate)))
    }

    /// About how long an answer takes.
    pub(super) fn wait(&self) -> f64 {
        if self.round_trip.is_finite() { self.round_trip } else { 0.0 }
    }
}
