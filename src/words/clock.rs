//! Moments as a clock somewhere shows them, always with its offset from UTC.

use crate::words::stamp::Stamp;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// A clock: where it stands, and how that is told.
#[derive(Clone, Debug)]
pub struct Clock {
    zone: TimeZone,
    words: String,
}

impl Default for Clock {
    fn default() -> Self {
        Self::new(TimeZone::UTC, "UTC")
    }
}

impl Clock {
    /// A clock of a zone. `words`: which that is.
    pub fn new(zone: TimeZone, words: impl Into<String>) -> Self {
        Self { zone, words: words.into() }
    }

    /// Which zone it shows.
    pub fn words(&self) -> &str {
        &self.words
    }

    /// Seconds that it is before UTC at a moment.
    pub fn offset(&self, at: Stamp) -> i64 {
        Timestamp::from_millisecond(at.0).map_or(0, |at| self.zone.to_offset(at).seconds().into())
    }

    /// `2026-03-29 03:59:59 +02:00`, or `2026-03-29 01:59:59 UTC`.
    pub fn moment(&self, at: Stamp) -> String {
        let offset = self.offset(at);
        // Moments that no calendar has are told in UTC, as they stand.
        format!("{} {}", crate::words::format::moment(Stamp(at.0.saturating_add(offset * 1_000))), offset_words(offset))
    }

    /// `2026-03-29 03:59:59 to 2026-03-29 04:10:00 +02:00`; both with their offset where it changed.
    pub fn span(&self, from: Stamp, to: Stamp) -> String {
        let (first, last) = (self.moment(from), self.moment(to));
        let is_same = self.offset(from) == self.offset(to);
        let first = if is_same { first.get(..19).unwrap_or(&first) } else { &first };
        format!("{first} to {last}")
    }

    /// The first so many characters of it: 10 up to the day, 16 up to the minute, 19 up to the second.
    pub fn short(&self, at: Stamp, characters: usize) -> String {
        let whole = self.moment(at);
        whole.get(..characters).unwrap_or(&whole).to_owned()
    }
}

/// `+02:00`; `UTC` where there is none.
fn offset_words(seconds: i64) -> String {
    if seconds == 0 {
        return "UTC".into();
    }
    let (sign, of) = (if seconds < 0 { '-' } else { '+' }, seconds.unsigned_abs());
    let words = format!("{sign}{:02}:{:02}", of / 3_600, of / 60 % 60);
    // Local mean times of old have seconds.
    if of % 60 == 0 { words } else { format!("{words}:{:02}", of % 60) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_local_and_name_their_offset() {
        let at = Stamp(1_774_749_599_250);
        for (zone, shown) in [
            ("UTC", "2026-03-29 01:59:59 UTC"),
            ("Europe/Paris", "2026-03-29 03:59:59 +02:00"),
            ("Asia/Kolkata", "2026-03-29 07:29:59 +05:30"),
            ("America/St_Johns", "2026-03-28 23:29:59 -02:30"),
        ] {
            let clock = Clock::new(TimeZone::get(zone).unwrap(), zone);
            assert_eq!(clock.moment(at), shown);
        }
        let paris = Clock::new(TimeZone::get("Europe/Paris").unwrap(), "");
        // An hour before the clock was set forward.
        assert_eq!(paris.moment(Stamp(at.0 - 3_600_000)), "2026-03-29 01:59:59 +01:00");
        assert_eq!((paris.short(at, 16).as_str(), paris.short(at, 10).as_str()), ("2026-03-29 03:59", "2026-03-29"));
        let later = Stamp(at.0 + 60_000);
        assert_eq!(paris.span(at, later), "2026-03-29 03:59:59 to 2026-03-29 04:00:59 +02:00");
        let before = Stamp(at.0 - 3_600_000);
        assert_eq!(paris.span(before, at), "2026-03-29 01:59:59 +01:00 to 2026-03-29 03:59:59 +02:00");
        for odd in [i64::MAX, i64::MIN, 0] {
            assert!(!paris.moment(Stamp(odd)).is_empty());
        }
    }
}
