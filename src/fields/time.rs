//! Times as SMPP writes them (v3.4, 7.1.1), and durations as people do.

use super::Problem;

/// The longest duration that is turned into the relative form: beyond it, months would have to be guessed.
const DURATION_SECONDS_MAX: u64 = 31 * 86_400;

/// A time of 16 characters out of an absolute or relative SMPP time, or a duration such as `2h`, `30m` or `1d12h`.
pub(super) fn parse(value: &str) -> Result<String, Problem> {
    if is_relative(value) || is_absolute(value) {
        return Ok(value.to_owned());
    }
    if let Some(absolute) = from_iso(value) {
        return Ok(absolute);
    }
    match seconds(value).ok_or_else(|| Problem::Time(value.to_owned()))? {
        seconds if (1..=DURATION_SECONDS_MAX).contains(&seconds) => {
            let (days, hours) = (seconds / 86_400, seconds / 3600 % 24);
            Ok(format!("0000{days:02}{hours:02}{:02}{:02}000R", seconds / 60 % 60, seconds % 60))
        }
        _ => Err(Problem::Duration(value.to_owned())),
    }
}

/// `2026-12-24T09:00+01:00` or `2026-12-24T08:00Z` in SMPP's form; `None` where it is no such time, has no offset, or has
/// one that is no whole number of quarter hours.
fn from_iso(value: &str) -> Option<String> {
    let pieces = jiff::fmt::temporal::Pieces::parse(value).ok()?;
    let (date, time) = (pieces.date(), pieces.time()?);
    let offset = pieces.to_numeric_offset()?.seconds();
    if !(2000..2100).contains(&date.year()) || offset % 900 != 0 || offset.abs() > 48 * 900 {
        return None;
    }
    let (tenths, sign) = (time.subsec_nanosecond() / 100_000_000, if offset < 0 { '-' } else { '+' });
    Some(format!(
        "{:02}{:02}{:02}{:02}{:02}{:02}{tenths}{:02}{sign}",
        date.year() % 100,
        date.month(),
        date.day(),
        time.hour(),
        time.minute(),
        time.second(),
        offset.abs() / 900,
    ))
}

/// `YYMMDDhhmmsstnnp`: t tenths of a second, nn quarter hours from UTC, p their direction.
fn is_absolute(value: &str) -> bool {
    let Some(pairs) = pairs(value, &["+", "-"]) else { return false };
    let [_, month, day, hour, minute, second] = pairs;
    let quarters = value.get(13..15).and_then(|quarters| quarters.parse::<u8>().ok());
    (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60
        && quarters.is_some_and(|quarters| quarters <= 48)
}

/// `YYMMDDhhmmss000R`: from now on.
fn is_relative(value: &str) -> bool {
    let Some(pairs) = pairs(value, &["000R"]) else { return false };
    let [_, month, day, hour, minute, second] = pairs;
    month < 12 && day <= 31 && hour < 24 && minute < 60 && second < 60
}

/// The six numbers at the start of a time of 16 characters, all digits up to one of the given ends.
fn pairs(value: &str, ends: &[&str]) -> Option<[u8; 6]> {
    let end = ends.iter().find(|end| value.ends_with(**end))?;
    let digits = value.len().checked_sub(end.len())?;
    if value.len() != 16 || !value.as_bytes()[..digits].iter().all(u8::is_ascii_digit) {
        return None;
    }
    let mut numbers = [0; 6];
    for (number, pair) in numbers.iter_mut().zip(value.as_bytes().as_chunks::<2>().0) {
        *number = (pair[0] - b'0') * 10 + (pair[1] - b'0');
    }
    Some(numbers)
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
        ] {
            assert_eq!(parse(value), Ok(expected.to_owned()), "{value}");
        }
        for value in [
            "2026-12-24T09:00",
            "2026-12-24",
            "2026-12-24T09:00+01:07",
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
        for value in ["261123240000000+", "261123000000049+", "26112300000000+", "000000000000001R", "0000000000é000R"]
        {
            assert_eq!(parse(value), Err(Problem::Time(value.to_owned())));
        }
        for value in ["0s", "32d", "9w"] {
            assert_eq!(parse(value), Err(Problem::Duration(value.to_owned())));
        }
        assert!(parse("99999999999999999999999h").is_err());
    }
}
