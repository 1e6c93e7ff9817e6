//! The account's pace, shared by the writers and readers of all connections: the [`Bucket`] and the [`Controller`] behind one
//! lock, which is held for the arithmetic only. Tokens are taken when the octets are about to be written, not when parts are
//! claimed, so that a slow disk does not bunch up what the SMSC sees.

use super::bucket::Bucket;
use super::controller::{Answered, Controller, Findings, Pace};
use crate::words::{BadValue, bad};
use parking_lot::Mutex;
use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// The lowest rate that can be asked for, in PDUs a second: one in 17 minutes.
const ASKED_MIN: f64 = 0.001;
/// A writer that waits for something else than tokens looks this often at least.
const LOOK_S: f64 = 0.2;

/// Requests a second about messages that the SMSC has, where it accepts no messages.
const ASKED_WHILE_HELD: f64 = 1.0;

/// How fast an account may send.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Rate {
    /// PDUs a second, 0.001 or more.
    PerSecond(f64),
    /// As fast as the SMSC answers.
    Unlimited,
}

impl Rate {
    /// Whether it is more than so many PDUs a second.
    pub fn exceeds(self, per_second: f64) -> bool {
        match self {
            Self::PerSecond(rate) => rate > per_second,
            Self::Unlimited => true,
        }
    }
}

impl FromStr for Rate {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        if text.eq_ignore_ascii_case("unlimited") {
            return Ok(Self::Unlimited);
        }
        match text.parse::<f64>() {
            Ok(rate) if (ASKED_MIN..=1e9).contains(&rate) => Ok(Self::PerSecond(rate)),
            _ => Err(bad!("a number of messages a second from {ASKED_MIN} to 1000000000, or `unlimited`")),
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PerSecond(rate) => write!(f, "{rate}/s"),
            Self::Unlimited => f.write_str("unlimited"),
        }
    }
}

/// See the module.
#[derive(Debug)]
pub struct Pacer {
    start: Instant,
    core: Mutex<Core>,
    hold: AtomicU8,
    /// How many may be outstanding on a connection.
    window: AtomicUsize,
    /// Some are refused: each answer is looked at by itself.
    is_attentive: AtomicBool,
}

#[derive(Debug)]
struct Core {
    bucket: Bucket,
    controller: Controller,
}

/// Whether anything may be sent at all, whatever the rate.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Hold {
    /// It may.
    No,
    /// Not for a while: connections stay.
    Short,
    /// Not for so long that connections are better left.
    Long,
}

/// How often those look who wait for a hold to end.
pub const HOLD_LOOK: Duration = Duration::from_millis(200);

impl Pacer {
    /// A pacer for an account with one connection.
    pub fn new(rate: Rate) -> Self {
        Self::of_account(rate, 1, 0.0)
    }

    /// A pacer for an account with so many connections. A sliding second may hold so much of a percent more than the rate.
    pub fn of_account(rate: Rate, connections: usize, tolerance_percent: f64) -> Self {
        let core = Core {
            bucket: Bucket::new(0.0, tolerance_percent),
            controller: Controller::new(asked(rate), connections, 0.0),
        };
        let window = core.controller.window().unwrap_or(usize::MAX);
        Self {
            start: Instant::now(),
            core: Mutex::new(core),
            hold: AtomicU8::new(Hold::No as u8),
            window: AtomicUsize::new(window),
            is_attentive: AtomicBool::new(false),
        }
    }

    /// Seconds since the pacer was made.
    pub fn seconds(&self, at: Instant) -> f64 {
        at.saturating_duration_since(self.start).as_secs_f64()
    }

    fn now(&self) -> f64 {
        self.seconds(Instant::now())
    }

    /// Lets nothing pass, or lets it pass again.
    pub fn set_hold(&self, hold: Hold) {
        self.hold.store(hold as u8, Ordering::Relaxed);
    }

    /// Whether anything may be sent.
    pub fn hold(&self) -> Hold {
        match self.hold.load(Ordering::Relaxed) {
            0 => Hold::No,
            1 => Hold::Short,
            _ => Hold::Long,
        }
    }

    /// Goes at another rate from now on. What was found of the SMSC's limit is where it starts; what the last second holds counts.
    pub fn set_rate(&self, rate: Rate, tolerance_percent: f64) {
        let now = self.now();
        self.with(|core| {
            let found = core.controller.findings().limit;
            core.bucket.begin_anew(now, tolerance_percent);
            core.controller = Controller::new(asked(rate), core.controller.connections(), now);
            if let Some(found) = found {
                core.controller.start_from(now, found);
            }
        });
    }

    /// Goes on from a rate that an earlier run had verified.
    pub fn start_from(&self, found: f64) {
        let now = self.now();
        self.with(|core| core.controller.start_from(now, found));
    }

    /// Whether no more than this is sent: nothing has shown that more is taken.
    pub fn is_within(&self, rate: f64) -> bool {
        self.core.lock().controller.rate().is_some_and(|now| now <= 1.001 * rate)
    }

    /// What was found so far.
    pub fn findings(&self) -> Findings {
        self.core.lock().controller.findings().clone()
    }

    /// How many may be outstanding on a connection, whatever its own window allows.
    pub fn window(&self) -> usize {
        self.window.load(Ordering::Relaxed)
    }

    /// Looks whether more may be outstanding by now. Returns whether to look again, without any answer.
    pub fn look(&self) -> bool {
        let now = self.now();
        self.with(|core| {
            core.controller.tick(now);
            core.controller.is_ramping()
        })
    }

    /// Takes up to `want` tokens now, for the one connection.
    pub fn take(&self, want: usize) -> usize {
        self.take_for(0, want)
    }

    /// Takes up to `want` tokens now, for a connection.
    pub fn take_for(&self, connection: usize, want: usize) -> usize {
        if self.hold() != Hold::No || want == 0 {
            return 0;
        }
        let now = self.now();
        self.with(|core| {
            core.controller.tick(now);
            let (rate, want) = match core.controller.pace() {
                Pace::Unlimited => (None, want),
                Pace::PerSecond(rate) => (Some(rate), want),
                Pace::Pause(at) | Pace::Single(at) if now < at => return 0,
                Pace::Pause(_) | Pace::Single(_) => (None, 1),
            };
            let granted = core.bucket.take(now, rate, want, connection);
            if granted > 0 {
                core.controller.sent(now);
            }
            granted
        })
    }

    /// Takes up to `want` tokens now, for requests about messages that the SMSC has: they are no messages, so that hours and
    /// pauses do not hold them, and what is held since nothing is accepted goes on slowly without saying anything of that.
    pub fn take_to_ask(&self, connection: usize, want: usize) -> usize {
        let now = self.now();
        self.with(|core| {
            core.controller.tick(now);
            let (rate, want) = match core.controller.pace() {
                Pace::Unlimited => (None, want),
                Pace::PerSecond(rate) => (Some(rate), want),
                Pace::Pause(at) | Pace::Single(at) if now < at => return 0,
                Pace::Pause(_) | Pace::Single(_) => (Some(ASKED_WHILE_HELD), want.min(1)),
            };
            if want == 0 { 0 } else { core.bucket.take(now, rate, want, connection) }
        })
    }

    /// How long until a token is there for that.
    pub fn ready_to_ask(&self, connection: usize) -> Duration {
        let now = self.now();
        let mut core = self.core.lock();
        let seconds = match core.controller.pace() {
            Pace::Unlimited => 0.0,
            Pace::PerSecond(rate) => core.bucket.ready_in(now, Some(rate), connection),
            Pace::Pause(at) | Pace::Single(at) if now < at => (at - now).min(LOOK_S),
            Pace::Pause(_) | Pace::Single(_) => core.bucket.ready_in(now, Some(ASKED_WHILE_HELD), connection),
        };
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    }

    /// Puts back tokens that the connection took and did not use.
    pub fn give_back(&self, connection: usize, count: usize) {
        let now = self.now();
        self.with(|core| {
            core.bucket.give_back(now, core.controller.rate(), count, connection);
            core.controller.not_sent(now);
        });
    }

    /// How long until a token is there for the one connection.
    pub fn ready_in(&self) -> Duration {
        self.ready_for(0)
    }

    /// How long until tokens are there for a connection, as many as are given out at once.
    pub fn ready_for(&self, connection: usize) -> Duration {
        let now = self.now();
        let mut core = self.core.lock();
        let seconds = match core.controller.pace() {
            Pace::Unlimited => 0.0,
            Pace::PerSecond(rate) => core.bucket.ready_in(now, Some(rate), connection),
            Pace::Pause(at) | Pace::Single(at) => (at - now).clamp(0.0, LOOK_S),
        };
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    }

    /// The rate at this moment.
    pub fn rate(&self) -> Rate {
        let core = self.core.lock();
        match core.controller.pace() {
            Pace::Pause(_) | Pace::Single(_) => Rate::PerSecond(0.0),
            Pace::Unlimited => Rate::Unlimited,
            Pace::PerSecond(rate) => Rate::PerSecond(rate),
        }
    }

    /// Whether each answer is to be told by itself; else those to messages that were written together may be told together.
    pub fn is_attentive(&self) -> bool {
        self.is_attentive.load(Ordering::Relaxed)
    }

    /// Answers came, in their order.
    pub fn answered(&self, answers: &[Answered]) {
        let now = self.now();
        self.with(|core| core.controller.answered(now, answers));
    }

    /// Whether a temporary refusal by this status is to be laid to the pace, and not to its message.
    pub fn excuses(&self, status: u32) -> bool {
        self.core.lock().controller.excuses(status)
    }

    /// The peer ended a session, and so many messages were left without an answer.
    pub fn lost(&self, unanswered: usize) {
        let now = self.now();
        self.with(|core| {
            let in_second = core.bucket.in_second(now);
            core.controller.lost(now, in_second, unanswered);
        });
    }

    /// What was sent beyond a window is not answered, while what was sent after it is.
    /// Returns whether that is believed.
    pub fn silent(&self, window: usize) -> bool {
        let now = self.now();
        self.with(|core| core.controller.silent(now, window))
    }

    /// One that was the only one outstanding is not answered either.
    pub fn refute_silence(&self) {
        self.with(|core| core.controller.refute_silence());
    }

    /// What was thought to be lost was answered.
    pub fn not_silent(&self) {
        self.with(|core| core.controller.not_silent());
    }

    fn with<T>(&self, change: impl FnOnce(&mut Core) -> T) -> T {
        let mut core = self.core.lock();
        let changed = change(&mut core);
        self.window.store(core.controller.window().unwrap_or(usize::MAX), Ordering::Relaxed);
        self.is_attentive.store(core.controller.is_attentive(), Ordering::Relaxed);
        changed
    }

    /// How many parts to have claimed ahead of the writing: what is written in the next moments, so that the disk is never
    /// waited for, and no more.
    pub fn claim_ahead(&self) -> usize {
        match self.rate() {
            Rate::Unlimited => AHEAD_MAX,
            Rate::PerSecond(rate) => ((rate * AHEAD.as_secs_f64()) as usize).clamp(1, AHEAD_MAX),
        }
    }
}

/// PDUs a second; `None`: as fast as the SMSC answers.
fn asked(rate: Rate) -> Option<f64> {
    match rate {
        Rate::PerSecond(rate) => Some(rate),
        Rate::Unlimited => None,
    }
}

/// See [`Pacer::claim_ahead`].
const AHEAD: Duration = Duration::from_millis(80);
const AHEAD_MAX: usize = 2_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f15_rates_that_are_none_are_refused() {
        for text in ["0", "-1", "NaN", "inf", "fast", "", "1e99", "1e-30", "0.0009"] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
        let slowest = Rate::PerSecond(0.001);
        assert_eq!("0.001".parse(), Ok(slowest));
        let pacer = Pacer::new(slowest);
        assert_eq!(pacer.take(2), 1);
        let wait = pacer.ready_in().as_secs();
        assert!((990..=1_006).contains(&wait), "{wait}");
        assert_eq!("unlimited".parse(), Ok(Rate::Unlimited));
        assert_eq!("0.5".parse(), Ok(Rate::PerSecond(0.5)));
    }

    #[test]
    fn a_rate_of_the_last_run_is_where_this_one_starts() {
        let pacer = Pacer::new(Rate::PerSecond(100.0));
        pacer.start_from(20.0);
        assert_eq!((pacer.rate(), pacer.is_within(20.0)), (Rate::PerSecond(20.0), true));
        let pacer = Pacer::new(Rate::PerSecond(10.0));
        pacer.start_from(20.0);
        assert_eq!(pacer.rate(), Rate::PerSecond(10.0));
    }

    #[test]
    fn another_rate_holds_at_once_and_gives_no_credit() {
        let pacer = Pacer::new(Rate::PerSecond(0.001));
        assert_eq!(pacer.take(5), 1);
        pacer.set_rate(Rate::PerSecond(10.0), 0.0);
        assert_eq!(pacer.rate(), Rate::PerSecond(10.0));
        assert!(pacer.ready_in() <= Duration::from_secs(1), "{:?}", pacer.ready_in());
        pacer.set_rate(Rate::Unlimited, 0.0);
        assert_eq!((pacer.rate(), pacer.take(5)), (Rate::Unlimited, 5));
        pacer.set_rate(Rate::PerSecond(0.001), 0.0);
        assert_eq!(pacer.take(5), 0, "the last second holds more than that");
    }

    #[test]
    fn nothing_passes_while_it_is_held() {
        let pacer = Pacer::new(Rate::Unlimited);
        pacer.set_hold(Hold::Short);
        assert_eq!(pacer.take(5), 0);
        pacer.set_hold(Hold::No);
        assert_eq!(pacer.take(5), 5);
    }
}
