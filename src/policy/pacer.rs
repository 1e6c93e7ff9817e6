//! The account's token bucket: how many PDUs may be written when, over all connections.
//!
//! [`Bucket`] is pure: time is an argument. [`Pacer`] shares it among the writers behind a lock that is held for the
//! arithmetic only. No sliding second holds more than the rate and 1%, or below 100 a second the rate and one. Tokens are
//! taken when the octets are about to be written, not when parts are claimed, so that a slow disk does not bunch up what
//! the SMSC sees.

use parking_lot::Mutex;
use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

/// The share of the burst that is used.
const BURST_USED: f64 = 0.5;
/// A writer that wakes late may catch up on this much; the sliding second keeps that from being seen as a burst.
const CATCH_UP: Duration = Duration::from_millis(50);
/// The sliding second is kept over this much more than a second at most, for what may happen between the write and the
/// SMSC's clock.
const SLACK_MAX: Duration = Duration::from_millis(15);
/// A full rate is reached again this long after the last throttling.
const RECOVERY: Duration = Duration::from_secs(10);
/// Cuts are at least this far apart.
const CUT_INTERVAL: Duration = Duration::from_secs(1);
/// Throttling makes nothing slower than this, in PDUs a second, unless less was asked for.
const RATE_MIN: f64 = 1.0;
/// The lowest rate that can be asked for, in PDUs a second: one in 17 minutes.
const ASKED_MIN: f64 = 0.001;
/// Slots of the count of the last second.
const SLOTS: usize = 10;

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
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("unlimited") {
            return Ok(Self::Unlimited);
        }
        match text.parse::<f64>() {
            Ok(rate) if (ASKED_MIN..=1e9).contains(&rate) => Ok(Self::PerSecond(rate)),
            _ => Err(format!("a number of messages a second from {ASKED_MIN} to 1000000000, or `unlimited`")),
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

/// A token bucket whose rate gives way to throttling and comes back, and which lets no sliding second hold more than the
/// rate and the burst.
#[derive(Debug)]
pub struct Bucket {
    full: Rate,
    tokens: f64,
    at: Instant,
    /// What was taken in the last sliding second, oldest first, and how much that is.
    taken: VecDeque<(Instant, usize)>,
    in_second: usize,
    cut: Option<Cut>,
    accepted: LastSecond,
    /// When tokens were taken last.
    taken_at: Instant,
}

/// What throttling left of the rate.
#[derive(Clone, Copy, Debug)]
struct Cut {
    rate: f64,
    at: Instant,
}

impl Bucket {
    /// A bucket with one token in it, so that the first message need not wait.
    pub fn new(full: Rate, now: Instant) -> Self {
        let taken = VecDeque::new();
        Self {
            full,
            tokens: 1.0,
            at: now,
            taken,
            in_second: 0,
            cut: None,
            accepted: LastSecond::new(now),
            taken_at: now,
        }
    }

    /// Goes on from a rate that an earlier run found, as if it had been cut to it now.
    pub fn start_from(&mut self, now: Instant, found: f64) {
        if matches!(self.full, Rate::PerSecond(full) if found >= full) || !found.is_finite() {
            return;
        }
        self.cut = Some(Cut { rate: found.max(self.least()), at: now });
    }

    /// The rate that throttling left, unless more was taken for so long since that it is forgotten.
    pub fn found(&self) -> Option<f64> {
        self.cut.filter(|cut| self.taken_at.saturating_duration_since(cut.at) < RECOVERY).map(|cut| cut.rate)
    }

    /// Takes up to `want` tokens.
    pub fn take(&mut self, now: Instant, want: usize) -> usize {
        self.taken_at = now;
        let Rate::PerSecond(rate) = self.rate(now) else { return want };
        self.fill(now, rate);
        self.forget(now, rate);
        let room = second_holds(rate).saturating_sub(self.in_second);
        // A hair below a whole token is one: sums of fractions are never exact.
        let granted = ((self.tokens + 1e-9).floor() as usize).min(want).min(room);
        self.tokens -= granted as f64;
        if granted > 0 {
            self.in_second += granted;
            self.taken.push_back((now, granted));
        }
        granted
    }

    /// Puts back tokens that were taken last and not used.
    pub fn give_back(&mut self, mut count: usize) {
        if self.rate(self.taken_at) == Rate::Unlimited {
            return;
        }
        self.tokens += count as f64;
        while let Some((_, taken)) = self.taken.back_mut().filter(|_| count > 0) {
            let back = count.min(*taken);
            *taken -= back;
            count -= back;
            self.in_second -= back;
            if *taken == 0 {
                self.taken.pop_back();
            }
        }
    }

    /// How long until `want` tokens are there, or as many as are worth waking up for.
    pub fn ready_in(&self, now: Instant, want: usize) -> Duration {
        let Rate::PerSecond(rate) = self.rate(now) else { return Duration::ZERO };
        let there = self.tokens + rate * now.saturating_duration_since(self.at).as_secs_f64();
        let wait = (want as f64).min(worth_waking(rate)) - there;
        let tokens = if wait <= 0.0 { Duration::ZERO } else { Duration::from_secs_f64(wait / rate) };
        match self.taken.front() {
            Some((oldest, _)) if self.in_second >= second_holds(rate) => {
                tokens.max((*oldest + sliding_second(rate)).saturating_duration_since(now))
            }
            _ => tokens,
        }
    }

    /// The rate at this moment.
    pub fn rate(&self, now: Instant) -> Rate {
        let Some(cut) = self.cut else { return self.full };
        let quiet = now.saturating_duration_since(cut.at).as_secs_f64() / RECOVERY.as_secs_f64();
        if quiet >= 1.0 {
            return self.full;
        }
        // Cubic: long near the rate that was found to be taken, then quickly on, should the limit have gone.
        let full = match self.full {
            Rate::PerSecond(rate) => rate,
            Rate::Unlimited => cut.rate * 10.0,
        };
        Rate::PerSecond(cut.rate + (full - cut.rate).max(0.0) * quiet.powi(3))
    }

    /// The SMSC took so many.
    pub fn accepted(&mut self, now: Instant, count: usize) {
        self.accepted.add(now, count);
    }

    /// The SMSC throttled: down to what it took in the last second, at most once a second.
    pub fn throttled(&mut self, now: Instant) {
        if self.cut.is_some_and(|cut| now.saturating_duration_since(cut.at) < CUT_INTERVAL) {
            return;
        }
        let taken = self.accepted.count(now) as f64;
        let rate = match self.rate(now) {
            Rate::PerSecond(rate) => taken.min(rate),
            Rate::Unlimited => taken,
        };
        self.cut = Some(Cut { rate: rate.max(self.least()), at: now });
        self.tokens = self.tokens.min(0.0);
        self.at = now;
    }

    /// What throttling leaves of the rate at least: never more than was asked for.
    fn least(&self) -> f64 {
        match self.full {
            Rate::PerSecond(full) => RATE_MIN.min(full),
            Rate::Unlimited => RATE_MIN,
        }
    }

    /// Leaves the sliding second behind.
    fn forget(&mut self, now: Instant, rate: f64) {
        let second = sliding_second(rate);
        while let Some(&(at, count)) = self.taken.front()
            && now.saturating_duration_since(at) >= second
        {
            self.in_second -= count;
            self.taken.pop_front();
        }
    }

    fn fill(&mut self, now: Instant, rate: f64) {
        let elapsed = now.saturating_duration_since(self.at).as_secs_f64();
        self.tokens = (self.tokens + rate * elapsed).min(capacity(rate));
        self.at = self.at.max(now);
    }
}

/// The burst that an account may have beyond its rate: 2%, at least 2.
pub fn burst(rate: f64) -> f64 {
    (rate * 0.02).max(2.0)
}

fn capacity(rate: f64) -> f64 {
    worth_waking(rate) + rate * CATCH_UP.as_secs_f64()
}

/// Tokens worth waking a writer for: half a burst.
fn worth_waking(rate: f64) -> f64 {
    (burst(rate) / 2.0).floor().max(1.0)
}

/// How many tokens a sliding second may hold, less than is allowed: the rate and 1%, below 100 a second the rate and one.
fn second_holds(rate: f64) -> usize {
    (rate + burst(rate) * BURST_USED).floor() as usize
}

/// The sliding second with its slack: small enough that an even flow at the full rate never meets the limit.
fn sliding_second(rate: f64) -> Duration {
    let slack = (burst(rate) * BURST_USED - 1.0) / (2.0 * rate);
    Duration::from_secs(1) + Duration::from_secs_f64(slack).min(SLACK_MAX)
}

/// How many there were in the last second, in tenths of it.
#[derive(Debug)]
pub struct LastSecond {
    start: Instant,
    slots: [(u64, usize); SLOTS],
}

impl LastSecond {
    /// None yet.
    pub fn new(now: Instant) -> Self {
        Self { start: now, slots: [(0, 0); SLOTS] }
    }

    fn slot(&self, now: Instant) -> u64 {
        (now.saturating_duration_since(self.start).as_secs_f64() * SLOTS as f64) as u64 + SLOTS as u64
    }

    /// So many more.
    pub fn add(&mut self, now: Instant, count: usize) {
        let slot = self.slot(now);
        let entry = &mut self.slots[slot as usize % SLOTS];
        if entry.0 != slot {
            *entry = (slot, 0);
        }
        entry.1 += count;
    }

    /// How many there were.
    pub fn count(&self, now: Instant) -> usize {
        let newest = self.slot(now);
        self.slots.iter().filter(|(slot, _)| slot + SLOTS as u64 > newest).map(|(_, count)| count).sum()
    }
}

/// The bucket, shared by the writers of all connections.
#[derive(Debug)]
pub struct Pacer {
    bucket: Mutex<Bucket>,
    hold: AtomicU8,
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
    /// A pacer for an account.
    pub fn new(rate: Rate) -> Self {
        Self { bucket: Mutex::new(Bucket::new(rate, Instant::now())), hold: AtomicU8::new(Hold::No as u8) }
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

    /// Goes on from a rate that an earlier run found: it is tried first, and crept up from.
    pub fn start_from(&self, found: f64) {
        self.bucket.lock().start_from(Instant::now(), found);
    }

    /// The rate that the SMSC was found to take; `None`: nothing was throttled in the last
    /// ten seconds of sending.
    pub fn found(&self) -> Option<f64> {
        self.bucket.lock().found()
    }

    /// Takes up to `want` tokens now.
    pub fn take(&self, want: usize) -> usize {
        if self.hold() != Hold::No {
            return 0;
        }
        self.bucket.lock().take(Instant::now(), want)
    }

    /// Puts back tokens that were taken and not used.
    pub fn give_back(&self, count: usize) {
        self.bucket.lock().give_back(count);
    }

    /// How long until `want` tokens are there, or as many as are worth waking up for.
    pub fn ready_in(&self, want: usize) -> Duration {
        self.bucket.lock().ready_in(Instant::now(), want)
    }

    /// The rate at this moment.
    pub fn rate(&self) -> Rate {
        self.bucket.lock().rate(Instant::now())
    }

    /// Answers came: so many accepted, and whether any was throttled.
    pub fn answered(&self, accepted: usize, throttled: bool) {
        let mut bucket = self.bucket.lock();
        let now = Instant::now();
        bucket.accepted(now, accepted);
        if throttled {
            bucket.throttled(now);
        }
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

/// See [`Pacer::claim_ahead`].
const AHEAD: Duration = Duration::from_millis(80);
const AHEAD_MAX: usize = 2_000;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn after(start: Instant, seconds: f64) -> Instant {
        start + Duration::from_secs_f64(seconds)
    }

    /// Runs a bucket with a writer that wakes as it is told and `late` seconds later; returns when each token was taken.
    fn run(rate: f64, seconds: f64, late: impl Fn(usize) -> f64) -> Vec<f64> {
        let start = Instant::now();
        let mut bucket = Bucket::new(Rate::PerSecond(rate), start);
        let (mut at, mut taken, mut wakes) = (0.0, Vec::new(), 0);
        while at < seconds {
            let granted = bucket.take(after(start, at), 1_000);
            taken.extend(std::iter::repeat_n(at, granted));
            at += bucket.ready_in(after(start, at), 1_000).as_secs_f64() + late(wakes) + 1e-7;
            wakes += 1;
        }
        taken
    }

    #[test]
    fn the_rate_is_used_and_no_sliding_second_holds_more_than_rate_and_burst() {
        for rate in [1.0, 30.0, 100.0, 500.0, 5_000.0] {
            for late in [0.0, 0.000_1, 0.002, 0.04] {
                let taken = run(rate, 60.0, |n| if n % 7 == 0 { late } else { 0.0 });
                let used = taken.len() as f64 / (rate * 60.0);
                assert!((0.99..=1.005).contains(&used) || rate == 1.0, "{rate}/s, {late} s late: {used}");
                let (mut most, mut first) = (0, 0);
                for (n, at) in taken.iter().enumerate() {
                    while taken[first] <= at - 1.0 {
                        first += 1;
                    }
                    most = most.max(n + 1 - first);
                }
                assert!(most <= second_holds(rate), "{rate}/s: {most} in one second");
            }
        }
    }

    #[test]
    fn f15_rates_that_are_none_are_refused() {
        for text in ["0", "-1", "NaN", "inf", "fast", "", "1e99", "1e-30", "0.0009"] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
        let slowest = Rate::PerSecond(0.001);
        assert_eq!("0.001".parse(), Ok(slowest));
        let start = Instant::now();
        let mut bucket = Bucket::new(slowest, start);
        assert_eq!((bucket.take(start, 2), bucket.ready_in(start, 1)), (1, Duration::from_secs(1_000)));
        assert_eq!("unlimited".parse(), Ok(Rate::Unlimited));
        assert_eq!("0.5".parse(), Ok(Rate::PerSecond(0.5)));
    }

    /// An SMSC with a limit over a sliding second; returns accepted and throttled after `settle` seconds.
    fn against_limit(configured: Rate, limit: usize, seconds: f64, settle: f64) -> (usize, usize) {
        let start = Instant::now();
        let mut bucket = Bucket::new(configured, start);
        let (mut window, mut accepted, mut throttled) = (std::collections::VecDeque::new(), 0, 0);
        let mut at = 0.0;
        while at < seconds {
            let now = after(start, at);
            for _ in 0..bucket.take(now, 5) {
                while window.front().is_some_and(|first| *first <= at - 1.0) {
                    window.pop_front();
                }
                if window.len() < limit {
                    window.push_back(at);
                    bucket.accepted(now, 1);
                    accepted += usize::from(at >= settle);
                } else {
                    bucket.throttled(now);
                    throttled += usize::from(at >= settle);
                }
            }
            at += bucket.ready_in(now, 5).as_secs_f64().max(0.001);
        }
        (accepted, throttled)
    }

    #[test]
    fn f24_a_lower_limit_is_found_and_used() {
        for configured in [Rate::PerSecond(100.0), Rate::Unlimited] {
            let (accepted, throttled) = against_limit(configured, 21, 70.0, 10.0);
            assert!(accepted as f64 >= 0.9 * 20.0 * 60.0, "{configured}: {accepted} accepted");
            let share = throttled as f64 / (accepted + throttled) as f64;
            assert!(share < 0.05, "{configured}: {share} throttled");
        }
    }

    #[test]
    fn f24_the_full_rate_is_back_after_ten_quiet_seconds() {
        let start = Instant::now();
        let mut bucket = Bucket::new(Rate::PerSecond(100.0), start);
        bucket.throttled(start);
        assert_eq!(bucket.rate(start), Rate::PerSecond(RATE_MIN));
        let Rate::PerSecond(half_way) = bucket.rate(after(start, 5.0)) else { panic!("limited") };
        assert!(half_way > RATE_MIN && half_way < 100.0);
        assert_eq!(bucket.rate(after(start, 10.0)), Rate::PerSecond(100.0));
    }

    #[test]
    fn f24_throttling_raises_no_rate() {
        let start = Instant::now();
        let full = Rate::PerSecond(0.5);
        let mut bucket = Bucket::new(full, start);
        for seconds in [0.0, 1.0, 5.0] {
            bucket.throttled(after(start, seconds));
            assert_eq!(bucket.rate(after(start, seconds + 0.5)), full);
        }
        bucket.start_from(start, 0.3);
        assert_eq!(bucket.rate(start), full);
    }

    #[test]
    fn a_sliding_second_holds_one_percent_more_than_the_rate_or_one() {
        for (rate, most) in [(0.5, 1), (1.0, 2), (30.0, 31), (99.0, 100), (100.0, 101), (500.0, 505), (5_000.0, 5_050)]
        {
            assert_eq!(second_holds(rate), most, "{rate}/s");
        }
    }

    #[test]
    fn f24_a_found_rate_is_where_the_next_run_starts_and_creeps_up_from() {
        let start = Instant::now();
        let mut bucket = Bucket::new(Rate::PerSecond(100.0), start);
        assert_eq!(bucket.found(), None);
        bucket.start_from(start, 20.0);
        assert_eq!((bucket.rate(start), bucket.found()), (Rate::PerSecond(20.0), Some(20.0)));
        assert_eq!(bucket.rate(after(start, 10.0)), Rate::PerSecond(100.0));
        bucket.take(after(start, 9.9), 1);
        assert_eq!(bucket.found(), Some(20.0));
        bucket.take(after(start, 10.1), 1);
        assert_eq!(bucket.found(), None);
        let mut bucket = Bucket::new(Rate::PerSecond(10.0), start);
        bucket.start_from(start, 20.0);
        assert_eq!(bucket.rate(start), Rate::PerSecond(10.0));
    }

    #[test]
    fn what_is_given_back_can_be_taken_at_once() {
        let start = Instant::now();
        let mut bucket = Bucket::new(Rate::PerSecond(10.0), start);
        let mut at = start;
        while bucket.take(at, 1) == 1 {
            at += Duration::from_millis(100);
            if at > start + Duration::from_secs(2) {
                break;
            }
        }
        let at = at + bucket.ready_in(at, 1);
        assert_eq!((bucket.take(at, 1), bucket.take(at, 1)), (1, 0));
        bucket.give_back(1);
        assert_eq!((bucket.take(at, 2), bucket.take(at, 1)), (1, 0));
    }

    proptest! {
        #[test]
        fn tokens_are_never_made_from_nothing(rate in 0.5..10_000.0f64, steps in prop::collection::vec((0.0..0.5f64, 0usize..50), 1..200)) {
            let start = Instant::now();
            let mut bucket = Bucket::new(Rate::PerSecond(rate), start);
            let (mut at, mut taken) = (0.0, 0);
            for (pause, want) in steps {
                at += pause;
                taken += bucket.take(after(start, at), want);
                prop_assert!(taken as f64 <= 1.0 + capacity(rate) + rate * at + 1e-3);
            }
        }
    }
}
