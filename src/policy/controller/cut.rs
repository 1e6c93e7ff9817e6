//! From refusals to a lower rate, and from there to what they had to do with it.

use super::*;

impl Controller {
    pub(super) fn judge_steady(&mut self, now: f64) {
        if self.was_credit(now) {
            return;
        }
        if let Some(Trouble { last, .. }) = self.trouble {
            if self.accepts_nothing(now) && self.found.limit.is_some() {
                return self.hold(now);
            }
            let over = LATELY_S.max(60.0 / self.rate.unwrap_or(f64::INFINITY)).min(LONG_S);
            let lately = self.evidence.between(self.fresh.max(last - over), f64::INFINITY);
            let long = self.evidence.between(self.fresh.max(now - LONG_S), f64::INFINITY);
            let is_run = self.trouble.is_some_and(|trouble| trouble.since.is_run()) && self.background() < 0.3;
            if is_run || lately.is_bad(self.background) || long.drips(self.background) {
                if self.try_window(now) {
                    return;
                }
                // A second that was not full says little: an echo says more.
                if now - self.since < 0.9 && self.found.limit.is_none() && self.background.sent == 0.0 {
                    return self.look(now);
                }
                if let Some(share) = self.little_too_much(now, lately, long) {
                    return self.trim(now, share);
                }
                return self.cut(now, lately, true);
            }
            if now - last > LONG_S {
                self.end_trouble();
                self.trimmed = None;
            }
        }
        if now >= self.widen.0 && self.trouble.is_none() && self.widen(now) {
            return;
        }
        if now >= self.recheck.0 && self.look_again(now) {
            return;
        }
        if now >= self.probe_at {
            self.probe(now);
        }
    }

    /// At a limit that was found, a little is refused: which share of what was sent.
    fn little_too_much(&self, now: f64, lately: Share, long: Share) -> Option<f64> {
        let limit = self.found.limit?;
        let rate = self.rate.filter(|rate| *rate <= 1.001 * limit && now - self.since > 1.0)?;
        let over = if long.sent >= 2.0 * rate { long } else { lately };
        let is_little = lately.value() < TRIMMED_SHARE && over.value() < TRIMMED_SHARE && lately.sent >= 20.0;
        is_little.then(|| over.value())
    }

    /// A little slower. Where as much is refused after that, and again, it has another reason.
    fn trim(&mut self, now: f64, share: f64) {
        let Some(rate) = self.rate else { return };
        let (times, from, before) = self.trimmed.unwrap_or((0, rate, share));
        if times >= TRIMS_MAX && share > 0.6 * before {
            self.trimmed = None;
            let all = self.evidence.between(self.fresh.max(now - LONG_S), f64::INFINITY);
            return self.take_for_background(now, all, Some(from));
        }
        self.trimmed = Some((times + 1, from, before));
        let less = rate * (1.0 - (share - self.background()).clamp(TRIM_LEAST, TRIM_MOST));
        self.refused_at = Some((rate, now));
        self.pause = self.pause.max(PAUSE_SHORT_S);
        self.set_rate(now, Some(less.max(self.least())));
        self.found.limit = self.rate;
        self.tested = self.rate;
        self.ignored_before = now + 0.1;
        self.end_trouble();
        self.probe_at = now + self.pause;
    }

    /// Whether what is refused whatever the rate still is so, at a rate that is a little lower.
    fn look_again(&mut self, now: f64) -> bool {
        let (Some(rate), None) = (self.rate, self.found.limit) else {
            self.recheck.0 = f64::INFINITY;
            return false;
        };
        let share = self.evidence.between(self.fresh.max(now - LONG_S), now - self.slowest);
        self.recheck = (now + self.recheck.1, self.recheck.1 * RECHECK_GROWS);
        if share.value() < RECHECK_SHARE || share.sent < TESTED_MIN {
            return false;
        }
        self.share_before = share.value();
        self.start_cut(now, self.rate, ONLY, Causal::of_half(share.value()), RECHECK_RATE * rate);
        true
    }

    /// Waits for what is on its way.
    pub(super) fn look(&mut self, now: f64) {
        self.mode = Mode::Look { until: now + 1.1 * self.slowest.max(0.005) };
    }

    pub(super) fn judge_look(&mut self, now: f64) {
        let since = self.trouble.map_or(Share::default(), |trouble| trouble.since);
        let lately = self.evidence.between(self.fresh.max(now - LATELY_S), f64::INFINITY);
        if since.refused >= 2.0 && since.value() >= 0.4 || lately.is_bad(self.background) {
            if self.try_window(now) {
                return;
            }
            // What was sent before is not what is judged by.
            self.mode = Mode::Echo { next_at: now + ECHO_S };
            self.looked = (self.since, now);
            self.since = now;
            self.none_accepted = 0;
        } else {
            self.mode = Mode::Steady;
        }
    }

    /// The one that was sent after a pause is answered.
    pub(super) fn heard_echo(&mut self, now: f64, is_accepted: bool) {
        let (since, looked) = self.looked;
        self.since = since;
        self.mode = Mode::Steady;
        let lately = self.evidence.between(self.fresh.max(looked - LATELY_S), f64::INFINITY);
        // Alone it was accepted: beyond a window it was not.
        let clear = self.depths.clear_window().filter(|_| is_accepted && now >= self.no_window_before);
        if let Some(window) = clear {
            let before = self.trouble.map_or(1.0, |trouble| trouble.since.value());
            return self.start_window(now, self.rate, window, 0, Causal::new(before, self.background()));
        }
        // Where a second's count is exceeded, all is refused from the first on.
        let is_run = self.trouble.is_some_and(|trouble| trouble.since.value() >= 0.75);
        self.cut(now, lately, !is_accepted && is_run);
    }

    /// Down to what is accepted. `is_exact`: a second's count is known, the one that ended with the last refusal.
    pub(super) fn cut(&mut self, now: f64, lately: Share, is_exact: bool) {
        let Some(trouble) = self.trouble else { return };
        self.best = self.evidence.accepted(trouble.first - 1.0, trouble.first);
        // Of what was sent later not all is answered.
        let last = trouble.last.min(now - self.slowest).max(trouble.first) + evidence::SLOT_S;
        let in_second = self.evidence.accepted(last - 1.0, last);
        let current = self.sent_before(last);
        let recent = trouble.since.value();
        // A few of a few say little, unless they are most.
        let refused = trouble.since.refused;
        let is_dense = refused >= 3.0 && recent >= 0.5 || refused >= 4.0 && recent >= 0.2;
        let before = if is_dense { (recent + lately.value()) / 2.0 } else { lately.value() };
        let is_tested = self.rate.zip(self.tested).is_some_and(|(rate, tested)| rate <= 1.001 * tested);
        let is_again = before < LITTLE && is_tested && self.limit_share < DOUBTFUL && before > 0.7 * self.limit_share;
        self.again = if is_again { self.again + 1 } else { 0 };
        if self.again >= AGAIN_MAX {
            // As little was refused when limits were found that were kept to: they were none.
            self.again = 0;
            let share = self.evidence.between(now - LONG_S, f64::INFINITY);
            if self.cut_from == self.asked {
                self.found.limit = None;
            }
            // Not farther up than one step: a limit may be near all the same.
            let from = self.cut_from.or_else(|| self.rate.map(|rate| 1.15 * rate));
            return self.take_for_background(now, share, from);
        }
        // A second in which less was sent than was allowed says less of what is taken.
        let offered = self.evidence.between(last - 1.0, last).sent;
        // But where all is refused from the first on, a second's count is exceeded.
        let is_full = self.rate.is_none_or(|rate| offered >= FULL * rate) || trouble.since.value() >= RUN;
        let is_exact = is_exact && is_full;
        let (rate, refused_at) = if is_exact {
            let rate = margin(in_second)
                .max(MARGIN * current * (1.0 - if is_dense { recent } else { before }))
                .min(MARGIN * current.max(1.0));
            (rate, 1.02 * in_second.max(rate))
        } else {
            (margin(in_second).max(current * (1.0 - before).max(0.55)), current)
        };
        self.refused_at = Some((refused_at, now));
        self.share_before = before;
        self.has_short_memory = !is_exact;
        self.doubtful = self.rate.filter(|_| before < DOUBTFUL);
        self.pause = match self.found.limit {
            Some(limit) if limit > 1.2 * rate => PAUSE_MOVED_S,
            _ if self.doubtful.is_some() => PAUSE_SHORT_S,
            Some(_) => self.pause,
            None if is_exact && self.slowest >= SLOW_S => PAUSE_SLOW_S,
            None if is_exact => PAUSE_S,
            None => PAUSE_SHORT_S,
        };
        self.cut_from = self.rate;
        self.start_cut(now, self.rate, 0, Causal::new(before, self.background()), rate);
    }

    pub(super) fn start_cut(&mut self, now: f64, from: Option<f64>, tries: u32, test: Causal, rate: f64) {
        self.ramping = false;
        self.set_rate(now, Some(rate.max(self.least())));
        self.mode = Mode::Cut { from, tries, test };
        self.probe_at = f64::INFINITY;
    }

    pub(super) fn judge_cut(&mut self, now: f64, from: Option<f64>, tries: u32, mut test: Causal) {
        if self.accepts_nothing(now) {
            return self.hold(now);
        }
        let share = self.evidence.between(self.since, f64::INFINITY);
        test.see(share);
        let elapsed = now - self.since;
        if elapsed >= 0.3
            && share.refused >= 5.0
            && share.value() >= 0.08
            && share.value() < 0.6 * test.before()
            && test.before() >= 0.4
            && share.sent >= 20.0
        {
            // Less than before, and still too much: the rate is the reason, and it was cut too little.
            let rate = self.rate.unwrap_or(share.sent / elapsed);
            let next = Causal::new(share.value(), self.background());
            self.refused_at = Some((rate, now));
            return self.start_cut(now, from, tries, next, MARGIN * rate * (1.0 - share.value()));
        }
        let fallen = match test.has_fallen() {
            Some(fallen) if elapsed >= TEST_S && (fallen || share.sent >= TESTED_MIN) => fallen,
            _ if elapsed >= if test.before() < LITTLE { TEST_LITTLE_S } else { TEST_MAX_S } && share.sent > 0.0 => {
                test.leans_to_fallen()
            }
            _ => return,
        };
        if fallen {
            return self.found_limit(now);
        }
        if self.try_window(now) {
            return;
        }
        let enough = if share.value() >= 0.3 || from.is_none() { 3 } else { 2 };
        if tries + 1 < enough {
            let rate = self.rate.unwrap_or(share.sent / elapsed);
            // Where little is refused, little is to be seen: it is not worth much.
            let most = if test.before() < LITTLE { 0.97 } else { 0.85 };
            let next = rate * (MARGIN * (1.0 - share.value())).clamp(0.5, most);
            return self.start_cut(now, from, tries + 1, test, next);
        }
        self.take_for_background(now, share, from);
    }

    /// That share is refused at any rate: back to the rate from before.
    pub(super) fn take_for_background(&mut self, now: f64, share: Share, from: Option<f64>) {
        // Of the slowest test alone: what was refused above it may have been the rate's after all.
        self.background = share;
        self.background_max = 1.2 * share.value() + 2.0 * (share.value() / share.sent.max(1.0)).sqrt() + 0.003;
        self.found.background = Some(self.background());
        if self.found.limit.is_some() && share.value() >= 0.45 * self.limit_share {
            // As much was refused when a limit was found: it was none.
            self.found.limit = None;
        }
        if self.recheck.0.is_infinite() {
            self.recheck = (now + RECHECK_S, RECHECK_S * RECHECK_GROWS);
        }
        let is_sure = self.found.limit.is_none();
        for (code, _) in self.codes.into_iter().filter(|(_, count)| *count > 0 && is_sure) {
            self.found.throttling.retain(|known| *known != code);
            if !self.found.independent.contains(&code) {
                self.found.independent.push(code);
            }
        }
        self.mode = Mode::Steady;
        self.refused_at = None;
        self.end_trouble();
        self.restore(now, from);
        self.pause = PAUSE_S;
        // Where it began at a few messages, what lies above is not known.
        self.climbing = from != self.asked && self.found.limit.is_none();
        self.probe_at = match () {
            () if from == self.asked => f64::INFINITY,
            () if self.climbing => now + CLIMB_S,
            () => now + self.pause,
        };
    }

    /// Back to a rate; where that is as fast as the SMSC answers, not at once to all that a window holds.
    pub(super) fn restore(&mut self, now: f64, rate: Option<f64>) {
        let before = self.rate.unwrap_or(0.0);
        self.set_rate(now, rate);
        if rate.is_none() {
            self.ramping = true;
            self.ramp = (3.0 + 1.5 * before * self.slowest, self.accepted);
        }
    }

    pub(super) fn found_limit(&mut self, now: f64) {
        let Some(rate) = self.rate else { return };
        self.found.limit = Some(rate);
        self.limit_share = self.share_before;
        self.tested = Some(rate);
        for (code, _) in self.codes.into_iter().filter(|(_, count)| *count >= 3) {
            let is_known = self.found.throttling.contains(&code) || self.found.independent.contains(&code);
            if !is_known && self.share_before >= CLEAR {
                self.found.throttling.push(code);
            }
        }
        self.mode = Mode::Steady;
        self.end_trouble();
        self.fresh = self.since;
        let best = std::mem::take(&mut self.best);
        if self.probed_from.take().is_some_and(|from| (from - rate).abs() < SAME * rate) {
            // What was accepted above it was credit.
            self.pause = (self.pause * PAUSE_GROWS_SAME).min(PAUSE_MAX_S).max(self.pause);
        }
        self.probe_at = if rate < FAR_BELOW * best {
            // More was accepted a moment ago: it has to be seen whether that is over.
            self.doubtful = Some(0.97 * best);
            now + AGAIN_S
        } else if self.is_searching(now, rate) {
            now
        } else {
            now + self.pause
        };
    }
}

/// A little less than what was accepted; of few, all of it, since the bucket has a margin of its own.
fn margin(accepted: f64) -> f64 {
    if accepted <= 33.0 { accepted } else { MARGIN * accepted }
}
