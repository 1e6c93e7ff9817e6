//! The account's token bucket: how many PDUs may be written when. Pure: time is an argument, in seconds since any moment.
//!
//! No sliding second holds more than the rate (and what a tolerance adds), and on average at least 99.5% of it is used. What
//! is spaced here may be bunched by 5 ms on its way and still not exceed the rate where the SMSC counts it: as many as the
//! rate are spread over 1.005 s. Each has its moment; a writer that wakes late puts the next ones off by nothing, and where it is
//! behind by several, these follow at gaps that are a little shorter: an SMSC that wants a gap between any two has it.

use std::collections::VecDeque;

/// Over so many seconds as many are spread as a second may hold: 5 ms are for the way to the SMSC.
const SPREAD_S: f64 = 1.005;
/// No span of so many seconds holds more than that, however late a writer wakes.
const STRICT_S: f64 = 1.0049;
/// Tokens are given out for so many seconds at once: at 500/s four.
const QUANTUM_S: f64 = 0.008;
/// Two portions are at least this share of their usual gap apart; where so many are behind, that one.
const GAP_LEAST: f64 = 0.97;
const GAPS_BEHIND: [(f64, f64); 2] = [(10.0, 0.8), (3.0, 0.9)];
/// A writer that wakes late catches up on so many seconds.
const CATCH_UP_S: f64 = 0.6;
/// In its first seconds a run is not held up: its windows open.
const OPENING_S: f64 = 2.0;
const OPENING_CATCH_UP_S: f64 = 0.03;
/// Sums of fractions are never exact.
const HAIR_S: f64 = 1e-9;
/// A connection that wanted something so many seconds ago has a share of what there is.
const RIVAL_S: f64 = 0.25;
/// What was taken within so many seconds is remembered as taken at its end.
const MERGED_S: f64 = 0.001;

/// See the module.
#[derive(Debug)]
pub struct Bucket {
    /// The rate at which something was wanted last.
    rate: Option<f64>,
    born: f64,
    /// The moment of the next one.
    due: f64,
    /// Before then it is not given out, even where it is late.
    next_at: f64,
    /// What was taken within the last sliding second, oldest first: until when, and how much.
    taken: VecDeque<Taken>,
    in_second: usize,
    shares: Vec<ShareOf>,
    /// How much of a percent more a sliding second may hold.
    tolerance: f64,
}

#[derive(Clone, Copy, Debug)]
struct Taken {
    until: f64,
    count: usize,
    connection: usize,
}

/// A connection's share of the last sliding second.
#[derive(Clone, Copy, Debug)]
struct ShareOf {
    in_second: usize,
    /// When it wanted something last.
    wanted_at: f64,
}

impl Bucket {
    /// A bucket with one token in it, so that the first message need not wait.
    pub fn new(now: f64, tolerance_percent: f64) -> Self {
        let tolerance = tolerance_percent / 100.0;
        Self {
            rate: None,
            born: now,
            due: now,
            next_at: now,
            taken: VecDeque::new(),
            in_second: 0,
            shares: Vec::new(),
            tolerance,
        }
    }

    /// Another rate holds from now on: what was to be waited for at the one before does not count. What the last second holds does.
    pub fn begin_anew(&mut self, now: f64, tolerance_percent: f64) {
        self.tolerance = tolerance_percent / 100.0;
        (self.due, self.next_at) = (now, now);
    }

    /// Takes up to `want` tokens for a connection at this rate; `None`: as many as are wanted.
    pub fn take(&mut self, now: f64, rate: Option<f64>, want: usize, connection: usize) -> usize {
        self.forget(now);
        self.share(connection).wanted_at = now;
        let granted = match rate {
            None => want,
            Some(rate) => {
                if self.rate.is_none_or(|before| rate < before) {
                    // What was behind at another rate is not made good at this one.
                    self.due = self.due.max(now);
                }
                let catch_up = if now - self.born < OPENING_S { OPENING_CATCH_UP_S } else { CATCH_UP_S };
                self.due = self.due.max(now - catch_up);
                if now + HAIR_S < self.due.max(self.next_at) {
                    return 0;
                }
                quantum(rate).min(want).min(self.room(now, rate, connection))
            }
        };
        self.rate = rate;
        if granted > 0 {
            self.note(now, granted, connection);
            if let Some(rate) = rate {
                let gap = granted as f64 * SPREAD_S / rate;
                let behind = (now - self.due) / gap;
                let least = GAPS_BEHIND.iter().find(|(gaps, _)| behind >= *gaps).map_or(GAP_LEAST, |(_, least)| *least);
                self.due += gap;
                self.next_at = now + least * gap;
            }
        }
        granted
    }

    /// Puts back tokens that the connection took last and did not use.
    pub fn give_back(&mut self, now: f64, rate: Option<f64>, mut count: usize, connection: usize) {
        if let Some(rate) = rate {
            self.due -= count as f64 * SPREAD_S / rate;
            self.next_at = now;
        }
        for taken in self.taken.iter_mut().rev().filter(|taken| taken.connection == connection) {
            let back = count.min(taken.count);
            taken.count -= back;
            count -= back;
            self.in_second -= back;
            if let Some(share) = self.shares.get_mut(connection) {
                share.in_second -= back;
            }
            if count == 0 {
                break;
            }
        }
    }

    /// In how many seconds tokens are there: as many as are wanted, or as are given out at once.
    pub fn ready_in(&mut self, now: f64, rate: Option<f64>, connection: usize) -> f64 {
        let Some(rate) = rate else { return 0.0 };
        let wait = (self.due.max(self.next_at) - now).max(0.0);
        if self.room(now, rate, connection) > 0 {
            return wait;
        }
        let is_alone = self.in_second < self.second_holds(rate);
        let leaves = self.taken.iter().find(|taken| taken.count > 0 && (!is_alone || taken.connection == connection));
        leaves.map_or(wait, |taken| wait.max(taken.until + STRICT_S - now))
    }

    /// What the sliding second still has room for, and in it the connection's fair share among those that want some.
    fn room(&mut self, now: f64, rate: f64, connection: usize) -> usize {
        let holds = self.second_holds(rate);
        let rivals = self.shares.iter().filter(|share| now - share.wanted_at < RIVAL_S).count().max(1);
        let own = self.share(connection).in_second;
        holds.saturating_sub(self.in_second).min(holds.div_ceil(rivals).saturating_sub(own))
    }

    fn share(&mut self, connection: usize) -> &mut ShareOf {
        if self.shares.len() <= connection {
            self.shares.resize(connection + 1, ShareOf { in_second: 0, wanted_at: f64::NEG_INFINITY });
        }
        &mut self.shares[connection]
    }

    /// How many were taken within the last second.
    pub fn in_second(&mut self, now: f64) -> usize {
        self.forget(now);
        self.in_second
    }

    fn note(&mut self, now: f64, count: usize, connection: usize) {
        self.in_second += count;
        self.share(connection).in_second += count;
        match self.taken.back_mut() {
            Some(taken) if now - taken.until < MERGED_S && taken.connection == connection => {
                taken.until = now;
                taken.count += count;
            }
            _ => self.taken.push_back(Taken { until: now, count, connection }),
        }
    }

    /// Leaves the sliding second behind.
    fn forget(&mut self, now: f64) {
        while let Some(taken) = self.taken.front().copied().filter(|taken| now - taken.until >= STRICT_S) {
            self.in_second -= taken.count;
            self.share(taken.connection).in_second -= taken.count;
            self.taken.pop_front();
        }
    }

    /// How many a sliding second may hold. Below one a second the gaps alone count.
    fn second_holds(&self, rate: f64) -> usize {
        ((rate * (1.0 + self.tolerance) + 1e-9).floor() as usize).max(1)
    }
}

/// Tokens that are given out at once.
fn quantum(rate: f64) -> usize {
    ((rate * QUANTUM_S) as usize).max(1)
}

#[cfg(test)]
mod tests;
