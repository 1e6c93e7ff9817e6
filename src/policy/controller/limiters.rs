//! Limiters as SMSCs have them, for the simulation.

use std::collections::VecDeque;

/// A message as it comes to a limiter.
#[derive(Clone, Copy, Debug)]
pub struct Try {
    pub at: f64,
    pub message: u64,
    /// How often it came before.
    pub tries: u32,
    pub connection: usize,
    /// Outstanding on its connection, this one not counted.
    pub open: usize,
    /// Of all tries so far, a random number in 0..1 for this one.
    pub random: f64,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Verdict {
    Accept,
    Refuse,
    Close,
}

/// What a limiter is, and what it remembers.
#[derive(Clone, Debug)]
pub enum Limiter {
    Token {
        rate: f64,
        burst: f64,
        tokens: f64,
        at: f64,
    },
    Fixed {
        rate: f64,
        second: f64,
        count: f64,
    },
    Sliding {
        rate: f64,
        counts_refused: bool,
        seen: VecDeque<f64>,
    },
    Spacing {
        rate: f64,
        tolerance: f64,
        last: f64,
    },
    Outstanding {
        most: usize,
    },
    Random {
        share: f64,
    },
    Once {
        share: f64,
    },
    Box {
        rate: f64,
        most: usize,
        within: f64,
        lasts: f64,
        seen: VecDeque<f64>,
        over: VecDeque<f64>,
        until: f64,
        entered: u32,
    },
    BoxTries {
        rate: f64,
        lasts: f64,
        seen: VecDeque<f64>,
        until: f64,
        entered: u32,
    },
    PerConnection {
        rate: f64,
        seen: Vec<VecDeque<f64>>,
    },
    Hangup {
        rate: f64,
        seen: VecDeque<f64>,
    },
    Schedule {
        steps: Vec<(f64, f64)>,
        seen: VecDeque<f64>,
        start: f64,
    },
    /// Counts over a longer window: `rate` a second, over `span` seconds.
    Long {
        rate: f64,
        span: f64,
        seen: VecDeque<f64>,
    },
    /// A tenth of a second at a time.
    Tenth {
        rate: f64,
        tenth: f64,
        count: f64,
    },
    /// A queue that is drained.
    Queue {
        size: f64,
        rate: f64,
        queued: f64,
        at: f64,
    },
    /// A share of the numbers is always refused.
    Numbers {
        share: f64,
    },
    /// One number in ten has a limit of its own.
    Prefix {
        rate: f64,
        seen: VecDeque<f64>,
    },
    /// Over the rate only every second one is refused.
    Half {
        rate: f64,
        seen: VecDeque<f64>,
    },
}

/// What a message is like, in 0..1.
fn luck(message: u64) -> f64 {
    (message.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as f64 / (1u64 << 24) as f64
}

fn count(seen: &mut VecDeque<f64>, at: f64, span: f64) -> f64 {
    while seen.front().is_some_and(|first| *first <= at - span) {
        seen.pop_front();
    }
    seen.len() as f64
}

impl Limiter {
    pub fn token(rate: f64, burst: f64) -> Self {
        Self::Token { rate, burst, tokens: burst, at: 0.0 }
    }
    pub fn fixed(rate: f64) -> Self {
        Self::Fixed { rate, second: -1.0, count: 0.0 }
    }
    pub fn sliding(rate: f64) -> Self {
        Self::Sliding { rate, counts_refused: false, seen: VecDeque::new() }
    }
    pub fn sliding_counting(rate: f64) -> Self {
        Self::Sliding { rate, counts_refused: true, seen: VecDeque::new() }
    }
    pub fn spacing(rate: f64) -> Self {
        Self::Spacing { rate, tolerance: 0.2, last: -9.0 }
    }
    pub fn penalty(rate: f64, most: usize, within: f64, lasts: f64) -> Self {
        let (seen, over) = (VecDeque::new(), VecDeque::new());
        Self::Box { rate, most, within, lasts, seen, over, until: -1.0, entered: 0 }
    }
    pub fn penalty_by_tries(rate: f64, lasts: f64) -> Self {
        Self::BoxTries { rate, lasts, seen: VecDeque::new(), until: -1.0, entered: 0 }
    }
    pub fn per_connection(rate: f64) -> Self {
        Self::PerConnection { rate, seen: vec![VecDeque::new(); 8] }
    }
    pub fn queue(size: f64, rate: f64) -> Self {
        Self::Queue { size, rate, queued: 0.0, at: 0.0 }
    }
    pub fn prefix(rate: f64) -> Self {
        Self::Prefix { rate, seen: VecDeque::new() }
    }
    pub fn hangup(rate: f64) -> Self {
        Self::Hangup { rate, seen: VecDeque::new() }
    }
    pub fn schedule(steps: &[(f64, f64)]) -> Self {
        Self::Schedule { steps: steps.to_vec(), seen: VecDeque::new(), start: 0.0 }
    }
    pub fn long(rate: f64, span: f64) -> Self {
        Self::Long { rate, span, seen: VecDeque::new() }
    }
    pub fn tenth(rate: f64) -> Self {
        Self::Tenth { rate, tenth: -1.0, count: 0.0 }
    }
    pub fn half(rate: f64) -> Self {
        Self::Half { rate, seen: VecDeque::new() }
    }

    pub fn judge(&mut self, m: &Try) -> Verdict {
        let at = m.at;
        let refuse_if = |is_over: bool| if is_over { Verdict::Refuse } else { Verdict::Accept };
        match self {
            Self::Token { rate, burst, tokens, at: last } => {
                *tokens = burst.min(*tokens + (at - *last) * *rate);
                *last = at;
                refuse_if(*tokens < 1.0)
            }
            Self::Fixed { rate, second, count } => {
                // Its clock's seconds are not ours.
                if (at + 0.37).floor() != *second {
                    (*second, *count) = ((at + 0.37).floor(), 0.0);
                }
                refuse_if(*count >= *rate)
            }
            Self::Tenth { rate, tenth, count } => {
                if (at * 10.0).floor() != *tenth {
                    (*tenth, *count) = ((at * 10.0).floor(), 0.0);
                }
                refuse_if(*count >= (*rate / 10.0).ceil())
            }
            Self::Sliding { rate, seen, .. } => refuse_if(count(seen, at, 1.0) >= *rate),
            Self::Long { rate, span, seen } => refuse_if(count(seen, at, *span) >= *rate * *span),
            Self::Half { rate, seen } => refuse_if(count(seen, at, 1.0) >= *rate && m.message.is_multiple_of(2)),
            Self::Spacing { rate, tolerance, last } => refuse_if(at - *last < (1.0 - *tolerance) / *rate),
            Self::Outstanding { most } => refuse_if(m.open >= *most),
            Self::Random { share } => refuse_if(m.random < *share),
            Self::Once { share } => refuse_if(m.tries == 0 && luck(m.message) < *share),
            Self::Numbers { share } => refuse_if(luck(m.message) < *share),
            Self::Queue { size, rate, queued, at: last } => {
                *queued = (*queued - (at - *last) * *rate).max(0.0);
                *last = at;
                refuse_if(*queued + 1.0 > *size)
            }
            Self::Prefix { rate, seen } => refuse_if(m.message % 10 == 7 && count(seen, at, 1.0) >= *rate),
            Self::Box { rate, most, within, lasts, seen, over, until, entered } => {
                if at < *until {
                    return Verdict::Refuse;
                }
                if count(seen, at, 1.0) < *rate {
                    return Verdict::Accept;
                }
                over.push_back(at);
                if count(over, at, *within) >= *most as f64 {
                    *until = at + *lasts;
                    *entered += 1;
                    over.clear();
                }
                Verdict::Refuse
            }
            Self::BoxTries { rate, lasts, seen, until, entered } => {
                if at < *until {
                    *until = at + *lasts;
                    return Verdict::Refuse;
                }
                if count(seen, at, 1.0) < *rate {
                    return Verdict::Accept;
                }
                *until = at + *lasts;
                *entered += 1;
                Verdict::Refuse
            }
            Self::PerConnection { rate, seen } => {
                let own = m.connection % seen.len();
                refuse_if(count(&mut seen[own], at, 1.0) >= *rate)
            }
            Self::Hangup { rate, seen } => {
                if count(seen, at, 1.0) >= *rate {
                    Verdict::Close
                } else {
                    Verdict::Accept
                }
            }
            Self::Schedule { .. } => {
                let rate = self.rate_at(at);
                let Self::Schedule { seen, .. } = self else { return Verdict::Accept };
                refuse_if(count(seen, at, 1.0) >= rate)
            }
        }
    }

    pub fn took(&mut self, m: &Try) {
        match self {
            Self::Token { tokens, .. } => *tokens -= 1.0,
            Self::Fixed { count, .. } | Self::Tenth { count, .. } => *count += 1.0,
            Self::Spacing { last, .. } => *last = m.at,
            Self::Sliding { seen, .. }
            | Self::Box { seen, .. }
            | Self::BoxTries { seen, .. }
            | Self::Hangup { seen, .. }
            | Self::Long { seen, .. }
            | Self::Half { seen, .. }
            | Self::Schedule { seen, .. } => seen.push_back(m.at),
            Self::PerConnection { seen, .. } => {
                let own = m.connection % seen.len();
                seen[own].push_back(m.at);
            }
            Self::Queue { queued, .. } => *queued += 1.0,
            Self::Prefix { seen, .. } if m.message % 10 == 7 => seen.push_back(m.at),
            Self::Outstanding { .. }
            | Self::Random { .. }
            | Self::Once { .. }
            | Self::Numbers { .. }
            | Self::Prefix { .. } => {}
        }
    }

    pub fn refused(&mut self, m: &Try) {
        if let Self::Sliding { counts_refused: true, seen, .. } = self {
            seen.push_back(m.at);
        }
    }

    /// The most that is accepted a second around that time.
    pub fn rate_at(&self, at: f64) -> f64 {
        match self {
            Self::Token { rate, .. }
            | Self::Fixed { rate, .. }
            | Self::Sliding { rate, .. }
            | Self::Spacing { rate, .. }
            | Self::Box { rate, .. }
            | Self::BoxTries { rate, .. }
            | Self::Hangup { rate, .. }
            | Self::Long { rate, .. }
            | Self::Tenth { rate, .. }
            | Self::Half { rate, .. } => *rate,
            Self::PerConnection { rate, .. } => *rate,
            Self::Queue { rate, .. } => *rate,
            Self::Random { .. }
            | Self::Once { .. }
            | Self::Outstanding { .. }
            | Self::Numbers { .. }
            | Self::Prefix { .. } => f64::INFINITY,
            Self::Schedule { steps, start, .. } => {
                let mut since = at - start;
                for (rate, lasts) in steps {
                    if since < *lasts {
                        return *rate;
                    }
                    since -= lasts;
                }
                steps.last().map_or(f64::INFINITY, |(rate, _)| *rate)
            }
        }
    }

    /// How often a penalty box was entered.
    pub fn boxes(&self) -> u32 {
        match self {
            Self::Box { entered, .. } | Self::BoxTries { entered, .. } => *entered,
            _ => 0,
        }
    }
}
