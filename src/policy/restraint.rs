//! Rules by which a run stops itself: `--stop-when` and the canary's `--go-on-when`. Pure: they are read and asked here, and
//! counted by the journal thread.

use crate::words::{BadValue, bad};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// The last answers that a share is taken of.
pub const LAST: usize = 500;
/// How many there have to be before a share means anything.
pub const LEAST: usize = 50;
/// Messages of a canary: what of them is delivered is counted anew every half second.
pub const CANARY_MAX: u64 = 10_000;
/// How long a canary's receipts may be waited for.
const WITHIN_MAX: Duration = Duration::from_secs(30 * 24 * 3_600);

/// The grammar of `--stop-when`.
pub const STOP_GRAMMAR: &str = "write rejected, failed or in-doubt, then > or >=, then a share, as in rejected>5%";
/// The grammar of `--go-on-when`.
pub const GO_ON_GRAMMAR: &str =
    "write delivered or accepted, then >= or >, a share, `in` and a time, as in 'delivered>=90% in 10m'";

/// A share, and whether it has to be passed or reached.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Bound {
    /// In hundredths of a percent: 500 is 5 %.
    pub hundredths: u64,
    /// To reach it is enough.
    pub or_equal: bool,
}

impl Bound {
    /// Whether `part` of `whole` is that much. Of nothing, nothing is.
    pub fn holds(self, part: u64, whole: u64) -> bool {
        let (part, bound) = (u128::from(part) * 10_000, u128::from(whole) * u128::from(self.hundredths));
        whole > 0 && (part > bound || self.or_equal && part == bound)
    }

    /// Reads `>5%` or `>=90.5%`; what can never hold, or always does, is no bound.
    fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        let (or_equal, share) = match text.strip_prefix(">=") {
            Some(share) => (true, share),
            None => (false, text.strip_prefix('>')?),
        };
        let share = share.trim().strip_suffix('%')?.trim();
        let (whole, decimals) = share.split_once('.').unwrap_or((share, "0"));
        let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|octet| octet.is_ascii_digit());
        if !is_number(whole) || !is_number(decimals) || whole.len() > 3 || decimals.len() > 2 {
            return None;
        }
        let hundredths = whole.parse::<u64>().ok()? * 100 + format!("{decimals:0<2}").parse::<u64>().ok()?;
        let can_differ = if or_equal { (1..=10_000).contains(&hundredths) } else { hundredths < 10_000 };
        can_differ.then_some(Self { hundredths, or_equal })
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.or_equal { ">=" } else { ">" };
        match self.hundredths % 100 {
            0 => write!(f, "{sign}{}%", self.hundredths / 100),
            rest if rest % 10 == 0 => write!(f, "{sign}{}.{}%", self.hundredths / 100, rest / 10),
            rest => write!(f, "{sign}{}.{rest:02}%", self.hundredths / 100),
        }
    }
}

/// What ends a run when there is too much of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Bad {
    /// Of the messages that the SMSC took or refused for good, those that it refused.
    Rejected,
    /// Of the messages that came to their end, those that did not arrive.
    Failed,
    /// Of the messages that were answered or never will be, those in doubt.
    InDoubt,
}

impl Bad {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Rejected, Self::Failed, Self::InDoubt];

    /// As it is typed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Failed => "failed",
            Self::InDoubt => "in-doubt",
        }
    }

    /// What the share is one of, in words.
    pub fn of(self) -> &'static str {
        match self {
            Self::Rejected => "final answers",
            Self::Failed => "messages that came to their end",
            Self::InDoubt => "messages that were answered or never will be",
        }
    }
}

/// `rejected>5%`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct StopWhen {
    /// Of what.
    pub bad: Bad,
    /// How much.
    pub bound: Bound,
}

impl fmt::Display for StopWhen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.bad.name(), self.bound)
    }
}

impl FromStr for StopWhen {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let read = || {
            let (what, bound) = text.split_at(text.find('>')?);
            let bad = Bad::ALL.into_iter().find(|bad| bad.name() == what.trim().replace('_', "-"))?;
            Some(Self { bad, bound: Bound::read(bound)? })
        };
        read().ok_or_else(|| bad!("{STOP_GRAMMAR} (below 100%)"))
    }
}

/// What a canary is to come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Good {
    /// Delivered, all parts.
    Delivered,
    /// Taken by the SMSC.
    Accepted,
}

/// `delivered>=90% in 10m`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct GoOnWhen {
    /// Of what.
    pub good: Good,
    /// How much.
    pub bound: Bound,
    /// Within which time of the last of the canary being answered, or of the start of the run, where that is later.
    pub within: Duration,
}

impl GoOnWhen {
    /// `delivered` or `accepted`.
    pub fn name(&self) -> &'static str {
        match self.good {
            Good::Delivered => "delivered",
            Good::Accepted => "accepted",
        }
    }
}

impl fmt::Display for GoOnWhen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{} in {}", self.name(), self.bound, span(self.within))
    }
}

impl FromStr for GoOnWhen {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let read = || {
            let (what, rest) = text.split_at(text.find('>')?);
            let good = match what.trim() {
                "delivered" => Good::Delivered,
                "accepted" => Good::Accepted,
                _ => return None,
            };
            let (bound, within) = rest.split_once(" in ").or_else(|| {
                let (share, within) = rest.split_once("%in ")?;
                Some((rest.get(..share.len() + 1)?, within))
            })?;
            Some(Self { good, bound: Bound::read(bound)?, within: time(within.trim())? })
        };
        read().ok_or_else(|| bad!("{GO_ON_GRAMMAR} (up to 100%, and 720h)"))
    }
}

fn time(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let unit = match text.get(digits..)? {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => return None,
    };
    let time = Duration::from_secs(text.get(..digits)?.parse::<u64>().ok()?.checked_mul(unit)?);
    (!time.is_zero() && time <= WITHIN_MAX).then_some(time)
}

fn span(time: Duration) -> String {
    match time.as_secs() {
        seconds if seconds % 3_600 == 0 => format!("{}h", seconds / 3_600),
        seconds if seconds % 60 == 0 => format!("{}m", seconds / 60),
        seconds => format!("{seconds}s"),
    }
}

/// The first messages of a campaign, which go before the others.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Canary {
    /// How many.
    pub messages: u64,
    /// When the others follow.
    pub go_on: GoOnWhen,
}

/// How a run restrains itself.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Restraint {
    /// When it stops.
    pub stop_when: Vec<StopWhen>,
    /// What goes first.
    pub canary: Option<Canary>,
    /// What stopped an earlier run does not stop this one.
    pub override_stop: bool,
}

impl Restraint {
    /// The first rule that needs to know what was delivered, as typed with its option.
    pub fn needs_receipts(&self) -> Option<String> {
        let canary = self.canary.filter(|canary| canary.go_on.good == Good::Delivered);
        let stop = self.stop_when.iter().find(|rule| rule.bad == Bad::Failed);
        canary
            .map(|canary| format!("--go-on-when '{}'", canary.go_on))
            .or_else(|| stop.map(|rule| format!("--stop-when '{rule}'")))
    }
}

/// The last answers of a kind: which of them were bad.
#[derive(Clone, Debug, Default)]
pub struct LastAnswers {
    bad: std::collections::VecDeque<bool>,
    count: usize,
}

impl LastAnswers {
    /// Adds so many good and bad ones. Which of those that came together was first is not known: the bad ones are taken to
    /// be the last, so that they count as long as they can.
    pub fn add(&mut self, good: u64, bad: u64) {
        let few = |many: u64| many.min(LAST as u64) as usize;
        let came = std::iter::repeat_n(false, few(good)).chain(std::iter::repeat_n(true, few(bad)));
        for is_bad in came {
            self.bad.push_back(is_bad);
            self.count += usize::from(is_bad);
            if self.bad.len() > LAST {
                self.count -= usize::from(self.bad.pop_front() == Some(true));
            }
        }
    }

    /// How many were bad, and of how many; `None`: too few to tell.
    pub fn share(&self) -> Option<(u64, u64)> {
        (self.bad.len() >= LEAST).then_some((self.count as u64, self.bad.len() as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_to_stop_are_read() {
        for (text, shown) in [
            ("rejected>5%", "rejected>5%"),
            (" failed >= 2.5 % ", "failed>=2.5%"),
            ("in-doubt>0%", "in-doubt>0%"),
            ("in_doubt>0.05%", "in-doubt>0.05%"),
            ("rejected>=100%", "rejected>=100%"),
        ] {
            let rule: StopWhen = text.parse().unwrap();
            assert_eq!(rule.to_string(), shown);
            assert_eq!(shown.parse(), Ok(rule));
        }
        for text in [
            "",
            "rejected",
            "rejected>",
            "rejected>5",
            "rejected<5%",
            "rejected=5%",
            "delivered>5%",
            "rejected>100%",
            "rejected>=0%",
            "rejected>101%",
            "rejected>-5%",
            "rejected>5%%",
            "rejected>1.234%",
            "rejected>é%",
            ">5%",
            "rejected>5% in 3m",
        ] {
            assert!(text.parse::<StopWhen>().unwrap_err().contains("rejected>5%"), "{text}");
        }
    }

    #[test]
    fn rules_to_go_on_are_read() {
        for (text, shown) in [
            ("delivered>=90% in 10m", "delivered>=90% in 10m"),
            ("accepted > 99.5% in 90s", "accepted>99.5% in 90s"),
            ("delivered>=100%in 2h", "delivered>=100% in 2h"),
            ("delivered>=50% in 60m", "delivered>=50% in 1h"),
        ] {
            let rule: GoOnWhen = text.parse().unwrap();
            assert_eq!(rule.to_string(), shown);
            assert_eq!(shown.parse(), Ok(rule));
        }
        for text in [
            "",
            "delivered>=90%",
            "delivered>=90% in",
            "delivered>=90% in 0s",
            "delivered>=90% in 10",
            "rejected>=9% in 1m",
            "delivered<=90% in 10m",
            "delivered>=90 in 10m",
            "delivered>=0% in 1m",
            "delivered>100% in 1m",
            "delivered>=90% in 721h",
            "delivered>=90% in 99999999999999999999h",
            "delivered>=90% within 10m",
        ] {
            assert!(text.parse::<GoOnWhen>().unwrap_err().contains("delivered>=90% in 10m"), "{text}");
        }
    }

    #[test]
    fn a_share_is_passed_or_reached() {
        let bound = |text: &str| Bound::read(text).unwrap();
        for (text, part, whole, holds) in [
            (">5%", 5, 100, false),
            (">5%", 6, 100, true),
            (">=5%", 5, 100, true),
            (">=5%", 4, 100, false),
            (">0%", 0, 50, false),
            (">0%", 1, u64::MAX, true),
            (">=90%", 180, 200, true),
            (">=90%", 179, 200, false),
            (">=100%", 0, 0, false),
        ] {
            assert_eq!(bound(text).holds(part, whole), holds, "{part} of {whole} {text}");
        }
    }

    #[test]
    fn the_last_answers_count_once_there_are_enough() {
        let mut last = LastAnswers::default();
        last.add(0, 49);
        assert_eq!(last.share(), None);
        last.add(1, 0);
        assert_eq!(last.share(), Some((49, 50)));
        last.add(450, 0);
        assert_eq!(last.share(), Some((49, 500)));
        last.add(0, 1);
        assert_eq!(last.share(), Some((49, 500)));
        last.add(48, 0);
        assert_eq!(last.share(), Some((1, 500)));
        last.add(u64::MAX, 3);
        assert_eq!(last.share(), Some((3, 500)));
    }
}
