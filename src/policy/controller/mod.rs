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
//!
//! The ramp: without a rate no more are outstanding than the default window of each connection, or a few and a share of what was accepted so far. It doubles within a few
//! round trips, and still no more is on its way when the first is refused than a limit of that size forgives.

mod evidence;
#[cfg(test)]
mod limiters;
#[cfg(test)]
mod sim;
#[cfg(test)]
mod tests;
mod window;
mod words;

use evidence::{Causal, Evidence, Share};
use window::Depths;

/// A cut goes to this share of what was accepted.
const MARGIN: f64 = 0.985;
/// Nothing is made slower than this, in PDUs a second, unless less was asked for.
const RATE_MIN: f64 = 1.0;
/// What a connection may have outstanding once ten times as much was accepted and nothing refused: the default window. A smaller
/// one would hold up those who asked for no more.
const RAMP_LEAST: u64 = 10;
/// A window beyond which nothing is answered is tried for so long, and so many have to be accepted within it, before it is known.
const SILENCE_TRIED_S: f64 = 1.0;
const SILENCE_ACCEPTED: u64 = 10;
/// The first test of a cut takes this long at least.
const TEST_S: f64 = 1.05;
/// And this long at most.
const TEST_MAX_S: f64 = 12.0;
/// That a share has not fallen is not said of fewer.
const TESTED_MIN: f64 = 20.0;
const TEST_LITTLE_S: f64 = 6.0;
/// What is refused is looked at over the last seconds, and a little that lasts over longer.
const LATELY_S: f64 = 2.0;
const LONG_S: f64 = 12.0;
/// A probe lasts so long.
const PROBE_S: f64 = 0.7;
const PROBE_LOW_S: f64 = 1.2;
/// The pause before the first probe, what it grows by, and how long it gets.
const PAUSE_S: f64 = 12.0;
/// The same where the limit is not one on what a second holds.
const PAUSE_SHORT_S: f64 = 5.0;
const PAUSE_GROWS: f64 = 1.4;
const PAUSE_MAX_S: f64 = 45.0;
/// The same where a limit that was known has fallen: it may rise again as well.
const PAUSE_MOVED_S: f64 = 2.5;
/// Between what is accepted and what is not there is nothing worth a search once they are so close.
const SEARCHED: f64 = 1.15;
/// The same where the limit is not one on what a second holds.
const SEARCHED_SHORT: f64 = 1.04;
/// So long it is believed that what lies above a rate that was refused is refused.
const SEARCH_S: f64 = 8.0;
/// When nothing is answered for so long, what may be outstanding doubles so often.
const STALL_S: f64 = 1.0;
const STALL_DOUBLES_S: f64 = 0.15;
/// An echo follows so many seconds after a look.
const ECHO_S: f64 = 0.1;
/// After a window that was tried in vain, none is for so long.
const NO_WINDOW_S: f64 = 60.0;
/// A share refused that is smaller than this may be chance.
const DOUBTFUL: f64 = 0.12;
const LITTLE: f64 = 0.06;
const AGAIN_MAX: u32 = 1;
/// One that is larger and falls with the rate tells that its status means throttling.
const CLEAR: f64 = 0.25;
/// A limit that is so far below what was accepted a second before is tried again soon.
const FAR_BELOW: f64 = 0.5;
const AGAIN_S: f64 = 1.5;
/// After a penalty box, and after a connection that was lost for the rate.
const PAUSE_BOX_S: f64 = 180.0;
const PAUSE_DROP_S: f64 = 600.0;
/// The pauses while nothing is accepted, in seconds.
const HELD_S: [f64; 7] = [1.0, 2.0, 4.0, 8.5, 17.0, 34.0, 60.0];
/// So many refused in a row after a cut, and none accepted: a penalty box.
const NONE_ACCEPTED: u32 = 6;
const NONE_ACCEPTED_S: f64 = 0.4;
/// The logarithm of how likely it may be that chance refuses so many in a row.
const UNLIKELY: f64 = -9.0;
/// One that was sent while held counts as lost after so many seconds.
const SINGLE_LOST_S: f64 = 15.0;
/// Refusals of a code that are not its messages' fault while nothing is accepted.
const HELD_EXCUSED: usize = 9;
/// The share that is refused whatever the rate is that of so many messages.
const BACKGROUND_MAX: f64 = 4_000.0;
/// Statuses that are told apart.
const CODES_MAX: usize = 8;

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
}

/// See the module.
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
            ramp: (3.0, 0),
            base: Share::default(),
            looked: (now, now),
            now,
            heard_at: now,
        }
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
            let share = (self.round_trip / 0.64).clamp(1.0 / 32.0, 0.5);
            let (first, before) = self.ramp;
            let all = first + (self.accepted - before) as f64 * if share.is_finite() { share } else { 0.25 };
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
            Mode::Cut { .. } | Mode::Windowed { .. } | Mode::Look { .. } | Mode::Echo { .. } => true,
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

    fn see(&mut self, now: f64, answer: &Answered) {
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
    fn see_background(&mut self, sent_at: f64, sent: f64, refused: f64) {
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

    fn note_code(&mut self, code: u32, count: u32) {
        if let Some(entry) = self.codes.iter_mut().find(|entry| entry.0 == code || entry.1 == 0) {
            *entry = (code, entry.1.saturating_add(count));
        }
    }

    /// Draws the consequences.
    fn judge(&mut self, now: f64) {
        match self.mode {
            Mode::Steady => self.judge_steady(now),
            Mode::Cut { from, tries, test } => self.judge_cut(now, from, tries, test),
            Mode::Probe { base, step } => self.judge_probe(now, base, step),
            Mode::Windowed { from, tries, test } => self.judge_windowed(now, from, tries, test),
            Mode::Look { until } if now >= until => self.judge_look(now),
            Mode::Look { .. } | Mode::Echo { .. } | Mode::Held { .. } => {}
        }
    }

    fn background(&self) -> f64 {
        self.background.value()
    }

    fn judge_steady(&mut self, now: f64) {
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
                return self.cut(now, lately, true);
            }
            if now - last > LONG_S {
                self.end_trouble();
            }
        }
        if now >= self.probe_at {
            self.probe(now);
        }
    }

    /// Whether of those sent for a while none was accepted.
    fn accepts_nothing(&self, now: f64) -> bool {
        if self.none_accepted < NONE_ACCEPTED || now - self.slowest - self.refused_since < NONE_ACCEPTED_S {
            return false;
        }
        // Where most are refused anyway, as many in a row are nothing new.
        let before = self.evidence.between(self.refused_since - LONG_S, self.refused_since);
        let share = (before.refused + 2.0) / (before.sent + 4.0);
        f64::from(self.none_accepted) * share.ln() < UNLIKELY
    }

    /// Waits for what is on its way.
    fn look(&mut self, now: f64) {
        self.mode = Mode::Look { until: now + 1.1 * self.slowest.max(0.005) };
    }

    fn judge_look(&mut self, now: f64) {
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
    fn heard_echo(&mut self, now: f64, is_accepted: bool) {
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

    fn end_trouble(&mut self) {
        self.trouble = None;
        self.codes = [(0, 0); CODES_MAX];
    }

    /// Messages a second that were sent before then.
    fn sent_before(&self, last: f64) -> f64 {
        let from = (last - 1.0).max(self.since.min(last - 0.05));
        let sent = self.evidence.between(from, last + evidence::SLOT_S).sent / (last - from).max(0.05);
        self.rate.map_or(sent, |rate| rate.min(sent.max(0.8 * rate)))
    }

    /// Down to what is accepted. `is_exact`: a second's count is known, the one that ended with the last refusal.
    fn cut(&mut self, now: f64, lately: Share, is_exact: bool) {
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
        let is_again = before < LITTLE && is_tested && self.limit_share < DOUBTFUL && before > 0.4 * self.limit_share;
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
            None if is_exact => PAUSE_S,
            None => PAUSE_SHORT_S,
        };
        self.cut_from = self.rate;
        self.start_cut(now, self.rate, 0, Causal::new(before, self.background()), rate);
    }

    fn start_cut(&mut self, now: f64, from: Option<f64>, tries: u32, test: Causal, rate: f64) {
        self.ramping = false;
        self.set_rate(now, Some(rate.max(self.least())));
        self.mode = Mode::Cut { from, tries, test };
        self.probe_at = f64::INFINITY;
    }

    fn judge_cut(&mut self, now: f64, from: Option<f64>, tries: u32, mut test: Causal) {
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
            let most = if test.before() < LITTLE { 0.93 } else { 0.85 };
            let next = rate * (MARGIN * (1.0 - share.value())).clamp(0.5, most);
            return self.start_cut(now, from, tries + 1, test, next);
        }
        self.take_for_background(now, share, from);
    }

    /// That share is refused at any rate: back to the rate from before.
    fn take_for_background(&mut self, now: f64, share: Share, from: Option<f64>) {
        // Of the slowest test alone: what was refused above it may have been the rate's after all.
        self.background = share;
        self.background_max = 1.2 * share.value() + 2.0 * (share.value() / share.sent.max(1.0)).sqrt() + 0.003;
        self.found.background = Some(self.background());
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
        self.probe_at = if from == self.asked { f64::INFINITY } else { now + self.pause };
    }

    /// Back to a rate; where that is as fast as the SMSC answers, not at once to all that a window holds.
    fn restore(&mut self, now: f64, rate: Option<f64>) {
        let before = self.rate.unwrap_or(0.0);
        self.set_rate(now, rate);
        if rate.is_none() {
            self.ramping = true;
            self.ramp = (3.0 + 1.5 * before * self.slowest, self.accepted);
        }
    }

    /// About how long an answer takes.
    fn wait(&self) -> f64 {
        if self.round_trip.is_finite() { self.round_trip } else { 0.0 }
    }

    fn found_limit(&mut self, now: f64) {
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

    /// Whether it is not known yet what lies between this rate and the one at which some were refused.
    fn is_searching(&self, now: f64, rate: f64) -> bool {
        self.next_in_search(now, rate).is_some()
    }

    /// The rate between this one and the one at which some were refused.
    fn next_in_search(&self, now: f64, rate: f64) -> Option<f64> {
        let (refused, at) = self.refused_at?;
        let searched = if self.has_short_memory { SEARCHED_SHORT } else { SEARCHED };
        let goes_on = refused > searched * rate && refused > rate + 1.0 && now - at < SEARCH_S;
        goes_on.then(|| (rate * refused).sqrt().min(2.0 * rate).max(rate + 1.0))
    }

    fn probe(&mut self, now: f64) {
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
                self.step(now, base, (0.06 * base).max(1.0));
            }
        }
    }

    fn step(&mut self, now: f64, base: f64, step: f64) {
        if !matches!(self.mode, Mode::Probe { .. }) {
            self.base = self.evidence.between(self.fresh.max(now - LONG_S), now - self.slowest);
        }
        let rate = self.asked.map_or(base + step, |asked| asked.min(base + step));
        self.mode = Mode::Probe { base, step };
        self.set_rate(now, Some(rate));
    }

    fn judge_probe(&mut self, now: f64, base: f64, step: f64) {
        let share = self.evidence.between(self.since, f64::INFINITY);
        let rate = self.rate.unwrap_or(base);
        // What was refused at the base is no reason to go back to it.
        let at_base = self.base.value().min(1.3 * self.background() + 0.04).max(self.background());
        let expected = share.sent * at_base;
        let is_bad = share.refused >= 2.0 && share.refused > 1.5 + 1.3 * expected + 2.0 * expected.sqrt();
        if is_bad {
            self.mode = Mode::Steady;
            self.set_rate(now, Some(base));
            // What is refused of the probe judges the rate that was found no more.
            self.fresh = now + 1.0;
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
        let seconds = if rate < 50.0 { PROBE_LOW_S.max(2.0 / rate) } else { PROBE_S } + self.wait();
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
                self.mode = Mode::Steady;
                self.since = now;
                self.probe_at = now + self.pause;
            }
            _ => {
                self.refused_at = None;
                self.step(now, rate, (3.0 * step).min(rate));
            }
        }
    }

    /// Nothing at all is accepted.
    fn hold(&mut self, now: f64) {
        let resume = self.found.limit.unwrap_or(f64::INFINITY).min(self.rate.unwrap_or(f64::INFINITY));
        self.since = now;
        self.mode = Mode::Held { pause: 0, next_at: now + HELD_S[0], resume: resume.max(self.least()) };
    }

    /// Something is accepted again.
    fn release(&mut self, now: f64, resume: f64, pauses: usize) {
        self.found.held = false;
        self.refused_at = None;
        let margin = if pauses > 0 { 0.97 } else { 1.0 };
        self.set_rate(now, Some((margin * resume).max(self.least())));
        self.found_limit(now);
        // A second's pause ends a fixed second, and is no box.
        self.pause = if pauses > 0 { PAUSE_BOX_S } else { self.pause };
        self.probe_at = now + self.pause;
    }

    /// Whether a window explains what is refused: then that is tried first.
    fn try_window(&mut self, now: f64) -> bool {
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

    fn start_window(&mut self, now: f64, from: Option<f64>, window: usize, tries: u32, test: Causal) {
        self.window = Some(window);
        self.depths = Depths::default();
        self.mode = Mode::Windowed { from, tries, test };
        self.set_rate(now, from);
        self.probe_at = f64::INFINITY;
    }

    fn judge_windowed(&mut self, now: f64, from: Option<f64>, tries: u32, mut test: Causal) {
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

    fn forget_silence(&mut self) {
        if matches!(self.silence, Silence::Tried { .. } | Silence::Known) {
            self.window = None;
        }
        if std::mem::take(&mut self.found.silent) {
            self.found.window = None;
        }
    }

    /// A window that is tried for silence beyond it is known, and said, once within it everything was answered for a while.
    fn confirm_silence(&mut self, now: f64) {
        if let Silence::Tried { since, accepted } = self.silence
            && now - since >= SILENCE_TRIED_S
            && self.accepted - accepted >= SILENCE_ACCEPTED
        {
            self.silence = Silence::Known;
            self.found.window = self.window;
            self.found.silent = true;
        }
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

/// A little less than what was accepted; of few, all of it, since the bucket has a margin of its own.
fn margin(accepted: f64) -> f64 {
    if accepted <= 33.0 { accepted } else { MARGIN * accepted }
}
