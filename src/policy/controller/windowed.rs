//! Windows: what is refused, or never answered, beyond so many outstanding.

use super::*;

impl Controller {
    /// Whether a window explains what is refused: then that is tried first.
    pub(super) fn try_window(&mut self, now: f64) -> bool {
        let Some(window) = self.depths.window().filter(|_| now >= self.no_window_before) else { return false };
        if self.window.is_some_and(|before| window >= before) {
            return false;
        }
        let from = match self.mode {
            Mode::Cut { from, .. } => from,
            // What was found is not the rate's, then.
            _ if self.found.limit.is_some() => self.asked,
            _ => self.rate,
        };
        let Some(Trouble { first, .. }) = self.trouble else { return false };
        let before = self.evidence.between(first.max(now - LATELY_S), f64::INFINITY).value();
        self.start_window(now, from, window, 0, Causal::new(before, self.background()));
        true
    }

    pub(super) fn start_window(&mut self, now: f64, from: Option<f64>, window: usize, tries: u32, test: Causal) {
        self.window = Some(window);
        self.depths = Depths::default();
        self.mode = Mode::Windowed { from, tries, test };
        self.set_rate(now, from);
        self.probe_at = f64::INFINITY;
    }

    pub(super) fn judge_windowed(&mut self, now: f64, from: Option<f64>, tries: u32, mut test: Causal) {
        let share = self.evidence.between(self.since, f64::INFINITY);
        test.see(share);
        let Some(fallen) = test.has_fallen().filter(|_| share.sent >= 8.0) else { return };
        if fallen {
            self.found.window = self.window;
            if self.rate == self.asked {
                self.found.limit = None;
            }
            for (code, _) in self.codes.into_iter().filter(|(_, count)| *count >= 3) {
                if !self.found.throttling.contains(&code) {
                    self.found.throttling.push(code);
                }
            }
            self.mode = Mode::Steady;
            self.fresh = self.since;
            self.widen.0 = now + self.widen.1;
            self.end_trouble();
            self.probe_at = if self.rate == self.asked { f64::INFINITY } else { now + self.pause };
            return;
        }
        match self.window {
            Some(window) if window > 1 && tries < 1 => self.start_window(now, from, window - 1, tries + 1, test),
            _ => {
                self.window = self.found.window;
                self.depths = Depths::default();
                self.no_window_before = now + NO_WINDOW_S;
                self.mode = Mode::Steady;
                self.cut(now, share, true);
            }
        }
    }

    /// A little faster than what a window allowed, and without it: a limit of another kind, such as a gap between any two, may have
    /// looked like one.
    pub(super) fn widen(&mut self, now: f64) -> bool {
        let Some(window) = self.found.window.filter(|_| self.silence == Silence::Unseen) else {
            self.widen.0 = f64::INFINITY;
            return false;
        };
        let to = now - self.slowest;
        let taken = self.evidence.accepted(to - WIDEN_OVER_S, to) / WIDEN_OVER_S;
        if taken < 1.0 || self.asked.is_some_and(|asked| WIDENED * taken >= asked) {
            self.widen.0 = now + self.widen.1;
            return false;
        }
        self.mode = Mode::Widened { from: self.rate, window };
        self.window = None;
        self.set_rate(now, Some(WIDENED * taken));
        true
    }

    pub(super) fn judge_widened(&mut self, now: f64, from: Option<f64>, window: usize) {
        let share = self.evidence.between(self.since, f64::INFINITY);
        let rate = self.rate.unwrap_or(f64::INFINITY);
        let expected = share.sent * (self.background() + 0.02);
        if share.refused >= 3.0 && share.refused > 3.0 * expected {
            self.window = Some(window);
            self.set_rate(now, from);
            self.ignored_before = now + self.slowest;
            self.widen.1 *= WIDEN_GROWS;
            self.widen.0 = now + self.widen.1;
            self.mode = Mode::Steady;
            return self.end_trouble();
        }
        let lasted = now - self.since - self.wait();
        if lasted >= PROBE_S.max(8.0 / rate) {
            // Nobody wanted so much, or none was refused.
            self.mode = Mode::Steady;
            if share.sent < 0.7 * rate * lasted {
                self.window = Some(window);
                self.set_rate(now, from);
                self.widen.0 = now + self.widen.1;
                return;
            }
            self.found.window = None;
            self.depths = Depths::default();
            self.no_window_before = now + NO_WINDOW_S;
            self.end_trouble();
            self.climbing = true;
            self.probe_at = now;
        }
    }

    /// What was sent beyond a window is not answered: the window is tried. Returns whether that is believed.
    pub fn silent(&mut self, now: f64, window: usize) -> bool {
        if self.silence == Silence::Refuted {
            return false;
        }
        if self.window.is_none_or(|before| window < before) {
            self.forget_silence();
            self.window = Some(window.max(1));
            self.silence = Silence::Tried { since: now, accepted: self.accepted };
            self.since = now;
        }
        true
    }

    /// What was thought to be lost was answered after all.
    pub fn not_silent(&mut self) {
        if matches!(self.silence, Silence::Tried { .. } | Silence::Known) {
            self.forget_silence();
            self.silence = Silence::Unseen;
        }
    }

    /// A message that was the only one outstanding is not answered either: whatever is lost, no window explains it. It is not
    /// asked again in this run, since the same would be seen again.
    pub fn refute_silence(&mut self) {
        if matches!(self.silence, Silence::Tried { .. } | Silence::Known) {
            self.forget_silence();
            self.silence = Silence::Refuted;
        }
    }

    pub(super) fn forget_silence(&mut self) {
        if matches!(self.silence, Silence::Tried { .. } | Silence::Known) {
            self.window = None;
        }
        if std::mem::take(&mut self.found.silent) {
            self.found.window = None;
        }
    }

    /// A window that is tried for silence beyond it is known, and said, once within it everything was answered for a while.
    pub(super) fn confirm_silence(&mut self, now: f64) {
        if let Silence::Tried { since, accepted } = self.silence
            && now - since >= SILENCE_TRIED_S
            && self.accepted - accepted >= SILENCE_ACCEPTED
        {
            self.silence = Silence::Known;
            self.found.window = self.window;
            self.found.silent = true;
        }
    }
}
