//! How long something takes: always the same, a range, or a distribution as one is measured at real SMSCs.
use crate::words::{BadValue, bad};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use super::settings::parse_duration;

/// The longest delay that a distribution gives, however far its tail reaches.
const LONGEST: Duration = Duration::from_secs(24 * 3_600);
/// The normal distribution's quantile of 95 per cent.
const Z95: f64 = 1.644_853_6;

/// A delay that is drawn anew each time.
///
/// As text: `100ms`; `50ms..2s` (evenly between the two); `100ms+-20ms` (the same, by middle and jitter);
/// `lognormal:80ms:400ms` (by its median and its 95th percentile); `p50=20ms,p90=100ms,p99=1s` (by percentiles, evenly
/// between them; below the first one from 0 or `p0`, above the last one that one or up to `p100`).
///
/// ```
/// use smppost::smsc::Delay;
/// let delay: Delay = "lognormal:80ms:400ms".parse()?;
/// assert_eq!(delay.to_string(), "lognormal:80ms:400ms");
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delay {
    /// Always the same.
    Constant(Duration),
    /// Evenly between the shortest and the longest.
    Range(Duration, Duration),
    /// Log-normal, by its median and its 95th percentile: many short ones and a long tail.
    LogNormal(Duration, Duration),
    /// By percentiles in hundredths of a per cent, ascending, with the delay at each.
    Percentiles(Arc<[(u16, Duration)]>),
}

impl Delay {
    /// None at all.
    pub const NONE: Delay = Delay::Constant(Duration::ZERO);

    /// Always the same delay.
    pub const fn constant(delay: Duration) -> Self {
        Delay::Constant(delay)
    }

    /// Whether it is none.
    pub fn is_none(&self) -> bool {
        *self == Self::NONE
    }

    /// Draws one, in whole microseconds but for a constant one.
    pub(super) fn draw(&self, random: &mut fastrand::Rng) -> Duration {
        match self {
            Delay::Constant(delay) => *delay,
            Delay::Range(least, most) => *least + Duration::from_micros(random.u64(0..=micros(*most - *least))),
            Delay::LogNormal(median, p95) => {
                let sigma = (p95.as_secs_f64() / median.as_secs_f64()).ln() / Z95;
                let seconds = median.as_secs_f64() * (sigma * normal(random)).exp();
                Duration::from_micros((seconds.min(LONGEST.as_secs_f64()) * 1e6) as u64)
            }
            Delay::Percentiles(points) => at_percentile(points, random.u16(0..10_000)),
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// A number of the standard normal distribution, by the method of Box and Muller.
fn normal(random: &mut fastrand::Rng) -> f64 {
    let (u, v) = (1.0 - random.f64(), random.f64());
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

fn at_percentile(points: &[(u16, Duration)], drawn: u16) -> Duration {
    let above = points.iter().position(|(percent, _)| *percent > drawn);
    let (from, to) = match above {
        Some(0) => ((0, Duration::ZERO), points[0]),
        Some(at) => (points[at - 1], points[at]),
        None => return points.last().map_or(Duration::ZERO, |(_, delay)| *delay),
    };
    let (along, whole) = (u128::from(drawn - from.0), u128::from(to.0 - from.0));
    let more = (to.1 - from.1).as_micros() * along / whole;
    from.1 + Duration::from_micros(u64::try_from(more).unwrap_or(u64::MAX))
}

impl From<Duration> for Delay {
    fn from(delay: Duration) -> Self {
        Delay::Constant(delay)
    }
}

impl FromStr for Delay {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        if let Some(shape) = text.strip_prefix("lognormal:") {
            let (median, p95) = shape.split_once(':').ok_or("lognormal needs two durations: lognormal:80ms:400ms")?;
            let (median, p95) = (parse_duration(median)?, parse_duration(p95)?);
            if median.is_zero() || p95 < median {
                return Err(
                    "of lognormal:MEDIAN:P95 the median must be above 0, and the 95th percentile no less".into()
                );
            }
            return Ok(Delay::LogNormal(median, p95));
        }
        if text.starts_with('p') {
            return percentiles(text);
        }
        let (least, most) = if let Some((middle, jitter)) = text.split_once("+-") {
            let (middle, jitter) = (parse_duration(middle)?, parse_duration(jitter)?);
            (middle.checked_sub(jitter).ok_or("the jitter is longer than the delay")?, middle + jitter)
        } else if let Some((least, most)) = text.split_once("..") {
            (parse_duration(least)?, parse_duration(most)?)
        } else {
            return Ok(Delay::Constant(parse_duration(text)?));
        };
        match least.cmp(&most) {
            std::cmp::Ordering::Greater => Err("the shortest delay is longer than the longest".into()),
            std::cmp::Ordering::Equal => Ok(Delay::Constant(least)),
            std::cmp::Ordering::Less => Ok(Delay::Range(least, most)),
        }
    }
}

fn percentiles(text: &str) -> Result<Delay, BadValue> {
    let mut points: Vec<(u16, Duration)> = Vec::new();
    for point in text.split(',') {
        let shape = || format!("{point:?} is not a percentile such as p99=1s");
        let (percent, delay) = point.strip_prefix('p').and_then(|point| point.split_once('=')).ok_or_else(shape)?;
        let percent: f64 = percent.parse().map_err(|_| shape())?;
        if !(0.0..=100.0).contains(&percent) {
            return Err(bad!("{point:?}: percentiles are from p0 to p100"));
        }
        let (percent, delay) = ((percent * 100.0).round() as u16, parse_duration(delay)?);
        if points.last().is_some_and(|(before, least)| *before >= percent || *least > delay) {
            return Err(bad!("{point:?} stands behind a higher percentile, or is shorter than a lower one"));
        }
        points.push((percent, delay));
    }
    Ok(Delay::Percentiles(points.into()))
}

/// A duration as [`parse_duration`] reads it.
pub(super) struct Shown(pub(super) Duration);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_millis() {
            ms if ms == 0 || !ms.is_multiple_of(1_000) => write!(f, "{ms}ms"),
            ms if !ms.is_multiple_of(60_000) => write!(f, "{}s", ms / 1_000),
            ms if !ms.is_multiple_of(3_600_000) => write!(f, "{}m", ms / 60_000),
            ms => write!(f, "{}h", ms / 3_600_000),
        }
    }
}

impl fmt::Display for Delay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Delay::Constant(delay) => Shown(*delay).fmt(f),
            Delay::Range(least, most) => write!(f, "{}..{}", Shown(*least), Shown(*most)),
            Delay::LogNormal(median, p95) => write!(f, "lognormal:{}:{}", Shown(*median), Shown(*p95)),
            Delay::Percentiles(points) => {
                for (nth, (percent, delay)) in points.iter().enumerate() {
                    let comma = if nth == 0 { "" } else { "," };
                    write!(f, "{comma}p{}={}", f64::from(*percent) / 100.0, Shown(*delay))?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(text: &str) -> Vec<Duration> {
        let delay: Delay = text.parse().unwrap();
        let mut random = fastrand::Rng::with_seed(7);
        let mut drawn: Vec<Duration> = (0..20_000).map(|_| delay.draw(&mut random)).collect();
        drawn.sort();
        drawn
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn every_shape_goes_there_and_back() {
        for text in [
            "100ms",
            "0ms",
            "1s",
            "2m",
            "3h",
            "50ms..2s",
            "lognormal:80ms:400ms",
            "p50=20ms,p90=100ms,p99.9=1s",
            "p0=5ms,p100=5ms",
        ] {
            assert_eq!(text.parse::<Delay>().unwrap().to_string(), text);
        }
        assert_eq!("100ms+-20ms".parse(), Ok(Delay::Range(ms(80), ms(120))));
        assert_eq!("1s..1s".parse(), Ok(Delay::Constant(ms(1_000))));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for text in [
            "",
            "5",
            "2s..1s",
            "10ms+-20ms",
            "lognormal:80ms",
            "lognormal:0ms:1s",
            "lognormal:2s:1s",
            "p",
            "p50",
            "p101=1s",
            "p90=1s,p50=2s",
            "p50=2s,p90=1s",
            "p-1=1s",
            "pNaN=1s",
            "p50=1s,",
        ] {
            assert!(text.parse::<Delay>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn distributions_have_the_shape_that_was_asked_for() {
        let range = drawn("50ms..2s");
        assert!(range[0] >= ms(50) && range[19_999] <= ms(2_000));
        assert!((ms(980)..ms(1_070)).contains(&range[10_000]));
        let tail = drawn("lognormal:80ms:400ms");
        assert!((ms(76)..ms(84)).contains(&tail[10_000]), "{:?}", tail[10_000]);
        assert!((ms(370)..ms(430)).contains(&tail[19_000]), "{:?}", tail[19_000]);
        let points = drawn("p50=20ms,p90=100ms,p99=1s");
        for (at, from, to) in [(5_000, 9, 11), (10_000, 19, 22), (17_800, 92, 104), (19_990, 1_000, 1_000)] {
            assert!((ms(from)..=ms(to)).contains(&points[at]), "{at}: {:?}", points[at]);
        }
        // Also where there are fewer microseconds than hundredths of a per cent.
        let short = drawn("p99=5ms");
        assert!((ms(2)..ms(3)).contains(&short[10_000]), "{:?}", short[10_000]);
        assert!(drawn("lognormal:1ms:3h").into_iter().all(|delay| delay <= LONGEST));
    }
}
