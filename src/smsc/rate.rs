//! The rate limit of an account: so many messages in any one second.
//!
//! A sliding second rather than a bucket, because that is how the provider counts: whatever was accepted in the last
//! 1,000 ms fills the window, and a burst after a pause earns no credit. Knows no clock: time is an argument.
use crate::words::{BadValue, bad};
use std::collections::VecDeque;
use std::time::Duration;

const WINDOW: Duration = Duration::from_secs(1);

/// The slowest rate: one in eleven days and a half. Below it times would be longer than a clock holds.
const SLOWEST: f64 = 1e-6;

/// A rate a second that is one, and at most `most`.
///
/// # Errors
/// What it may be, in words.
pub(super) fn checked(rate: f64, most: f64) -> Result<f64, BadValue> {
    if (SLOWEST..=most).contains(&rate) {
        return Ok(rate);
    }
    Err(bad!("a rate is from 0.000001 to {most} a second, and not {rate}"))
}

/// How long so many take at a rate; no longer than a clock holds, whatever the rate is.
pub(super) fn time_of(count: f64, rate: f64) -> Duration {
    const LONGEST: Duration = Duration::from_secs(1 << 40);
    Duration::try_from_secs_f64(count / rate).map_or(LONGEST, |time| time.min(LONGEST))
}

/// Moments of the latest time, those of one moment together.
#[derive(Debug, Default)]
pub(super) struct Recent {
    at: VecDeque<(Duration, u64)>,
    total: u64,
}

impl Recent {
    /// Notes so many at the time `now`.
    pub(super) fn add(&mut self, now: Duration, count: u64) {
        self.total += count;
        match self.at.back_mut() {
            Some((at, noted)) if *at == now => *noted += count,
            _ => self.at.push_back((now, count)),
        }
    }

    /// How many there were in the last second.
    pub(super) fn count(&mut self, now: Duration) -> u64 {
        self.count_within(now, WINDOW)
    }

    /// How many there were in the time before `now`.
    pub(super) fn count_within(&mut self, now: Duration, span: Duration) -> u64 {
        while let Some((at, count)) = self.at.front()
            && now.saturating_sub(*at) >= span
        {
            self.total -= count;
            self.at.pop_front();
        }
        self.total
    }
}

/// Counts what was accepted in the last second, and says how much more may be.
#[derive(Debug)]
pub struct SlidingRate {
    limit: u64,
    recent: Recent,
}

impl SlidingRate {
    /// A limit of `rate` messages a second and, if `tolerance_percent` is not 0, that much more but at least 2.
    pub fn new(rate: u32, tolerance_percent: u32) -> Self {
        let rate = u64::from(rate);
        let extra = match tolerance_percent {
            0 => 0,
            percent => (rate * u64::from(percent)).div_ceil(100).max(2),
        };
        SlidingRate { limit: rate + extra, recent: Recent::default() }
    }

    /// How far the limit is used up at the time `now`, in per cent.
    pub fn load(&mut self, now: Duration) -> u8 {
        (self.recent.count(now) * 100 / self.limit.max(1)).min(100) as u8
    }

    /// Takes up to `wanted` at the time `now` (since any fixed start, hardly going back) and returns how many it got.
    pub fn take(&mut self, now: Duration, wanted: u64) -> u64 {
        let granted = wanted.min(self.limit.saturating_sub(self.recent.count(now)));
        if granted > 0 {
            self.recent.add(now, granted);
        }
        granted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn a_rate_is_neither_too_slow_nor_too_fast_for_a_clock() {
        for (rate, is_one) in [(1e-6, true), (0.5, true), (1e6, true)]
            .into_iter()
            .chain([9e-7, 1e-300, 0.0, -1.0, 1.1e6, f64::INFINITY, f64::NAN].map(|rate| (rate, false)))
        {
            assert_eq!(checked(rate, 1e6).is_ok(), is_one, "{rate}");
        }
        assert_eq!(time_of(3.0, 2.0), ms(1_500));
        for (count, rate) in [(1.0, 1e-300), (1e300, 1e-6), (1.0, 0.0), (1.0, f64::NAN)] {
            assert_eq!(time_of(count, rate), Duration::from_secs(1 << 40), "{count} {rate}");
        }
    }

    #[test]
    fn tolerance_is_five_percent_but_at_least_two() {
        for (rate, percent, limit) in [(30, 5, 32), (1, 5, 3), (500, 5, 525), (100, 5, 105), (30, 0, 30), (41, 5, 44)] {
            assert_eq!(SlidingRate::new(rate, percent).take(ms(0), u64::MAX), limit, "rate {rate}, {percent}%");
        }
    }

    #[test]
    fn any_second_holds_the_limit_and_no_more() {
        let mut rate = SlidingRate::new(10, 0);
        assert_eq!(rate.take(ms(0), 4), 4);
        assert_eq!(rate.take(ms(900), 10), 6);
        assert_eq!(rate.take(ms(999), 1), 0);
        assert_eq!(rate.take(ms(1000), 10), 4);
        assert_eq!(rate.take(ms(1899), 10), 0);
        assert_eq!(rate.take(ms(1900), 10), 6);
    }

    #[test]
    fn a_pause_earns_no_credit() {
        let mut rate = SlidingRate::new(10, 0);
        assert_eq!(rate.take(ms(60_000), 100), 10);
        assert_eq!(rate.take(ms(60_500), 100), 0);
    }

    #[test]
    fn a_steady_sender_at_the_rate_is_never_refused() {
        let mut rate = SlidingRate::new(30, 5);
        let refused = (0..3_000).filter(|i| rate.take(ms(i * 1000 / 30), 1) == 0).count();
        assert_eq!(refused, 0);
    }
}
