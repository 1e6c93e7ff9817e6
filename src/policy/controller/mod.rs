//! The rate and the window that an SMSC really allows: found, kept, never collapsed. Pure: events and their times go in, a
//! pace and a window come out. No clock, no I/O, no lock. Times are seconds since any moment.
//!
//! A refusal is believed to have to do with the rate only where its share falls when the rate does. Every cut is to what was
//! accepted, which costs nothing where the rate is the reason, and little where it is not; then the share is looked at again.
//!
//! | mode | what goes | what ends it |
//! |---|---|---|
//! | steady | as asked for, as was found, or (unlimited, nothing found) what the ramp allows to be outstanding | more refused than the background explains: cut |
//! | look | nothing, for a round trip: what is on its way is answered | one in two was refused since the first: echo. Else steady, as before |
//! | echo | one message, a tenth of a second later | refused: the limit counts what a second holds, and that is known now. Accepted: it is shorter of memory, and is searched for. Then cut |
//! | cut | what was accepted in the second that ended with the last refusal | share fallen (a sequential test): steady, and found. Not fallen: cut again; then background, and the rate is what it was. Nothing accepted: held |
//! | probe | a step more than what was found, for 0.7 s | clean: the step is kept, and the next one is twice as long. Refused: what was found, and a longer pause |
//! | held | nothing, and one message after 1, 2, 4, 8.5 ... 60 s | that one accepted: steady, below what led there |
//! | windowed | as asked for, with the window that explains the refusals | share fallen: steady. Not: a window of one less; then as before |
//! | widened | from time to time: without that window, a little faster than what it allowed | refused: the window, and a longer pause. Not: it was no window, and on from there |
//!
//! The ramp: without a rate no more are outstanding than the default window of each connection, or a few and a share of what was accepted so far. It doubles within a few
//! round trips, and still no more is on its way when the first is refused than a limit of that size forgives.

mod cut;
mod evidence;
mod held;
#[cfg(test)]
mod limiters;
mod probes;
mod seen;
mod settings;
#[cfg(test)]
mod sim;
#[cfg(test)]
mod table;
#[cfg(test)]
mod tests;
mod window;
mod windowed;
mod words;

use evidence::{Causal, Evidence, Share};
use settings::*;
use window::Depths;

/// The pauses while nothing is accepted, in seconds.
const HELD_S: [f64; 7] = [1.0, 2.0, 4.0, 8.5, 17.0, 34.0, 60.0];

/// Answers to messages that were sent at the same time.
#[derive(Clone, Copy, Debug)]
pub struct Answered {
    /// When they were written.
    pub sent_at: f64,
    /// How many.
    pub count: u32,
    /// How many were outstanding on their connection then, the last of them included.
    pub depth: u32,
    /// What the SMSC said.
    pub said: Said,
}

/// What an answer means for the pace.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Said {
    /// Accepted.
    Accepted,
    /// Refused by a status that means throttling.
    Throttled(u32),
    /// Refused for the moment by a status of which nobody knows whether it means throttling.
    Temporary(u32),
}

/// How fast messages go.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Pace {
    /// As fast as the SMSC answers.
    Unlimited,
    /// So many a second.
    PerSecond(f64),
    /// One at this time, or never (infinity): then the one that went is waited for.
    Single(f64),
    /// Nothing before this time.
    Pause(f64),
}

/// What is known of messages beyond a window that are never answered.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Silence {
    /// Nothing.
    Unseen,
    /// A window is tried since then; so many had been accepted before.
    Tried { since: f64, accepted: u64 },
    /// Within the window everything is answered.
    Known,
    /// It has another reason.
    Refuted,
}

/// What was found, for those who look on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Findings {
    /// A limit on the rate that was verified: the share refused fell when the rate did.
    pub limit: Option<f64>,
    /// A window that explains what was refused.
    pub window: Option<usize>,
    /// Beyond the window nothing is answered.
    pub silent: bool,
    /// The share that is refused whatever the rate.
    pub background: Option<f64>,
    /// The statuses of that share.
    pub independent: Vec<u32>,
    /// Temporary statuses that turned out to mean throttling.
    pub throttling: Vec<u32>,
    /// How often nothing at all was accepted for a while.
    pub boxes: u32,
    /// Nothing is accepted at present.
    pub held: bool,
    /// Connections that were lost for the rate.
    pub drops: u32,
}

#[derive(Clone, Copy, Debug)]
enum Mode {
    Steady,
    Look { until: f64 },
    Echo { next_at: f64 },
    Cut { from: Option<f64>, tries: u32, test: Causal },
    Probe { base: f64, step: f64 },
    Held { pause: usize, next_at: f64, resume: f64 },
    Windowed { from: Option<f64>, tries: u32, test: Causal },
    Widened { from: Option<f64>, window: usize },
}

/// See the module.
/// One thing: a single rate is decided from all of it, and `sim` drives it as a whole.
#[derive(Debug)]
pub struct Controller {
    /// What was asked for; `None`: as fast as the SMSC answers.
    asked: Option<f64>,
    connections: usize,
    rate: Option<f64>,
    mode: Mode,
    evidence: Evidence,
    /// Since when the rate is what it is.
    since: f64,
    /// When the share refused was last looked at anew.
    fresh: f64,
    /// The present refusals.
    trouble: Option<Trouble>,
    /// Above this rate refusals were seen lately: the search ends below it.
    refused_at: Option<(f64, f64)>,
    /// A window was tried in vain: none is tried before then.
    no_window_before: f64,
    /// Of those sent since the rate is what it is: refused, none accepted among them.
    none_accepted: u32,
    accepted: u64,
    /// The shortest time that an answer took.
    round_trip: f64,
    ramping: bool,
    silence: Silence,
    depths: Depths,
    pause: f64,
    probe_at: f64,
    /// Statuses of the present refusals.
    codes: [(u32, u32); CODES_MAX],
    found: Findings,
    /// What is refused whatever the rate.
    background: Share,
    /// No more than this is learned later.
    background_max: f64,
    /// The longest time that an answer took lately.
    slowest: f64,
    /// Since when none of those sent was accepted.
    refused_since: f64,
    /// The rate that led into a box or to a loss: below it nothing is probed for a while.
    drop: Option<Drop>,
    window: Option<usize>,
    /// The limit is not one on what a second holds.
    has_short_memory: bool,
    /// What was refused was so little that chance may have had a hand in it: the rate that is to be tried again.
    doubtful: Option<f64>,
    /// What share was refused when the limit was found.
    limit_share: f64,
    /// The rate before the last cut.
    cut_from: Option<f64>,
    /// How often in a row as little was refused at a rate that had been tested.
    again: u32,
    /// The rate at which the share had fallen.
    tested: Option<f64>,
    /// What was accepted in the second before the trouble.
    best: f64,
    share_before: f64,
    /// What is outstanding at the beginning of a ramp, and how much was accepted before.
    ramp: (f64, u64),
    /// What was seen at the rate from which a probe began.
    base: Share,
    /// Nothing is known of what lies above: the first step is a large one.
    climbing: bool,
    /// Refusals of what was sent before then are a probe's.
    ignored_before: f64,
    /// The rate at which the last probes began.
    probed_from: Option<f64>,
    /// When it is looked again whether what is refused at any rate is so, and how much later after that.
    recheck: (f64, f64),
    /// Until then what a probe found is not sure: it may have been credit. The rate to go back to.
    unsure: Option<(f64, f64)>,
    /// The rate that led to the last time when nothing was accepted, what had been accepted until then, and when that was.
    held_from: Option<(f64, u64, f64)>,
    averaged: bool,
    /// When it is looked again whether a window is what limits, and how much later after that.
    widen: (f64, f64),
    /// How often it was made a little slower, the rate before that, and what was refused then.
    trimmed: Option<(u32, f64, f64)>,
    /// Before an echo: since when the rate was what it was, and when it was looked.
    looked: (f64, f64),
    /// The newest time, and when something was answered last.
    now: f64,
    heard_at: f64,
}

/// Refusals that may have one reason.
#[derive(Clone, Copy, Debug)]
struct Trouble {
    /// When the first was sent, and the last.
    first: f64,
    last: f64,
    /// What was sent since the first.
    since: Share,
}

/// A connection that was lost soon after many were sent.
#[derive(Clone, Copy, Debug)]
struct Drop {
    from: Option<f64>,
    accepted: u64,
    answered: u64,
    tries: u32,
}

impl Controller {
    /// For an account of so many connections, of which so much was asked for.
    pub fn new(asked: Option<f64>, connections: usize, now: f64) -> Self {
        Self {
            asked,
            connections: connections.max(1),
            rate: asked,
            mode: Mode::Steady,
            evidence: Evidence::default(),
            since: now,
            fresh: now,
            trouble: None,
            refused_at: None,
            no_window_before: now,
            none_accepted: 0,
            accepted: 0,
            round_trip: f64::INFINITY,
            ramping: asked.is_none(),
            silence: Silence::Unseen,
            depths: Depths::default(),
            pause: PAUSE_S,
            probe_at: f64::INFINITY,
            codes: [(0, 0); CODES_MAX],
            found: Findings::default(),
            background: Share::default(),
            background_max: 0.0,
            slowest: 0.0,
            refused_since: now,
            drop: None,
            window: None,
            has_short_memory: false,
            doubtful: None,
            limit_share: 0.0,
            cut_from: None,
            again: 0,
            tested: None,
            best: 0.0,
            share_before: 0.0,
            ramp: (2.5, 0),
            base: Share::default(),
            climbing: false,
            ignored_before: now,
            probed_from: None,
            unsure: None,
            recheck: (f64::INFINITY, RECHECK_S),
            held_from: None,
            averaged: false,
            widen: (f64::INFINITY, WIDEN_S),
            trimmed: None,
            looked: (now, now),
            now,
            heard_at: now,
        }
    }

    /// The account's connections.
    pub fn connections(&self) -> usize {
        self.connections
    }

    /// Goes on from a rate that an earlier run had verified.
    pub fn start_from(&mut self, now: f64, found: f64) {
        if !found.is_finite() || self.asked.is_some_and(|asked| found >= asked) {
            return;
        }
        self.ramping = false;
        self.set_rate(now, Some(found.max(self.least())));
        self.probe_at = now + PAUSE_S;
    }

    /// How fast messages go at present.
    pub fn pace(&self) -> Pace {
        match (self.mode, self.rate) {
            (Mode::Held { next_at, .. } | Mode::Echo { next_at }, _) => Pace::Single(next_at),
            (Mode::Look { until }, _) => Pace::Pause(until),
            (_, Some(rate)) => Pace::PerSecond(rate),
            (_, None) => Pace::Unlimited,
        }
    }

    /// Whether what may be outstanding is still growing: it may be more a moment later.
    pub fn is_ramping(&self) -> bool {
        self.ramping && self.rate.is_none()
    }

    /// How many may be outstanding on a connection; `None`: as many as were asked for.
    pub fn window(&self) -> Option<usize> {
        let ramp = self.is_ramping().then(|| {
            let share = (self.round_trip / 0.64).clamp(1.0 / 32.0, 1.0);
            let (first, before) = self.ramp;
            // Once it is known that the rate is not what is refused, there is less to be careful about.
            let share = if self.background.sent > 0.0 { (RAMP_KNOWN * share).min(1.0) } else { share };
            let all = first + (self.accepted - before) as f64 * if share.is_finite() { share } else { 0.25 };
            // While the first answers are awaited, a few more go.
            let all = all + FIRST_RATE * (self.now - self.since).clamp(0.0, self.round_trip.min(FIRST_S));
            // One that answers nothing until it has more is given more.
            let stalled = (self.now - self.heard_at - STALL_S).max(0.0) / STALL_DOUBLES_S;
            let all = if stalled > 0.0 { all * 2f64.powf(stalled.min(40.0)) } else { all };
            // The default window is open to those whose every tenth message it is.
            let least = ((self.accepted - before) / 10).min(RAMP_LEAST) as usize;
            ((all / self.connections as f64).ceil() as usize).max(least).max(1)
        });
        match (self.window, ramp) {
            (Some(window), Some(ramp)) => Some(window.min(ramp)),
            (window, ramp) => window.or(ramp),
        }
    }

    /// What was found so far.
    pub fn findings(&self) -> &Findings {
        &self.found
    }

    /// Whether a temporary refusal by this status is to be laid to the pace, and not to its message.
    pub fn excuses(&self, status: u32) -> bool {
        if self.found.throttling.contains(&status) {
            return true;
        }
        if self.accepted == 0 || self.found.independent.contains(&status) {
            return false;
        }
        match self.mode {
            Mode::Cut { .. } | Mode::Windowed { .. } | Mode::Widened { .. } | Mode::Look { .. } | Mode::Echo { .. } => {
                true
            }
            Mode::Held { pause, .. } => pause < HELD_EXCUSED,
            Mode::Steady | Mode::Probe { .. } => false,
        }
    }

    /// Messages were sent: where all is held, that was the one.
    pub fn sent(&mut self, now: f64) {
        if let Mode::Held { next_at, .. } | Mode::Echo { next_at } = &mut self.mode {
            *next_at = now + SINGLE_LOST_S;
        }
    }

    /// What was to be sent was not: where all is held, another may be the one.
    pub fn not_sent(&mut self, now: f64) {
        self.sent(now - SINGLE_LOST_S);
    }

    /// The rate at present; `None`: as fast as the SMSC answers.
    pub fn rate(&self) -> Option<f64> {
        self.rate
    }

    /// Whether each answer counts by itself.
    pub fn is_attentive(&self) -> bool {
        self.trouble.is_some() || !matches!(self.mode, Mode::Steady)
    }

    /// Answers came, in their order.
    pub fn answered(&mut self, now: f64, answers: &[Answered]) {
        (self.now, self.heard_at) = (now, now);
        for answer in answers {
            self.see(now, answer);
        }
        self.confirm_silence(now);
        self.judge(now);
    }

    /// Time has passed.
    pub fn tick(&mut self, now: f64) {
        self.now = now;
        self.judge(now);
    }

    /// Draws the consequences.
    fn judge(&mut self, now: f64) {
        match self.mode {
            Mode::Steady => self.judge_steady(now),
            Mode::Cut { from, tries, test } => self.judge_cut(now, from, tries, test),
            Mode::Probe { base, step } => self.judge_probe(now, base, step),
            Mode::Windowed { from, tries, test } => self.judge_windowed(now, from, tries, test),
            Mode::Widened { from, window } => self.judge_widened(now, from, window),
            Mode::Look { until } if now >= until => self.judge_look(now),
            Mode::Look { .. } | Mode::Echo { .. } | Mode::Held { .. } => {}
        }
    }

    fn set_rate(&mut self, now: f64, rate: Option<f64>) {
        self.rate = rate;
        self.since = now;
        self.fresh = now;
        self.none_accepted = 0;
    }

    /// What is left of the rate at least: never more than was asked for.
    fn least(&self) -> f64 {
        self.asked.map_or(RATE_MIN, |asked| RATE_MIN.min(asked))
    }
}
