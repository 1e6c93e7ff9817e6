//! The rate that the operator allows, over any second.

use crate::policy::pacer::Rate;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// No more than `count` in `seconds`, anywhere.
pub(super) struct Cap {
    count: usize,
    seconds: Duration,
    written: VecDeque<Instant>,
}

impl Cap {
    pub(super) fn new(rate: Rate) -> Self {
        let (count, seconds) = match rate {
            Rate::Unlimited => (usize::MAX, 0.0),
            Rate::PerSecond(rate) => (rate.floor().max(1.0) as usize, (rate.floor().max(1.0) / rate).max(1.0)),
        };
        Self { count, seconds: Duration::from_secs_f64(seconds), written: VecDeque::new() }
    }

    /// How long `count` have to wait.
    pub(super) fn wait(&self, count: usize, now: Instant) -> Duration {
        let count = count.min(self.count);
        let Some(over) = (self.written.len() + count).checked_sub(self.count).filter(|over| *over > 0) else {
            return Duration::ZERO;
        };
        // The one that has to be out of the second.
        self.written.get(over - 1).map_or(Duration::ZERO, |at| (*at + self.seconds).saturating_duration_since(now))
    }

    pub(super) fn write(&mut self, now: Instant) {
        if self.count == usize::MAX {
            return;
        }
        self.written.push_back(now);
        while self.written.len() > self.count {
            self.written.pop_front();
        }
    }
}
