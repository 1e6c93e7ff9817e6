//! Times as SMPP writes them (v3.4, 7.1.1), and durations as people do.

use super::Problem;
use crate::wire::SmppTime;
use jiff::civil::DateTime;
use jiff::{SignedDuration, Timestamp};

/// The longest duration that is turned into the relative form: beyond it, months would have to be guessed.
const DURATION_SECONDS_MAX: u64 = 31 * 86_400;
/// The quarter hours from UTC that the wire can carry, to each side.
const QUARTERS_MAX: i32 = 48;
/// The farthest that any place is from UTC.
const OFFSET_SECONDS_MAX: i32 = 14 * 3_600;

/// A time of 16 characters out of an absolute or relative SMPP time, a moment such as `2026-12-24T09:00+01:00`, or a
/// duration such as `2h`, `30m` or `1d12h`. Whether an absolute one has passed is asked of [`passed`].
pub(super) fn parse(value: &str) -> Result<String, Problem> {
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
    if value.contains('T') && value.contains('-') {
        return from_iso(value).ok_or_else(wrong);
    }
    match seconds(value).ok_or_else(wrong)? {
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
    match parse(time) {
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
            assert_eq!(parse(value), Ok(expected.to_owned()), "{value}");
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
            assert_eq!(parse(value), Err(Problem::Time(value.to_owned())));
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
            assert_eq!(parse(value), Err(Problem::Time(value.to_owned())));
        }
        assert_eq!(parse("000000000000000R"), Err(Problem::Zero("000000000000000R".into())));
        for value in ["0s", "32d", "9w"] {
            assert_eq!(parse(value), Err(Problem::Duration(value.to_owned())));
        }
        assert!(parse("99999999999999999999999h").is_err());
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
