//! When messages may be sent: hours of the day, days of the week, a first and a last moment. Pure: time is an argument.

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use std::str::FromStr;

/// Days that are looked ahead for the next opening: every weekday comes within them, whatever the clocks do.
const DAYS_AHEAD: i32 = 9;

/// Hours of a day, from the first to before the second; over midnight where the second is not after the first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Between(Time, Time);

impl FromStr for Between {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = || "write two times of the day, such as 09:00-20:00".to_owned();
        let (from, to) = text.split_once('-').ok_or_else(form)?;
        let time = |text: &str| {
            let (hour, minute) = text.trim().split_once(':').ok_or_else(form)?;
            let number = |digits: &str| match digits.len() {
                1 | 2 if digits.bytes().all(|digit| digit.is_ascii_digit()) => digits.parse::<i8>().map_err(|_| form()),
                _ => Err(form()),
            };
            match (number(hour)?, number(minute)?) {
                // The end of the day.
                (24, 0) => Ok(Time::midnight()),
                (hour, minute) => Time::new(hour, minute, 0, 0).map_err(|_| form()),
            }
        };
        let (from, to) = (time(from)?, time(to)?);
        // From midnight to midnight is the whole day; any other hour to itself is a slip.
        if from == to && from != Time::midnight() {
            return Err("the two times are the same".into());
        }
        Ok(Self(from, to))
    }
}

/// Days of the week.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Days([bool; 7]);

impl FromStr for Days {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
        let day = |text: &str| {
            NAMES
                .iter()
                .position(|name| name.eq_ignore_ascii_case(text.trim()))
                .ok_or_else(|| "write days such as mon-fri or mon,wed,sat".to_owned())
        };
        let mut days = [false; 7];
        for item in text.split(',') {
            let (from, to) = item.split_once('-').unwrap_or((item, item));
            let (from, to) = (day(from)?, day(to)?);
            // sat-mon goes over the end of the week.
            for n in 0..=(to + 7 - from) % 7 {
                days[(from + n) % 7] = true;
            }
        }
        Ok(Self(days))
    }
}

/// When messages may be sent.
#[derive(Clone, Debug)]
pub struct Hours {
    /// The hours of a day. Defaults to all.
    pub between: Option<Between>,
    /// The days of the week; where the hours go over midnight, the days on which they begin. Defaults to all.
    pub days: Option<Days>,
    /// Where the hours are those of. Defaults to UTC; the command line asks the system.
    pub zone: TimeZone,
    /// Nothing before.
    pub start_at: Option<Timestamp>,
    /// Nothing from this moment on.
    pub stop_at: Option<Timestamp>,
}

impl Default for Hours {
    fn default() -> Self {
        Self { between: None, days: None, zone: TimeZone::UTC, start_at: None, stop_at: None }
    }
}

/// Whether messages may be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Now.
    Open,
    /// Not before this moment.
    Closed(Timestamp),
    /// Not any more.
    Over,
}

impl Hours {
    /// Whether there is any limit.
    pub fn limit(&self) -> bool {
        self.between.is_some() || self.days.is_some() || self.start_at.is_some() || self.stop_at.is_some()
    }

    /// Whether there are hours or days, and not moments alone.
    pub fn has_hours(&self) -> bool {
        self.between.is_some() || self.days.is_some()
    }

    /// Whether messages may be sent at `now`.
    pub fn at(&self, now: Timestamp) -> Verdict {
        if self.stop_at.is_some_and(|stop| now >= stop) {
            return Verdict::Over;
        }
        let from = self.start_at.map_or(now, |start| start.max(now));
        match self.next_open(from) {
            Some(open) if self.stop_at.is_some_and(|stop| open >= stop) => Verdict::Over,
            Some(open) if open > now => Verdict::Closed(open),
            Some(_) => Verdict::Open,
            None => Verdict::Over,
        }
    }

    /// The first moment from `from` on that is within hours and days.
    fn next_open(&self, from: Timestamp) -> Option<Timestamp> {
        if self.between.is_none() && self.days.is_none() {
            return Some(from);
        }
        let Between(opens, closes) = self.between.unwrap_or(Between(Time::midnight(), Time::midnight()));
        let today = from.to_zoned(self.zone.clone()).date();
        // From yesterday on, since its hours may reach over midnight.
        (-1..DAYS_AHEAD).find_map(|n| {
            let day = today.checked_add(n.days()).ok()?;
            if self.days.is_some_and(|Days(days)| !days[index(day.weekday())]) {
                return None;
            }
            let end_day = if closes > opens { day } else { day.tomorrow().ok()? };
            let (start, end) = (self.moment(day, opens)?, self.moment(end_day, closes)?);
            (from < end).then(|| start.max(from))
        })
    }

    /// A time of the day as a moment; where clocks skip it, as much later as they do.
    fn moment(&self, day: Date, time: Time) -> Option<Timestamp> {
        self.zone.to_timestamp(day.to_datetime(time)).ok()
    }

    /// A moment as an operator reads it.
    pub fn show(&self, moment: Timestamp) -> String {
        moment.to_zoned(self.zone.clone()).strftime("%a %Y-%m-%d %H:%M:%S %Z").to_string()
    }
}

fn index(day: Weekday) -> usize {
    usize::try_from(day.to_monday_zero_offset()).unwrap_or(0)
}

/// Reads a moment: `2026-12-24T09:00`, in `zone` unless it has an offset of its own.
pub fn moment(text: &str, zone: &TimeZone) -> Result<Timestamp, String> {
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(moment);
    }
    text.parse::<jiff::civil::DateTime>()
        .and_then(|moment| zone.to_timestamp(moment))
        .map_err(|_| format!("{text:?} is no moment: write 2026-12-24T09:00, with or without an offset such as +01:00"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(between: &str, days: &str, zone: &str) -> Hours {
        Hours {
            between: (!between.is_empty()).then(|| between.parse().unwrap()),
            days: (!days.is_empty()).then(|| days.parse().unwrap()),
            zone: TimeZone::get(zone).unwrap(),
            ..Hours::default()
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn hours_and_days_open_and_close() {
        for (between, days, zone, now, expected) in [
            // 2026-11-23 is a Monday.
            ("09:00-20:00", "", "UTC", "2026-11-23T08:59:59Z", Some("2026-11-23T09:00Z")),
            ("09:00-20:00", "", "UTC", "2026-11-23T09:00Z", None),
            ("09:00-20:00", "", "UTC", "2026-11-23T20:00Z", Some("2026-11-24T09:00Z")),
            ("09:00-20:00", "mon-fri", "UTC", "2026-11-27T20:00Z", Some("2026-11-30T09:00Z")),
            ("", "sat,sun", "UTC", "2026-11-23T12:00Z", Some("2026-11-28T00:00Z")),
            ("", "sat-mon", "UTC", "2026-11-23T12:00Z", None),
            ("22:00-06:00", "fri", "UTC", "2026-11-28T03:00Z", None),
            ("22:00-06:00", "fri", "UTC", "2026-11-28T06:00Z", Some("2026-12-04T22:00Z")),
            ("00:00-24:00", "", "UTC", "2026-11-23T23:59:59Z", None),
            // Summer time, and the nights in which it begins and ends.
            ("09:00-20:00", "", "Europe/London", "2026-07-01T07:30Z", Some("2026-07-01T08:00Z")),
            ("01:30-03:00", "", "Europe/London", "2026-03-29T00:00Z", Some("2026-03-29T01:30Z")),
            ("09:00-20:00", "", "America/New_York", "2026-11-01T12:00Z", Some("2026-11-01T14:00Z")),
        ] {
            let expected = expected.map_or(Verdict::Open, |moment| Verdict::Closed(at(moment)));
            assert_eq!(hours(between, days, zone).at(at(now)), expected, "{between} {days} {zone} at {now}");
        }
    }

    #[test]
    fn a_first_and_a_last_moment() {
        let mut hours = hours("09:00-20:00", "", "UTC");
        (hours.start_at, hours.stop_at) = (Some(at("2026-11-24T10:00Z")), Some(at("2026-11-25T09:00Z")));
        assert_eq!(hours.at(at("2026-11-23T12:00Z")), Verdict::Closed(at("2026-11-24T10:00Z")));
        assert_eq!(hours.at(at("2026-11-24T10:00Z")), Verdict::Open);
        assert_eq!(hours.at(at("2026-11-24T20:00Z")), Verdict::Over, "it would not open again before the end");
        assert_eq!(hours.at(at("2026-11-26T10:00Z")), Verdict::Over);
        assert!(hours.limit() && !Hours::default().limit());
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in ["", "9-20", "09:00", "09:00-09:00", "25:00-26:00", "09:60-10:00", "-1:00-2:00", "aa:bb-cc:dd"] {
            assert!(text.parse::<Between>().is_err(), "{text}");
        }
        for text in ["", "monday", "mon-", "mon;tue", "1-5"] {
            assert!(text.parse::<Days>().is_err(), "{text}");
        }
        let zone = TimeZone::get("Europe/London").unwrap();
        assert_eq!(moment("2026-07-01T09:00", &zone), Ok(at("2026-07-01T08:00Z")));
        assert_eq!(moment("2026-07-01T09:00+01:00", &zone), Ok(at("2026-07-01T08:00Z")));
        assert!(moment("tomorrow", &zone).is_err());
    }
}
