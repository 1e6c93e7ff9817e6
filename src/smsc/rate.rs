//! The rate limit of an account: so many messages in any one second.
//!
//! A sliding second rather than a bucket, because that is how the provider counts: whatever was accepted in the last
//! 1,000 ms fills the window, and a burst after a pause earns no credit. Knows no clock: time is an argument.
use std::collections::VecDeque;
use std::time::Duration;

const WINDOW: Duration = Duration::from_secs(1);

/// Counts what was accepted in the last second, and says how much more may be.
#[derive(Debug)]
pub struct SlidingRate {
    limit: u64,
    taken: VecDeque<(Duration, u64)>,
    total: u64,
}

impl SlidingRate {
    /// A limit of `rate` messages a second and, if `tolerance_percent` is not 0, that much more but at least 2.
    pub fn new(rate: u32, tolerance_percent: u32) -> Self {
        let rate = u64::from(rate);
        let extra = match tolerance_percent {
            0 => 0,
            percent => (rate * u64::from(percent)).div_ceil(100).max(2),
        };
        SlidingRate { limit: rate + extra, taken: VecDeque::new(), total: 0 }
    }

    /// Takes up to `wanted` at the time `now` (since any fixed start, never going back) and returns how many it got.
    pub fn take(&mut self, now: Duration, wanted: u64) -> u64 {
        while let Some(&(at, count)) = self.taken.front() {
            if now.saturating_sub(at) < WINDOW {
                break;
            }
            self.total -= count;
            self.taken.pop_front();
        }
        let granted = wanted.min(self.limit.saturating_sub(self.total));
        if granted > 0 {
            self.total += granted;
            match self.taken.back_mut() {
                Some((at, count)) if *at == now => *count += granted,
                _ => self.taken.push_back((now, granted)),
            }
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
