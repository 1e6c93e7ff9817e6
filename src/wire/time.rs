//! SMPP times: 16 octets, absolute or relative (v3.4 section 7.1.1).
use std::fmt;
use std::str::FromStr;

/// A schedule_delivery_time or validity_period. An empty one is `None` wherever it is optional.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SmppTime {
    /// `YYMMDDhhmmsstnnp`: a local time and its distance from UTC.
    Absolute {
        /// 0..=99, the last two digits.
        year: u8,
        /// 1..=12.
        month: u8,
        /// 1..=31, and not beyond the month.
        day: u8,
        /// 0..=23.
        hour: u8,
        /// 0..=59.
        minute: u8,
        /// 0..=59.
        second: u8,
        /// Tenths of a second, 0..=9.
        tenth: u8,
        /// Quarter hours that the local time is ahead of UTC, -48..=48.
        utc_offset_quarters: i8,
    },
    /// `YYMMDDhhmmss000R`: so long after the SMSC's present.
    Relative {
        /// 0..=99.
        years: u8,
        /// 0..=99.
        months: u8,
        /// 0..=99.
        days: u8,
        /// 0..=99.
        hours: u8,
        /// 0..=99.
        minutes: u8,
        /// 0..=99.
        seconds: u8,
    },
}

impl SmppTime {
    /// A relative time of whole seconds, split into days, hours, minutes and seconds, since months and years have no
    /// fixed length. `None` if it is 100 days or more.
    #[must_use]
    pub fn relative_seconds(seconds: u32) -> Option<Self> {
        let part = |unit: u32, of: u32| (seconds / unit % of) as u8;
        let days = u8::try_from(seconds / 86_400).ok().filter(|&days| days <= 99)?;
        Some(Self::Relative {
            years: 0,
            months: 0,
            days,
            hours: part(3600, 24),
            minutes: part(60, 60),
            seconds: part(1, 60),
        })
    }

    /// Reads the 16 octets, without a NUL.
    ///
    /// # Errors
    /// Another length, anything but digits, a field out of its range, a sign that is not `+`, `-` or `R`.
    pub fn parse(octets: &[u8]) -> Result<Self, TimeError> {
        let octets: &[u8; 16] = octets.try_into().map_err(|_| TimeError::Length { length: octets.len() })?;
        if let Some(offset) = octets[..15].iter().position(|octet| !octet.is_ascii_digit()) {
            return Err(TimeError::NotADigit { offset });
        }
        let pair = |at: usize| (octets[at] - b'0') * 10 + (octets[at + 1] - b'0');
        let time = match octets[15] {
            b'R' => {
                if &octets[12..15] != b"000" {
                    return Err(TimeError::OutOfRange { field: "the 000 of a relative time" });
                }
                Self::Relative {
                    years: pair(0),
                    months: pair(2),
                    days: pair(4),
                    hours: pair(6),
                    minutes: pair(8),
                    seconds: pair(10),
                }
            }
            sign @ (b'+' | b'-') => {
                // Two digits are at most 99, which an i8 holds.
                let quarters = pair(13) as i8;
                Self::Absolute {
                    year: pair(0),
                    month: pair(2),
                    day: pair(4),
                    hour: pair(6),
                    minute: pair(8),
                    second: pair(10),
                    tenth: octets[12] - b'0',
                    utc_offset_quarters: if sign == b'+' { quarters } else { -quarters },
                }
            }
            _ => return Err(TimeError::Sign { found: octets[15] }),
        };
        time.check().map(|()| time)
    }

    /// The 16 octets.
    ///
    /// # Errors
    /// A field out of its range.
    pub fn format(&self) -> Result<[u8; 16], TimeError> {
        self.check()?;
        let mut octets = [b'0'; 16];
        let mut put = |at: usize, value: u8| {
            octets[at] = b'0' + value / 10;
            octets[at + 1] = b'0' + value % 10;
        };
        match *self {
            Self::Absolute { year, month, day, hour, minute, second, tenth, utc_offset_quarters } => {
                for (index, value) in [year, month, day, hour, minute, second].into_iter().enumerate() {
                    put(index * 2, value);
                }
                put(13, utc_offset_quarters.unsigned_abs());
                octets[12] = b'0' + tenth;
                octets[15] = if utc_offset_quarters < 0 { b'-' } else { b'+' };
            }
            Self::Relative { years, months, days, hours, minutes, seconds } => {
                for (index, value) in [years, months, days, hours, minutes, seconds].into_iter().enumerate() {
                    put(index * 2, value);
                }
                octets[15] = b'R';
            }
        }
        Ok(octets)
    }

    fn check(&self) -> Result<(), TimeError> {
        let rows: &[(&'static str, bool)] = match *self {
            Self::Absolute { year, month, day, hour, minute, second, tenth, utc_offset_quarters } => &[
                ("year", year <= 99),
                ("month", (1..=12).contains(&month)),
                ("day", (1..=days_in(year, month)).contains(&day)),
                ("hour", hour <= 23),
                ("minute", minute <= 59),
                ("second", second <= 59),
                ("tenth", tenth <= 9),
                ("UTC offset", (-48..=48).contains(&utc_offset_quarters)),
            ],
            Self::Relative { years, months, days, hours, minutes, seconds } => &[
                ("years", years <= 99),
                ("months", months <= 99),
                ("days", days <= 99),
                ("hours", hours <= 99),
                ("minutes", minutes <= 99),
                ("seconds", seconds <= 99),
            ],
        };
        match rows.iter().find(|(_, holds)| !holds) {
            Some(&(field, _)) => Err(TimeError::OutOfRange { field }),
            None => Ok(()),
        }
    }
}

impl FromStr for SmppTime {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        Self::parse(text.as_bytes())
    }
}

impl fmt::Display for SmppTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.format() {
            Ok(octets) => octets.iter().try_for_each(|&octet| write!(f, "{}", char::from(octet))),
            Err(error) => write!(f, "({error})"),
        }
    }
}

/// Why something is not an SMPP time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeError {
    /// Not 16 octets.
    Length {
        /// How many there are.
        length: usize,
    },
    /// One of the first 15 octets is not a digit.
    NotADigit {
        /// Which, from 0.
        offset: usize,
    },
    /// The last octet is not `+`, `-` or `R`.
    Sign {
        /// What it is.
        found: u8,
    },
    /// A field is out of its range.
    OutOfRange {
        /// Which.
        field: &'static str,
    },
}

impl fmt::Display for TimeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { length } => write!(f, "an SMPP time has 16 octets (YYMMDDhhmmsstnnp), not {length}"),
            Self::NotADigit { offset } => write!(f, "an SMPP time has a digit at octet {offset}"),
            Self::Sign { found } => {
                write!(f, "an SMPP time ends in +, - or R, not in {:?}", char::from(*found))
            }
            Self::OutOfRange { field } => write!(f, "{field} is out of its range in an SMPP time"),
        }
    }
}

impl std::error::Error for TimeError {}

/// The days of a month. A year of two digits is 2000 to 2099, where every fourth is a leap year.
fn days_in(year: u8, month: u8) -> u8 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) => 29,
        2 => 28,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_times_come_back_as_they_were() {
        for text in [
            "261123091530004+",
            "261123091530048-",
            "240229235959948+",
            "000101000000000+",
            "000000000000000R",
            "020610233429000R",
            "999999999999000R",
        ] {
            assert_eq!(text.parse::<SmppTime>().map(|time| time.to_string()).as_deref(), Ok(text));
        }
    }

    #[test]
    fn bad_times_are_named() {
        use TimeError::{Length, NotADigit, OutOfRange, Sign};
        let table = [
            ("", Length { length: 0 }),
            ("261123091530000", Length { length: 15 }),
            ("2611230915300000+", Length { length: 17 }),
            ("2611x3091530000+", NotADigit { offset: 4 }),
            ("261123091530000Z", Sign { found: b'Z' }),
            ("261323091530000+", OutOfRange { field: "month" }),
            ("260023091530000+", OutOfRange { field: "month" }),
            ("250229091530000+", OutOfRange { field: "day" }),
            ("261100091530000+", OutOfRange { field: "day" }),
            ("261123241530000+", OutOfRange { field: "hour" }),
            ("261123096030000+", OutOfRange { field: "minute" }),
            ("261123091560000+", OutOfRange { field: "second" }),
            ("261123091530049+", OutOfRange { field: "UTC offset" }),
            ("261123091530001R", OutOfRange { field: "the 000 of a relative time" }),
        ];
        for (text, error) in table {
            assert_eq!(SmppTime::parse(text.as_bytes()), Err(error), "{text}");
        }
    }

    #[test]
    fn seconds_become_a_relative_time() {
        let text = |seconds| SmppTime::relative_seconds(seconds).map(|time| time.to_string());
        assert_eq!(text(0).as_deref(), Some("000000000000000R"));
        assert_eq!(text(90).as_deref(), Some("000000000130000R"));
        assert_eq!(text(86_400 * 3 + 3_661).as_deref(), Some("000003010101000R"));
        assert_eq!(text(86_400 * 100 - 1).as_deref(), Some("000099235959000R"));
        assert_eq!(text(86_400 * 100), None);
        assert_eq!(text(u32::MAX), None);
    }

    #[test]
    fn a_time_out_of_range_is_not_written() {
        let time = SmppTime::Relative { years: 0, months: 0, days: 100, hours: 0, minutes: 0, seconds: 0 };
        assert_eq!(time.format(), Err(TimeError::OutOfRange { field: "days" }));
        assert_eq!(time.to_string(), "(days is out of its range in an SMPP time)");
    }
}
