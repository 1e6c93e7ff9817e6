//! Steps above what was found, and back.

use super::*;

impl Controller {
    /// A probe was clean, and now some are refused: what was accepted was credit. Back to where it began.
    pub(super) fn was_credit(&mut self, now: f64) -> bool {
        let Some((base, until)) = self.unsure else { return false };
        if now >= until {
            self.unsure = None;
            return false;
        }
        let since = self.trouble.map_or(Share::default(), |trouble| trouble.since);
        if since.refused < 3.0 || since.value() < 0.05 + 2.0 * self.background() {
            return false;
        }
        self.unsure = None;
        // Credit is used up a little above the limit: no need to go far below.
        let base = base.max(self.rate.unwrap_or(base) * CREDIT);
        self.set_rate(now, Some(base));
        self.fresh = now + 1.0;
        self.ignored_before = self.fresh;
        self.end_trouble();
        self.found.limit = Some(base);
        self.refused_at = None;
        self.pause = (self.pause * PAUSE_GROWS_SAME).min(PAUSE_MAX_S).max(self.pause);
        self.probe_at = now + self.pause;
        true
    }

    /// What probes found is steady now.
    pub(super) fn end_probes(&mut self, now: f64, rate: f64) {
        self.mode = Mode::Steady;
        self.unsure = self.probed_from.filter(|from| rate > 1.02 * from).map(|from| (from, now + UNSURE_S));
    }

    /// Whether it is not known yet what lies between this rate and the one at which some were refused.
    pub(super) fn is_searching(&self, now: f64, rate: f64) -> bool {
        self.next_in_search(now, rate).is_some()
    }

    /// The rate between this one and the one at which some were refused.
    pub(super) fn next_in_search(&self, now: f64, rate: f64) -> Option<f64> {
        let (refused, at) = self.refused_at?;
        let searched = if self.has_short_memory { SEARCHED_SHORT } else { SEARCHED };
        let goes_on = refused > searched * rate && refused > rate + 1.0 && now - at < SEARCH_S;
        goes_on.then(|| (rate * refused).sqrt().min(2.0 * rate).max(rate + 1.0))
    }

    pub(super) fn probe(&mut self, now: f64) {
        let (Some(base), true) = (self.rate, self.rate != self.asked) else {
            self.probe_at = f64::INFINITY;
            return;
        };
        let lately = self.evidence.between(self.since.max(now - 1.5), f64::INFINITY);
        let is_troubled = lately.value() > 0.03 + 2.0 * self.background();
        if lately.sent < 0.7 * base * (now - self.since).min(1.0) || is_troubled {
            // What is not used cannot be probed; nor is it while some are refused.
            self.probe_at = now + 0.5;
            return;
        }
        if let Some(before) = self.doubtful.take().filter(|before| *before > base) {
            return self.step(now, base, before - base);
        }
        match self.next_in_search(now, base) {
            Some(next) => self.step(now, base, next - base),
            None => {
                self.refused_at = None;
                let share = if std::mem::take(&mut self.climbing) { CLIMB } else { STEP };
                self.step(now, base, (share * base).max(1.0));
            }
        }
    }

    pub(super) fn step(&mut self, now: f64, base: f64, step: f64) {
        if !matches!(self.mode, Mode::Probe { .. }) {
            self.probed_from = Some(base);
            self.base = self.evidence.between(self.fresh.max(now - LONG_S), now - self.slowest);
        }
        let rate = self.asked.map_or(base + step, |asked| asked.min(base + step));
        self.mode = Mode::Probe { base, step };
        self.set_rate(now, Some(rate));
    }

    pub(super) fn judge_probe(&mut self, now: f64, base: f64, step: f64) {
        let share = self.evidence.between(self.since, f64::INFINITY);
        let rate = self.rate.unwrap_or(base);
        // What was refused at the base is no reason to go back to it.
        let at_base = self.base.value().min(1.3 * self.background() + 0.04).max(self.background());
        let expected = share.sent * at_base;
        // Where some are refused at any rate, chance has many tries.
        let spread = if self.background.sent > 0.0 { 4.0 } else { 2.0 };
        let is_bad = share.refused >= 2.0 && share.refused > 1.5 + 1.3 * expected + spread * expected.sqrt();
        if is_bad {
            self.end_probes(now, base);
            self.set_rate(now, Some(base));
            // What is refused of the probe judges the rate that was found no more.
            self.fresh = now + 1.0;
            self.ignored_before = self.fresh;
            self.trouble = None;
            let was_searching = self.is_searching(now, base);
            self.refused_at = Some((rate, now));
            if !was_searching {
                self.pause = (self.pause * PAUSE_GROWS).min(PAUSE_MAX_S).max(self.pause);
            }
            self.probe_at = now + if self.is_searching(now, base) { 1.5 } else { self.pause };
            if now >= self.no_window_before && self.depths.window().is_some() {
                self.trouble = Some(Trouble { first: now - 1.0, last: now, since: share });
                self.try_window(now);
            }
            return;
        }
        let seconds = if rate < 20.0 { PROBE_LOW_S.max(6.0 / rate) } else { PROBE_S } + self.wait();
        if now - self.since < seconds {
            return;
        }
        if share.sent < 0.7 * rate * (seconds - self.wait()) {
            // Nobody wanted so much.
            self.mode = Mode::Steady;
            if self.asked.is_none() && share.sent > 0.9 * base * (seconds - self.wait()) {
                self.found.limit = None;
                self.restore(now, None);
                self.probe_at = f64::INFINITY;
                return;
            }
            self.set_rate(now, Some(base));
            self.probe_at = now + self.pause;
            return;
        }
        if Some(rate) == self.asked {
            self.found.limit = None;
            self.refused_at = None;
            self.probe_at = f64::INFINITY;
            self.mode = Mode::Steady;
            self.since = now;
            return;
        }
        if self.found.limit.is_some() {
            self.found.limit = Some(rate);
        }
        match (self.next_in_search(now, rate), self.refused_at) {
            (Some(next), _) => self.step(now, rate, next - rate),
            (None, Some((refused, at))) if now - at < SEARCH_S && refused > rate => {
                self.end_probes(now, rate);
                self.since = now;
                self.probe_at = now + self.pause;
            }
            _ => {
                self.refused_at = None;
                self.step(now, rate, (4.0 * step).min(2.0 * rate));
            }
        }
    }
}
