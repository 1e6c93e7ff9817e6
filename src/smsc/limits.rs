//! The rate limiters of the field. Each judges every message; the first that refuses decides what is answered, and then all
//! are told whether the message was taken.
//!
//! They know no clock: time is an argument, since the simulator's start. It may go back a little: each session takes it before
//! it waits for the account's turn.
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::time::Duration;

use hashbrown::{HashMap, HashSet};

use super::checks::status;
use super::ids::mix;
use super::rate::{Recent, checked, time_of};
use super::settings::parse_duration;
use crate::wire::CommandStatus;
use crate::words::{BadValue, bad};

/// Numbers that are remembered although they rest.
const NUMBERS_MIN: usize = 10_000;

/// Numbers whose first try is remembered; beyond it the memory begins anew.
const REMEMBERED_MAX: usize = 1_000_000;

/// The limiters that there are, with what they do.
pub(crate) const KINDS: [(&str, &str); 19] = [
    ("token:R:B", "a bucket of at most B tokens, R more a second"),
    ("fixed:R", "R in each second of the clock"),
    ("sliding:R[:c]", "R in any second; with c what is refused counts, too"),
    ("spacing:R[:T]", "1/R seconds between two, T per cent less tolerated"),
    ("outstanding:N", "no more than N unanswered on a connection (answers that take time: --answer-delay)"),
    ("queue:N:R", "a queue of N that is drained at R a second"),
    ("random:P", "P per cent are refused, whatever the rate"),
    ("once:P", "P per cent of the messages are refused at their first try"),
    ("numbers:P", "P per cent of the numbers are always refused"),
    ("pernumber:R", "R in any second to each number"),
    ("starts:D:R", "R in any second to numbers that begin with D"),
    ("prefix:D:R", "R in any second to numbers that end in D"),
    ("box:R:X:Y:Z", "over R in a second counts; X of those in Y seconds: all is refused for Z seconds"),
    ("boxtries:R:Z", "over R in a second: all is refused until Z seconds have passed without a try"),
    ("perconn:R", "R in any second on each connection"),
    ("silent:R", "answers wait, so that R a second are answered"),
    ("deaf:N", "what comes while N are unanswered on a connection is never answered"),
    ("hangup:R", "over R in a second: the connection is closed"),
    ("schedule:R/S,...", "R in any second for S seconds, then the next, the last for ever"),
];

/// One limiter, as it is written: `NAME:ARGUMENTS[@STATUS]`, such as `token:100:5@0x14`.
///
/// Without a status what it refuses is answered 0x58.
#[derive(Clone, Debug, PartialEq)]
pub struct Limit {
    kind: Kind,
    status: u32,
    text: String,
}

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Token(f64, f64),
    Fixed(f64),
    Sliding(f64, bool),
    Spacing(f64, f64),
    Outstanding(u64),
    Queue(f64, f64),
    Random(f64),
    Once(f64),
    Numbers(f64),
    PerNumber(f64),
    Starts(String, f64),
    Prefix(String, f64),
    Box(f64, u64, Duration, Duration),
    BoxTries(f64, Duration),
    PerConnection(f64),
    Silent(f64),
    Deaf(u64),
    HangUp(f64),
    Schedule(Vec<(f64, Duration)>),
}

impl FromStr for Limit {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let (shape, status) = match text.rsplit_once('@') {
            None => (text, status::THROTTLED),
            Some((shape, status)) => {
                let status = CommandStatus::parse(status).filter(|status| status.0 != 0);
                (shape, status.ok_or_else(|| bad!("{text:?}: behind @ stands a status such as 0x58"))?.0)
            }
        };
        let mut words = shape.split(':');
        let name = words.next().unwrap_or_default();
        let words: Vec<&str> = words.collect();
        let shape = KINDS.iter().map(|(shape, _)| *shape).find(|shape| shape.split(':').next() == Some(name));
        let shape = shape.ok_or_else(|| {
            let names: Vec<&str> = KINDS.iter().filter_map(|(shape, _)| shape.split(':').next()).collect();
            format!("{name:?} is no limiter; there are {}", names.join(", "))
        })?;
        let kind = kind(name, &words).map_err(|error| bad!("{text:?}: {error}; it is written {shape}"))?;
        Ok(Limit { kind, status, text: text.to_owned() })
    }
}

fn kind(name: &str, words: &[&str]) -> Result<Kind, BadValue> {
    let count = |text: &str| text.parse::<u64>().ok().filter(|n| *n > 0).ok_or_else(|| bad!("{text:?} is no count"));
    let share = |text: &str| {
        let share = text.parse().ok().filter(|share| (0.0..=100.0).contains(share));
        share.map(|share: f64| share / 100.0).ok_or_else(|| bad!("{text:?} is not a share of 0 to 100"))
    };
    Ok(match (name, words) {
        ("token", [r, b]) => Kind::Token(rate(r)?, count(b)? as f64),
        ("fixed", [r]) => Kind::Fixed(rate(r)?),
        ("sliding", [r]) => Kind::Sliding(rate(r)?, false),
        ("sliding", [r, "c"]) => Kind::Sliding(rate(r)?, true),
        ("spacing", [r]) => Kind::Spacing(rate(r)?, 0.0),
        ("spacing", [r, t]) => Kind::Spacing(rate(r)?, share(t)?),
        ("outstanding", [n]) => Kind::Outstanding(count(n)?),
        ("queue", [n, r]) => Kind::Queue(count(n)? as f64, rate(r)?),
        ("random", [p]) => Kind::Random(share(p)?),
        ("once", [p]) => Kind::Once(share(p)?),
        ("numbers", [p]) => Kind::Numbers(share(p)?),
        ("pernumber", [r]) => Kind::PerNumber(rate(r)?),
        ("starts", [d, r]) if !d.is_empty() => Kind::Starts((*d).to_owned(), rate(r)?),
        ("prefix", [d, r]) if !d.is_empty() => Kind::Prefix((*d).to_owned(), rate(r)?),
        ("box", [r, x, y, z]) => Kind::Box(rate(r)?, count(x)?, seconds(y)?, seconds(z)?),
        ("boxtries", [r, z]) => Kind::BoxTries(rate(r)?, seconds(z)?),
        ("perconn", [r]) => Kind::PerConnection(rate(r)?),
        ("silent", [r]) => Kind::Silent(rate(r)?),
        ("deaf", [n]) => Kind::Deaf(count(n)?),
        ("hangup", [r]) => Kind::HangUp(rate(r)?),
        ("schedule", [steps]) => {
            let step = |step: &str| {
                let (r, s) = step.split_once('/').ok_or_else(|| bad!("{step:?} is not RATE/SECONDS"))?;
                Ok((rate(r)?, seconds(s)?))
            };
            Kind::Schedule(steps.split(',').map(step).collect::<Result<_, BadValue>>()?)
        }
        _ => return Err("it has other arguments".into()),
    })
}

fn rate(text: &str) -> Result<f64, BadValue> {
    checked(text.parse().map_err(|_| bad!("{text:?} is no rate"))?, 1e9)
}

/// Seconds, with or without a unit; no more than a clock can be set to.
fn seconds(text: &str) -> Result<Duration, BadValue> {
    const MOST: Duration = Duration::from_secs(1 << 32);
    let time = match text.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).map_err(|_| bad!("{text:?} is no time"))?,
        Err(_) => parse_duration(text)?,
    };
    if time > MOST { Err(bad!("{text:?} is too long")) } else { Ok(time) }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What a message looks like to a limiter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) now: Duration,
    pub(super) session: u64,
    /// Requests of the connection that are not answered yet.
    pub(super) open: u64,
    pub(super) destination: &'a [u8],
    pub(super) text: &'a [u8],
    pub(super) seed: u64,
}

/// What a limiter says of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is allowed, and answered so much later.
    Allow(Duration),
    /// It is answered with this status.
    Refuse(u32),
    /// It is never answered.
    Deaf,
    /// The connection is closed.
    Close,
}

/// The limiters of an account with what they remember.
#[derive(Debug, Default)]
pub(super) struct Limiters {
    limiters: Vec<(Limit, State)>,
}

/// What a limiter remembers. Each kind uses some of it.
#[derive(Debug, Default)]
struct State {
    recent: Recent,
    over: Recent,
    connections: HashMap<u64, Recent>,
    /// By what stands for a number.
    numbers: HashMap<u64, Recent>,
    /// When those that rest are forgotten next.
    numbers_max: usize,
    seen: HashSet<u64>,
    level: f64,
    at: Option<Duration>,
    until: Duration,
}

impl Limiters {
    /// None of them has seen anything yet.
    pub(super) fn new(limits: &[Limit]) -> Limiters {
        Limiters { limiters: limits.iter().map(|limit| (limit.clone(), State::default())).collect() }
    }

    /// Judges a message; of one that is refused, with the limiter that refused it.
    pub(super) fn judge(&mut self, asked: &Asked<'_>, random: &mut fastrand::Rng) -> (Verdict, Option<&Limit>) {
        let mut delay = Duration::ZERO;
        let mut refused = None;
        for (nth, (limit, state)) in self.limiters.iter_mut().enumerate() {
            match state.judge(limit, asked, random) {
                Verdict::Allow(more) => delay += more,
                verdict => {
                    refused = Some((verdict, nth));
                    break;
                }
            }
        }
        for (limit, state) in &mut self.limiters {
            state.note(limit, asked, refused.is_none());
        }
        match refused {
            None => (Verdict::Allow(delay), None),
            Some((verdict, nth)) => (verdict, self.limiters.get(nth).map(|(limit, _)| limit)),
        }
    }

    /// Forgets a connection.
    pub(super) fn forget(&mut self, session: u64) {
        for (_, state) in &mut self.limiters {
            state.connections.remove(&session);
        }
    }
}

impl State {
    /// Whether the last second has room.
    fn is_under(&mut self, now: Duration, rate: f64) -> bool {
        (self.recent.count(now) as f64) < rate
    }

    fn judge(&mut self, limit: &Limit, asked: &Asked<'_>, random: &mut fastrand::Rng) -> Verdict {
        let now = asked.now;
        let allowed = match &limit.kind {
            Kind::Token(rate, most) => {
                let earned = self.at.map_or(*most, |at| (now.saturating_sub(at)).as_secs_f64() * rate);
                self.level = most.min(self.level + earned);
                self.at = self.at.max(Some(now));
                self.level >= 1.0
            }
            Kind::Fixed(rate) => {
                let second = Duration::from_secs(now.as_secs());
                if self.at < Some(second) {
                    (self.at, self.level) = (Some(second), 0.0);
                }
                self.level < *rate
            }
            Kind::Sliding(rate, _) | Kind::HangUp(rate) => self.is_under(now, *rate),
            Kind::Spacing(rate, tolerated) => {
                let gap = time_of(1.0 - tolerated, *rate);
                self.at.is_none_or(|at| now.saturating_sub(at) >= gap)
            }
            Kind::Outstanding(most) | Kind::Deaf(most) => asked.open < *most,
            Kind::Queue(most, rate) => {
                let drained = self.at.map_or(0.0, |at| now.saturating_sub(at).as_secs_f64() * rate);
                self.level = (self.level - drained).max(0.0);
                self.at = self.at.max(Some(now));
                self.level + 1.0 <= *most
            }
            Kind::Random(share) => random.f64() >= *share,
            Kind::Once(share) => {
                let key = hash_of(&(asked.destination, asked.text), asked.seed);
                if self.seen.len() >= REMEMBERED_MAX {
                    self.seen.clear();
                }
                !is_among(key, *share) || !self.seen.insert(key)
            }
            Kind::Numbers(share) => !is_among(hash_of(&asked.destination, asked.seed), *share),
            Kind::PerNumber(rate) => {
                let key = hash_of(&asked.destination, asked.seed);
                self.numbers.get_mut(&key).is_none_or(|recent| (recent.count(now) as f64) < *rate)
            }
            Kind::Starts(digits, rate) => {
                !asked.destination.starts_with(digits.as_bytes()) || self.is_under(now, *rate)
            }
            Kind::Prefix(digits, rate) => !asked.destination.ends_with(digits.as_bytes()) || self.is_under(now, *rate),
            Kind::Box(rate, tries, span, time) => {
                if now < self.until {
                    return Verdict::Refuse(limit.status);
                }
                let allowed = self.is_under(now, *rate);
                if !allowed {
                    self.over.add(now, 1);
                    if self.over.count_within(now, *span) >= *tries {
                        self.until = now + *time;
                        self.over = Recent::default();
                    }
                }
                allowed
            }
            Kind::BoxTries(rate, time) => {
                let allowed = now >= self.until && self.is_under(now, *rate);
                if !allowed {
                    self.until = now + *time;
                }
                allowed
            }
            Kind::PerConnection(rate) => (self.connections.entry(asked.session).or_default().count(now) as f64) < *rate,
            Kind::Silent(rate) => {
                self.until = self.until.max(now) + time_of(1.0, *rate);
                return Verdict::Allow(self.until.saturating_sub(now));
            }
            Kind::Schedule(steps) => {
                // Sessions take the time before they come here, so that one may bring an earlier one than was seen.
                let mut since = now.saturating_sub(*self.at.get_or_insert(now));
                let mut rate = steps.last().map_or(0.0, |step| step.0);
                for (step, time) in steps {
                    if since < *time {
                        rate = *step;
                        break;
                    }
                    since -= *time;
                }
                self.is_under(now, rate)
            }
        };
        match (&limit.kind, allowed) {
            (_, true) => Verdict::Allow(Duration::ZERO),
            (Kind::Deaf(_), false) => Verdict::Deaf,
            (Kind::HangUp(_), false) => Verdict::Close,
            (_, false) => Verdict::Refuse(limit.status),
        }
    }

    /// Counts a message that was taken, or was not.
    fn note(&mut self, limit: &Limit, asked: &Asked<'_>, taken: bool) {
        match &limit.kind {
            Kind::Sliding(_, true) => self.recent.add(asked.now, 1),
            _ if !taken => {}
            Kind::Token(..) => self.level -= 1.0,
            Kind::Fixed(_) | Kind::Queue(..) => self.level += 1.0,
            Kind::Spacing(..) => self.at = self.at.max(Some(asked.now)),
            Kind::Starts(digits, _) if !asked.destination.starts_with(digits.as_bytes()) => {}
            Kind::Prefix(digits, _) if !asked.destination.ends_with(digits.as_bytes()) => {}
            Kind::PerNumber(_) => {
                // Numbers that rest are forgotten when there are many.
                if self.numbers.len() >= self.numbers_max.max(NUMBERS_MIN) {
                    self.numbers.retain(|_, recent| recent.count(asked.now) > 0);
                    self.numbers_max = 2 * self.numbers.len();
                }
                let key = hash_of(&asked.destination, asked.seed);
                self.numbers.entry(key).or_default().add(asked.now, 1);
            }
            Kind::PerConnection(_) => self.connections.entry(asked.session).or_default().add(asked.now, 1),
            Kind::Sliding(..)
            | Kind::HangUp(_)
            | Kind::Starts(..)
            | Kind::Prefix(..)
            | Kind::Box(..)
            | Kind::BoxTries(..)
            | Kind::Schedule(_) => self.recent.add(asked.now, 1),
            Kind::Outstanding(_)
            | Kind::Deaf(_)
            | Kind::Random(_)
            | Kind::Once(_)
            | Kind::Numbers(_)
            | Kind::Silent(_) => {}
        }
    }
}

/// The same for the same value and seed, in every run.
fn hash_of(value: &impl Hash, seed: u64) -> u64 {
    let mut hasher = siphasher::sip::SipHasher13::new_with_keys(seed, 0);
    value.hash(&mut hasher);
    mix(hasher.finish())
}

fn is_among(key: u64, share: f64) -> bool {
    (key >> 11) as f64 / (1u64 << 53) as f64 <= share && share > 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of messages at these milliseconds: a letter for each, `.` taken, `x` refused, `-` never answered, `!`
    /// closed.
    fn fates(limit: &str, at_ms: impl IntoIterator<Item = u64>) -> String {
        let mut limiters = Limiters::new(&[limit.parse().unwrap()]);
        let mut random = fastrand::Rng::with_seed(1);
        let fate = |at| {
            let now = Duration::from_millis(at);
            let asked = Asked { now, session: 1, open: 0, destination: b"4477001", text: b"", seed: 1 };
            match limiters.judge(&asked, &mut random).0 {
                Verdict::Allow(_) => '.',
                Verdict::Refuse(_) => 'x',
                Verdict::Deaf => '-',
                Verdict::Close => '!',
            }
        };
        at_ms.into_iter().map(fate).collect()
    }

    #[test]
    fn each_counts_in_its_own_way() {
        for (limit, at_ms, expected) in [
            // Two saved, one more each 100 ms.
            ("token:10:2", &[0, 0, 0, 100, 100, 5_000, 5_000, 5_000][..], "..x.x..x"),
            ("fixed:2", &[900, 950, 990, 1_000, 1_010, 1_020], "..x..x"),
            ("sliding:2", &[0, 500, 900, 1_000, 1_400, 1_500], "..x.x."),
            // What is refused holds the window.
            ("sliding:2:c", &[0, 500, 900, 1_400, 1_850, 3_000], "..xxx."),
            ("spacing:10", &[0, 99, 100, 199, 200], ".x.x."),
            ("spacing:10:5", &[0, 94, 95, 190], ".x.."),
            ("queue:2:10", &[0, 0, 0, 100, 100, 300], "..x.x."),
            ("pernumber:1", &[0, 10, 1_000], ".x."),
            ("starts:447:1", &[0, 10, 1_000], ".x."),
            ("starts:1:1", &[0, 10, 20], "..."),
            ("prefix:1:1", &[0, 10, 1_000], ".x."),
            ("prefix:2:1", &[0, 10, 20], "..."),
            // Two over one a second within ten: all is refused for five seconds.
            ("box:1:2:10:5", &[0, 1, 2, 1_500, 5_001, 5_002, 5_003], ".xxxx.x"),
            ("boxtries:1:2", &[0, 1, 1_900, 3_899, 5_899, 5_900], ".xxx.x"),
            ("perconn:1", &[0, 1, 1_000], ".x."),
            ("hangup:1", &[0, 1], ".!"),
            ("schedule:1/2,3/2,1/1", &[0, 1, 2_000, 2_001, 2_002, 2_003, 4_100, 4_101], ".x...x.x"),
            ("random:100", &[0, 1], "xx"),
            ("random:0", &[0, 1], ".."),
            ("numbers:100", &[0, 1], "xx"),
            ("numbers:0", &[0, 1], ".."),
            ("once:100", &[0, 1, 2], "x.."),
            // Of two sessions the one that took the time first may come last.
            ("schedule:1/2,3/2,1/1", &[5, 3, 2_004], ".x."),
            ("silent:10", &[5, 3], ".."),
            ("fixed:1", &[999, 1_000, 999, 1_001, 2_000], "..xx."),
            ("token:10:1", &[1_000, 900, 1_000, 1_100], ".xx."),
            ("spacing:0.000001", &[5, 3, 4_000_000], ".xx"),
            ("silent:0.000001", &[5, 3, 4], "..."),
        ] {
            assert_eq!(fates(limit, at_ms.iter().copied()), expected, "{limit}");
        }
    }

    #[test]
    fn what_is_outstanding_counts_for_a_connection() {
        let judge = |limit: &str, open| {
            let mut limiters = Limiters::new(&[limit.parse().unwrap()]);
            let asked = Asked { now: Duration::ZERO, session: 1, open, destination: b"1", text: b"", seed: 1 };
            limiters.judge(&asked, &mut fastrand::Rng::with_seed(1)).0
        };
        assert_eq!(judge("outstanding:5", 4), Verdict::Allow(Duration::ZERO));
        assert_eq!(judge("outstanding:5@0x14", 5), Verdict::Refuse(0x14));
        assert_eq!(judge("deaf:5", 4), Verdict::Allow(Duration::ZERO));
        assert_eq!(judge("deaf:5", 5), Verdict::Deaf);
        assert_eq!(judge("silent:10", 0), Verdict::Allow(Duration::from_millis(100)));
    }

    #[test]
    fn the_first_that_refuses_decides_and_nothing_is_counted_then() {
        let limits = ["sliding:100@0x45".parse().unwrap(), "sliding:1@0x14".parse().unwrap()];
        let mut limiters = Limiters::new(&limits);
        let mut random = fastrand::Rng::with_seed(1);
        let mut at = |ms| {
            let now = Duration::from_millis(ms);
            let asked = Asked { now, session: 1, open: 0, destination: b"1", text: b"", seed: 1 };
            let (verdict, by) = limiters.judge(&asked, &mut random);
            (verdict, by.map(ToString::to_string))
        };
        assert_eq!(at(0).0, Verdict::Allow(Duration::ZERO));
        for ms in 1..500 {
            assert_eq!(at(ms), (Verdict::Refuse(0x14), Some("sliding:1@0x14".to_owned())));
        }
        assert_eq!(at(1_000).0, Verdict::Allow(Duration::ZERO));
    }

    #[test]
    fn shares_are_kept_over_many_numbers() {
        let mut limiters = Limiters::new(&["numbers:10".parse().unwrap()]);
        let mut random = fastrand::Rng::with_seed(1);
        let mut refused = 0;
        for number in 0..20_000 {
            let destination = format!("4477{number:08}");
            let destination = destination.as_bytes();
            let asked = Asked { now: Duration::ZERO, session: 1, open: 0, destination, text: b"", seed: 7 };
            refused += u32::from(limiters.judge(&asked, &mut random).0 != Verdict::Allow(Duration::ZERO));
        }
        assert!((1_800..2_200).contains(&refused), "{refused}");
    }

    #[test]
    fn what_is_wrong_is_said_and_what_is_right_is_shown_as_it_was() {
        for text in [
            "",
            "meteor:5",
            "token:5",
            "token:0:5",
            "token:x:5",
            "token:5:0",
            "fixed:-1",
            // Times that no clock holds.
            "silent:1e-300",
            "spacing:1e-300",
            "spacing:0.0000009",
            "box:1:2:10:18446744073709551615",
            "boxtries:1:5000000000h",
            "fixed:NaN",
            "sliding:5:d",
            "random:101",
            "prefix::5",
            "box:1:2:3",
            "schedule:5",
            "schedule:",
            "token:5:5@",
            "token:5:5@0",
            "token:5:5@meteor",
            "outstanding:0",
            "boxtries:1:-1",
        ] {
            assert!(text.parse::<Limit>().is_err(), "{text:?}");
        }
        for text in ["token:100:5@0x14", "box:100:20:10:30s", "schedule:100/10,20/5m,200/1", "sliding:30:c@1025"] {
            assert_eq!(text.parse::<Limit>().unwrap().to_string(), text);
        }
        let error = "box:1".parse::<Limit>().unwrap_err();
        assert!(error.contains("box:R:X:Y:Z"), "{error}");
    }
}
