//! Times as SMPP writes them (v3.4, 7.1.1), and durations as people do.

use super::Problem;
use crate::wire::SmppTime;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// The longest duration that is turned into the relative form: beyond it, months would have to be guessed.
const DURATION_SECONDS_MAX: u64 = 31 * 86_400;
/// The quarter hours from UTC that the wire can carry, to each side.
const QUARTERS_MAX: i32 = 48;
/// The farthest that any place is from UTC.
const OFFSET_SECONDS_MAX: i32 = 14 * 3_600;

/// A time of 16 characters out of an absolute or relative SMPP time, a moment such as `2026-12-24T09:00+01:00`, or a
/// duration such as `2h`, `30m` or `1d12h`. Whether an absolute one has passed is asked of [`passed`].
pub(super) fn parse(value: &str, zone: Option<&TimeZone>) -> Result<String, Problem> {
    let wrong = || Problem::Time(value.to_owned());
    // Of this length, and digits but for its end: nothing else that is understood looks so.
    if value.len() == 16 && value.as_bytes()[..15].iter().all(u8::is_ascii_digit) {
        let time: SmppTime = value.parse().map_err(|_| wrong())?;
        return match time {
            SmppTime::Relative { .. } if value.starts_with("000000000000") => Err(Problem::Zero(value.to_owned())),
            SmppTime::Relative { months, days, hours, minutes, seconds, .. } => {
                let is_date = months <= 12 && days <= 31 && hours < 24 && minutes < 60 && seconds < 60;
                if is_date { Ok(value.to_owned()) } else { Err(wrong()) }
            }
            SmppTime::Absolute { .. } => Ok(value.to_owned()),
        };
    }
    if value.contains('T')
        && value.contains('-')
        && let Some(time) = from_iso(value)
    {
        return Ok(time);
    }
    // With an offset it is no local time, whatever else is wrong with it.
    let has_offset = value.split_once('T').is_some_and(|(_, time)| time.contains(['Z', 'z', '+', '-', '[']));
    if let Some(zone) = zone.filter(|_| !has_offset)
        && let Some(time) = local(value, zone)
    {
        return time;
    }
    match seconds(value).or_else(|| iso_duration(value)).ok_or_else(wrong)? {
        seconds if (1..=DURATION_SECONDS_MAX).contains(&seconds) => {
            let (days, hours) = (seconds / 86_400, seconds / 3600 % 24);
            Ok(format!("0000{days:02}{hours:02}{:02}{:02}000R", seconds / 60 % 60, seconds % 60))
        }
        _ => Err(Problem::Duration(value.to_owned())),
    }
}

/// `2026-12-24T09:00+01:00` or `2026-12-24T08:00Z` in SMPP's form, in UTC where the wire cannot carry the offset: beyond 12
/// hours, or no whole number of quarter hours. `None` where it is no such time, has no offset, or one that no place has.
fn from_iso(value: &str) -> Option<String> {
    let pieces = jiff::fmt::temporal::Pieces::parse(value).ok()?;
    let local = pieces.date().to_datetime(pieces.time()?);
    let (local, quarters) = match (pieces.to_numeric_offset(), pieces.time_zone_annotation()) {
        // With a zone's name the offset is the zone's, and one that contradicts it is refused.
        (_, Some(_)) => {
            let zoned: jiff::Zoned = value.parse().ok()?;
            (jiff::tz::Offset::UTC.to_datetime(zoned.timestamp()), 0)
        }
        (Some(offset), None) => {
            let seconds = offset.seconds();
            if seconds.abs() > OFFSET_SECONDS_MAX {
                return None;
            }
            match seconds % 900 == 0 && (seconds / 900).abs() <= QUARTERS_MAX {
                true => (local, seconds / 900),
                false => (local.checked_sub(SignedDuration::from_secs(i64::from(seconds))).ok()?, 0),
            }
        }
        (None, None) => return None,
    };
    if !(2000..2100).contains(&local.year()) {
        return None;
    }
    let (tenths, sign) = (local.subsec_nanosecond() / 100_000_000, if quarters < 0 { '-' } else { '+' });
    Some(format!(
        "{:02}{:02}{:02}{:02}{:02}{:02}{tenths}{:02}{sign}",
        local.year() % 100,
        local.month(),
        local.day(),
        local.hour(),
        local.minute(),
        local.second(),
        quarters.abs(),
    ))
}

/// A local time as people and spreadsheets write it, in SMPP's form; `None`: it does not look like one.
fn local(value: &str, zone: &TimeZone) -> Option<Result<String, Problem>> {
    let value = value.trim();
    let day_end = value.find([' ', 'T', '\u{a0}', ',']).unwrap_or(value.len());
    let (day, rest) = value.split_at(day_end);
    let day = match date(day)? {
        Ok(day) => day,
        Err(TwoWays) => return Some(Err(Problem::TwoDates(value.to_owned()))),
    };
    let rest = rest.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, 'T' | ','));
    if rest.is_empty() {
        return Some(Err(Problem::NoHour(value.to_owned())));
    }
    let no_such = || Some(Err(Problem::NoSuchTime(value.to_owned())));
    let (Some(day), Some(time)) = (day, hour(rest)) else { return no_such() };
    let Ok(zoned) = zone.to_ambiguous_zoned(day.to_datetime(time)).unambiguous() else { return no_such() };
    let moment = zoned.timestamp();
    let offset = zoned.offset().seconds();
    // The wire carries quarter hours up to 12 hours from UTC.
    let is_carried = offset % 900 == 0 && (offset / 900).abs() <= QUARTERS_MAX;
    let offset = if is_carried { zoned.offset() } else { jiff::tz::Offset::UTC };
    from_iso(&moment.display_with_offset(offset).to_string()).map_or_else(no_such, |time| Some(Ok(time)))
}

/// A date that may be the day of one month or of another.
struct TwoWays;

/// A date: the year first, or last behind the day and the month. `None`: it is none; `Ok(None)`: no such day.
fn date(day: &str) -> Option<Result<Option<Date>, TwoWays>> {
    let separator = day.chars().find(|c| matches!(c, '-' | '/' | '.'))?;
    let mut pieces = day.trim_end_matches(separator).split(separator);
    let (first, second, third) = (pieces.next()?, pieces.next()?, pieces.next()?);
    if pieces.next().is_some() {
        return None;
    }
    let number = |text: &str| text.parse::<i16>().ok().filter(|_| text.len() <= 4);
    let (a, c) = (number(first)?, number(third)?);
    let made = |year: i16, month: i16, day: i16| {
        let year = if year < 100 { 2000 + year } else { year };
        Date::new(year, i8::try_from(month).unwrap_or(0), i8::try_from(day).unwrap_or(0)).ok()
    };
    let Some(b) = number(second) else {
        // 5-Jan-2027.
        const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
        let name = second.get(..3)?.to_ascii_lowercase();
        let month = MONTHS.iter().position(|month| *month == name)? as i16 + 1;
        return Some(Ok(made(c, month, a)));
    };
    if first.len() == 4 {
        return Some(Ok(made(a, b, c)));
    }
    if !matches!(third.len(), 2 | 4) {
        return None;
    }
    // With dots the day comes first wherever dates are written so; with slashes America has the month first.
    match separator {
        '.' => Some(Ok(made(c, b, a))),
        _ if a > 12 || a == b => Some(Ok(made(c, b, a))),
        _ if b > 12 => Some(Ok(made(c, a, b))),
        _ => Some(Err(TwoWays)),
    }
}

/// `9:00`, `09:00:30`, `9:00 PM`.
fn hour(text: &str) -> Option<Time> {
    let lower = text.trim().to_ascii_lowercase().replace('.', ":");
    let (clock, after_noon) = match (lower.strip_suffix("am"), lower.strip_suffix("pm")) {
        (Some(clock), _) => (clock.trim_end(), Some(false)),
        (_, Some(clock)) => (clock.trim_end(), Some(true)),
        _ => (lower.as_str(), None),
    };
    let mut pieces = clock.split(':');
    let mut number = |is_needed: bool| match pieces.next() {
        Some(text) => text.parse::<i8>().ok().filter(|number| *number >= 0),
        None if is_needed => None,
        None => Some(0),
    };
    let (hour, minute, second) = (number(true)?, number(after_noon.is_none())?, number(false)?);
    let hour = match after_noon {
        Some(_) if !(1..=12).contains(&hour) => return None,
        Some(after_noon) => hour % 12 + if after_noon { 12 } else { 0 },
        None => hour,
    };
    if pieces.next().is_some() {
        return None;
    }
    Time::new(hour, minute, second, 0).ok()
}

/// The seconds of an ISO 8601 duration of days and less, as `PT48H` or `P2D`.
fn iso_duration(value: &str) -> Option<u64> {
    if !value.starts_with(['P', 'p']) {
        return None;
    }
    let span: jiff::Span = value.parse().ok()?;
    if span.get_years() != 0 || span.get_months() != 0 || span.is_negative() {
        return None;
    }
    let days = i64::from(span.get_weeks()) * 7 + i64::from(span.get_days());
    let seconds = days * 86_400 + i64::from(span.get_hours()) * 3_600 + span.get_minutes() * 60 + span.get_seconds();
    u64::try_from(seconds).ok()
}

/// A time as SMPP writes it, as people read it: `2027-01-05T09:00:00+00:00`, or `2d after it is sent`.
pub fn words(time: &str) -> String {
    if let Some(moment) = moment(time).and_then(|moment| Timestamp::from_millisecond(moment).ok()) {
        let quarters = time.get(13..15).and_then(|nn| nn.parse::<i32>().ok()).unwrap_or(0);
        let sign = if time.ends_with('-') { -1 } else { 1 };
        let offset = jiff::tz::Offset::from_seconds(sign * quarters * 900).unwrap_or(jiff::tz::Offset::UTC);
        return moment.display_with_offset(offset).to_string();
    }
    match time.parse() {
        Ok(SmppTime::Relative { years, months, days, hours, minutes, seconds }) => {
            let units = [(years, "y"), (months, "mo"), (days, "d"), (hours, "h"), (minutes, "min"), (seconds, "s")];
            let words: Vec<String> =
                units.iter().filter(|(n, _)| *n > 0).map(|(n, unit)| format!("{n}{unit}")).collect();
            format!("{} after it is sent", words.join(" "))
        }
        _ => time.to_owned(),
    }
}

/// The moment, in milliseconds since 1970, that an absolute SMPP time names; `None`: it is relative, or none at all.
pub(super) fn moment(time: &str) -> Option<i64> {
    let SmppTime::Absolute { year, month, day, hour, minute, second, tenth, utc_offset_quarters } =
        time.parse().ok()?
    else {
        return None;
    };
    // Each is below 100, which an i8 holds.
    let [month, day, hour, minute, second] = [month, day, hour, minute, second].map(|number| number as i8);
    let nanosecond = i32::from(tenth) * 100_000_000;
    let local = DateTime::new(2000 + i16::from(year), month, day, hour, minute, second, nanosecond).ok()?;
    let utc = jiff::tz::Offset::UTC.to_timestamp(local).ok()?;
    Some(utc.as_millisecond() - i64::from(utc_offset_quarters) * 900_000)
}

/// When a time that is to be sent has passed; `None`: never, it is relative. What is no time, or none of any length, has
/// passed at all times.
pub(super) fn passes_at(time: &str) -> Option<i64> {
    match parse(time, None) {
        Ok(time) => moment(&time),
        Err(_) => Some(i64::MIN),
    }
}

/// An absolute time that has come, as a moment in UTC for people; `None`: it is still to come, or relative.
pub(super) fn passed(time: &str, now_ms: i64) -> Option<String> {
    let moment = moment(time).filter(|moment| *moment <= now_ms)?;
    Some(Timestamp::from_millisecond(moment).map_or_else(|_| time.to_owned(), |moment| moment.to_string()))
}

/// The seconds of a duration: numbers, each with one of s, m, h, d, w after it.
fn seconds(value: &str) -> Option<u64> {
    let mut total: u64 = 0;
    let mut number: Option<u64> = None;
    for c in value.chars() {
        let unit = match c {
            '0'..='9' => {
                let digit = u64::from(c.to_digit(10)?);
                number = Some(number.unwrap_or(0).checked_mul(10)?.checked_add(digit)?);
                continue;
            }
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            'w' => 604_800,
            _ => return None,
        };
        total = total.checked_add(number.take()?.checked_mul(unit)?)?;
    }
    if number.is_some() || value.is_empty() { None } else { Some(total) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (value, expected) in [
            ("30s", "000000000030000R"),
            ("30m", "000000003000000R"),
            ("2h", "000000020000000R"),
            ("3d", "000003000000000R"),
            ("1w", "000007000000000R"),
            ("1d12h", "000001120000000R"),
            ("90m", "000000013000000R"),
            ("31d", "000031000000000R"),
            ("000007000000000R", "000007000000000R"),
            ("010203040506000R", "010203040506000R"),
            ("261123235959948+", "261123235959948+"),
            ("261123000000000-", "261123000000000-"),
            ("2026-12-24T09:00+01:00", "261224090000004+"),
            ("2026-12-24T09:00:30.5-09:30", "261224090030538-"),
            ("2026-12-24T08:00Z", "261224080000000+"),
            ("280229000000000+", "280229000000000+"),
            ("2026-12-24T09:00+12:00", "261224090000048+"),
            // What the wire cannot carry, in UTC.
            ("2026-12-24T09:00+13:00", "261223200000000+"),
            ("2027-01-01T00:30+13:45", "261231104500000+"),
            ("2026-12-31T23:00-13:00", "270101120000000+"),
            ("2026-12-24T09:00+01:07", "261224075300000+"),
            ("2026-12-24T09:00+01:00[Europe/Paris]", "261224080000000+"),
            ("2026-12-24T09:00[America/New_York]", "261224140000000+"),
        ] {
            assert_eq!(parse(value, None), Ok(expected.to_owned()), "{value}");
        }
        for value in [
            "2026-12-24T09:00",
            "2026-12-24",
            "2026-12-24T09:00+14:01",
            "2026-12-24T09:00-25:00",
            "2026-02-30T09:00Z",
            "2101-02-03T09:00Z",
            // Of the sign of another season.
            "2026-12-24T09:00+02:00[Europe/Paris]",
            "",
            "2",
            "h",
            "2 h",
            "2h3",
            "2y",
            "-2h",
            "tomorrow",
            "2026-11-23",
            "261323000000000+",
        ] {
            assert_eq!(parse(value, None), Err(Problem::Time(value.to_owned())));
        }
        for value in [
            "261123240000000+",
            "261123000000049+",
            "26112300000000+",
            "000000000000001R",
            "0000000000é000R",
            "260231000000000+",
            "270229000000000+",
            "261131000000000+",
            "260023000000000+",
            "261100000000000+",
            "261123006000000+",
            "261123000060000+",
            "261123000000000Z",
            "001300000000000R",
            "000032000000000R",
            "000000240000000R",
        ] {
            assert_eq!(parse(value, None), Err(Problem::Time(value.to_owned())));
        }
        assert_eq!(parse("000000000000000R", None), Err(Problem::Zero("000000000000000R".into())));
        for value in ["0s", "32d", "9w"] {
            assert_eq!(parse(value, None), Err(Problem::Duration(value.to_owned())));
        }
        assert!(parse("99999999999999999999999h", None).is_err());
    }

    #[test]
    fn local_times_are_those_of_the_zone() {
        let london = TimeZone::get("Europe/London").unwrap();
        let kolkata = TimeZone::get("Asia/Kolkata").unwrap();
        for (value, zone, expected) in [
            ("2027-01-05 09:00", &london, "270105090000000+"),
            ("2027-07-05 09:00", &london, "270705090000004+"),
            ("2027-07-05T09:00", &london, "270705090000004+"),
            ("2027-07-05T09:00:30", &london, "270705090030004+"),
            ("05.07.2027 9:00", &london, "270705090000004+"),
            ("25/07/2027 09:00", &london, "270725090000004+"),
            ("7/25/2027 9:00 PM", &london, "270725210000004+"),
            ("7/25/27 12:30 AM", &london, "270725003000004+"),
            ("7/7/2027 9 am", &london, "270707090000004+"),
            ("5-Jan-2027 09:00", &london, "270105090000000+"),
            ("2027/01/05 09:00", &kolkata, "270105090000022+"),
            ("2027-01-05T09:00+01:00", &kolkata, "270105090000004+"),
        ] {
            assert_eq!(parse(value, Some(zone)), Ok(expected.to_owned()), "{value}");
        }
        let no_such = |value: &str| Err(Problem::NoSuchTime(value.to_owned()));
        for value in [
            "31/02/2027 09:00",
            "2027-02-30 09:00",
            "2027-01-05 25:00",
            "2027-01-05 noon",
            // Skipped, and had twice.
            "2027-03-28 01:30",
            "2027-10-31 01:30",
        ] {
            assert_eq!(parse(value, Some(&london)), no_such(value), "{value}");
        }
        assert_eq!(parse("05/07/2027 09:00", Some(&london)), Err(Problem::TwoDates("05/07/2027 09:00".into())));
        assert_eq!(parse("2027-07-05", Some(&london)), Err(Problem::NoHour("2027-07-05".into())));
        assert_eq!(parse("PT48H", Some(&london)), Ok("000002000000000R".to_owned()));
        assert_eq!(parse("P2D", None), Ok("000002000000000R".to_owned()));
        assert!(parse("P1M", None).is_err());
    }

    #[test]
    fn times_are_shown_as_they_were_understood() {
        assert_eq!(words("270705090000004+"), "2027-07-05T09:00:00+01:00");
        assert_eq!(words("000002030000000R"), "2d 3h after it is sent");
    }

    #[test]
    fn moments() {
        for (time, moment_ms) in [
            ("700101000000000+", 3_155_760_000_000),
            ("000101000000000+", 946_684_800_000),
            ("000101010000004+", 946_684_800_000),
            ("991231235959948+", 4_102_444_799_900 - 43_200_000),
            ("000101000001504-", 946_684_801_500 + 3_600_000),
        ] {
            assert_eq!(moment(time), Some(moment_ms), "{time}");
            assert_eq!(passed(time, moment_ms - 1), None, "{time}");
            assert!(passed(time, moment_ms).is_some(), "{time}");
        }
        assert_eq!(passed("261224090000004+", i64::MAX).as_deref(), Some("2026-12-24T08:00:00Z"));
        for time in ["000000020000000R", "", "261323000000000+"] {
            assert_eq!(moment(time), None, "{time}");
        }
    }
}
