//! When messages may be sent: hours of the day, days of the week, a first and a last moment. Pure: time is an argument.
//!
//! A time of the day is the first moment at which the clocks of the zone read it or later. So where they skip an hour, what
//! would open or close within it does so when it is skipped, and what lies within it wholly does not open; where an hour
//! comes twice, the first one counts.

#[cfg(test)]
mod tests;

use crate::words::{BadValue, bad};
use jiff::civil::{DateTime, Time, Weekday};
use jiff::fmt::temporal::{Pieces, PiecesOffset};
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use jiff::{Timestamp, ToSpan};
use std::fmt;
use std::str::FromStr;

/// Days before today whose hours may reach into it: those of yesterday, and one more, as clocks are put back at midnight.
const DAYS_BACK: i32 = 2;
/// Days that are looked ahead. Hours of one day a week, that the clocks skip wholly, open two weeks later at most; a list
/// of openings looks further.
const DAYS_AHEAD: i32 = 400;
/// The largest offset that any zone has.
pub const OFFSET_MAX_SECONDS: i32 = 14 * 3_600;

/// Hours of a day, from the first to before the second; over midnight where the second is not after the first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Between(Time, Time);

impl Between {
    const WHOLE_DAY: Self = Self(Time::midnight(), Time::midnight());

    /// Whether all of these hours are among those, and begin on the same day as they do.
    pub fn is_within(&self, all: &Self) -> bool {
        if *all == Self::WHOLE_DAY {
            return *self == Self::WHOLE_DAY || self.0 < self.1 || self.1 == Time::midnight();
        }
        let minute = |time: Time| i32::from(time.hour()) * 60 + i32::from(time.minute());
        let span = |hours: &Self| {
            (minute(hours.0), minute(hours.0) + (minute(hours.1) - minute(hours.0) - 1).rem_euclid(24 * 60) + 1)
        };
        let ((from, to), (all_from, all_to)) = (span(self), span(all));
        all_from <= from && to <= all_to
    }
}

impl fmt::Display for Between {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(from, to) = self;
        let to = if *to == Time::midnight() { "24:00".to_owned() } else { to.strftime("%H:%M").to_string() };
        write!(f, "{}-{to}", from.strftime("%H:%M"))
    }
}

impl FromStr for Between {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
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

/// The names of the days, from Monday.
const NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Days of the week.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Days([bool; 7]);

impl Days {
    /// Whether all of these days are among those.
    pub fn are_within(&self, all: &Self) -> bool {
        self.0.iter().zip(all.0).all(|(&own, is_among)| !own || is_among)
    }
}

impl fmt::Display for Days {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = NAMES.iter().zip(self.0).filter(|(_, is_on)| *is_on).map(|(name, _)| *name).collect();
        f.write_str(&names.join(","))
    }
}

impl FromStr for Days {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
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
    /// That zone's name, and where it came from.
    pub zone_words: String,
    /// Nothing before.
    pub start_at: Option<Timestamp>,
    /// Nothing from this moment on.
    pub stop_at: Option<Timestamp>,
}

impl Default for Hours {
    fn default() -> Self {
        let (zone, zone_words) = (TimeZone::UTC, "UTC".into());
        Self { between: None, days: None, zone, zone_words, start_at: None, stop_at: None }
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

/// A span of time in which messages may be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Opening {
    /// Its first moment.
    pub opens: Timestamp,
    /// The moment after its last; `None`: it does not close, as far as is looked ahead (a year).
    pub closes: Option<Timestamp>,
}

impl Hours {
    /// Whether there is any limit.
    pub fn limit(&self) -> bool {
        self.are_of_days() || self.start_at.is_some() || self.stop_at.is_some()
    }

    /// Whether hours or days are limited, and not only the first or last moment.
    pub fn are_of_days(&self) -> bool {
        self.between.is_some() || self.days.is_some()
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
        let open = match self.are_of_days() {
            true => self.windows(from).next().map(|(start, _)| start.max(from)),
            false => Some(from),
        };
        match open {
            Some(open) if self.stop_at.is_some_and(|stop| open >= stop) => Verdict::Over,
            Some(open) if open > now => Verdict::Closed(open),
            Some(_) => Verdict::Open,
            None => Verdict::Over,
        }
    }

    /// The next openings with their closings, from `now` on, at most so many; the first may be open already. Hours that
    /// follow one another without a gap are one.
    pub fn openings(&self, now: Timestamp, count: usize) -> Vec<Opening> {
        let from = self.start_at.map_or(now, |start| start.max(now));
        if !self.are_of_days() {
            let is_over = self.stop_at.is_some_and(|stop| stop <= from);
            return if is_over { Vec::new() } else { vec![Opening { opens: from, closes: self.stop_at }] };
        }
        let mut found: Vec<Opening> = Vec::new();
        let mut last_end = None;
        for (start, end) in self.windows(from) {
            if self.stop_at.is_some_and(|stop| start.max(from) >= stop) {
                break;
            }
            let closes = Some(self.stop_at.map_or(end, |stop| stop.min(end)));
            let goes_on = last_end.is_some_and(|last_end| start <= last_end);
            if let Some(last) = found.last_mut().filter(|_| goes_on) {
                last.closes = closes;
            } else if found.len() == count {
                return found;
            } else {
                found.push(Opening { opens: start.max(from), closes });
            }
            last_end = Some(end);
        }
        // What reaches to where nobody looked any more has no end that is known.
        if let (Some(last), Some(end)) = (found.last_mut(), last_end)
            && last.closes == Some(end)
            && self.stop_at.is_none_or(|stop| stop > end)
            && self.windows(end).next().is_some_and(|(start, _)| start <= end)
        {
            last.closes = None;
        }
        found
    }

    /// The hours of the days, in order, none of them empty, from the first that ends after `from`.
    fn windows(&self, from: Timestamp) -> impl Iterator<Item = (Timestamp, Timestamp)> + '_ {
        let Between(opens, closes) = self.between.unwrap_or(Between::WHOLE_DAY);
        let today = self.zone.to_datetime(from).date();
        (-DAYS_BACK..DAYS_AHEAD).filter_map(move |n| {
            let day = today.checked_add(n.days()).ok()?;
            if self.days.is_some_and(|Days(days)| !days[index(day.weekday())]) {
                return None;
            }
            let end_day = if closes > opens { day } else { day.tomorrow().ok()? };
            let start = first_at(&self.zone, day.to_datetime(opens))?;
            let end = first_at(&self.zone, end_day.to_datetime(closes))?;
            (start < end && from < end).then_some((start, end))
        })
    }

    /// A moment as an operator reads it.
    pub fn show(&self, moment: Timestamp) -> String {
        moment.to_zoned(self.zone.clone()).strftime("%a %Y-%m-%d %H:%M:%S %Z").to_string()
    }

    /// What is limited, as it was asked for, with the zone that counts and where it came from; empty: nothing is.
    pub fn words(&self) -> String {
        let mut words = Vec::new();
        if let Some(between) = self.between {
            words.push(between.to_string());
        }
        if let Some(days) = self.days {
            words.push(format!("on {days}"));
        }
        if let Some(start) = self.start_at {
            words.push(format!("from {}", self.show(start)));
        }
        if let Some(stop) = self.stop_at {
            words.push(format!("until {}", self.show(stop)));
        }
        if words.is_empty() { String::new() } else { format!("{}; time zone {}", words.join(" "), self.zone_words) }
    }

    /// A line for each of the next openings, at most so many.
    pub fn openings_words(&self, now: Timestamp, count: usize) -> Vec<String> {
        let line = |Opening { opens, closes }: Opening| {
            let opens = if opens <= now { "open now".to_owned() } else { format!("opens {}", self.show(opens)) };
            match closes {
                Some(closes) => format!("{opens}, closes {}", self.show(closes)),
                None => format!("{opens}, does not close"),
            }
        };
        self.openings(now, count).into_iter().map(line).collect()
    }
}

/// The rules of a zone by a name that was kept: of tzdata, an offset such as `+02:00`, or a POSIX rule.
pub fn zone_of(name: &str) -> Option<TimeZone> {
    if name.starts_with(['+', '-']) {
        let (hours, minutes) = name[1..].split_once(':').unwrap_or((&name[1..], "0"));
        let seconds = hours.parse::<i32>().ok()? * 3_600 + minutes.parse::<i32>().ok()? * 60;
        let offset = Offset::from_seconds(if name.starts_with('-') { -seconds } else { seconds }).ok()?;
        return (offset.seconds().abs() <= OFFSET_MAX_SECONDS).then(|| TimeZone::fixed(offset));
    }
    TimeZone::get(name).or_else(|_| TimeZone::posix(name)).ok()
}

/// The first moment at which the clocks of a zone read this or later; `None`: out of range.
pub fn first_at(zone: &TimeZone, wanted: DateTime) -> Option<Timestamp> {
    let ambiguous = zone.to_ambiguous_timestamp(wanted);
    match ambiguous.offset() {
        AmbiguousOffset::Gap { after, .. } => {
            // With the later offset the time lies before the moment at which it is skipped.
            let before = after.to_timestamp(wanted).ok()?;
            let skips = zone.following(before).find(|change| change.offset().to_datetime(change.timestamp()) > wanted);
            skips.map(|change| change.timestamp())
        }
        _ => ambiguous.earlier().ok(),
    }
}

fn index(day: Weekday) -> usize {
    usize::try_from(day.to_monday_zero_offset()).unwrap_or(0)
}

/// Whether a moment that was typed depends on the zone: it has neither an offset nor a zone of its own.
pub fn is_local(text: &str) -> bool {
    Pieces::parse(text.trim()).is_ok_and(|pieces| pieces.offset().is_none() && pieces.time_zone_annotation().is_none())
}

/// Reads a moment: `2026-12-24T09:00`, in `zone` unless it has an offset (`+01:00`) or a zone (`[Europe/Paris]`) of its own,
/// which `named` reads.
pub fn moment(
    text: &str,
    zone: &TimeZone,
    named: &dyn Fn(&str) -> Result<TimeZone, BadValue>,
) -> Result<Timestamp, BadValue> {
    let form = || {
        bad!(
            "{text:?} is no moment: write 2026-12-24T09:00, with or without an offset or zone such as +01:00 or \
                 [Europe/Paris]"
        )
    };
    let text = text.trim();
    let pieces = Pieces::parse(text).map_err(|_| form())?;
    let wanted = pieces.date().to_datetime(pieces.time().unwrap_or(Time::midnight()));
    let own = match pieces.time_zone_annotation() {
        None => None,
        Some(_) => {
            let name = text.rsplit_once('[').and_then(|(_, rest)| rest.strip_suffix(']')).ok_or_else(form)?;
            Some((name, named(name.trim_start_matches('!'))?))
        }
    };
    let Some(offset) = pieces.offset() else {
        return first_at(own.as_ref().map_or(zone, |(_, zone)| zone), wanted).ok_or_else(form);
    };
    let is_utc = matches!(offset, PiecesOffset::Zulu);
    let offset: Offset = offset.to_numeric_offset();
    if offset.seconds().abs() > OFFSET_MAX_SECONDS {
        return Err(bad!("{text:?}: offsets go from -14:00 to +14:00"));
    }
    let moment = offset.to_timestamp(wanted).map_err(|_| form())?;
    match own {
        Some((name, zone)) if !is_utc && zone.to_offset(moment) != offset => {
            Err(bad!("{text:?}: the offset of {name} is {} then: leave one of the two out", zone.to_offset(moment)))
        }
        _ => Ok(moment),
    }
}
