//! Wall-clock times as text, without a calendar library on the hot path: dates come once for each minute.
use std::time::{SystemTime, UNIX_EPOCH};

use super::ids::write_dec;

/// Microseconds since 1970, in UTC.
pub(super) fn unix_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64)
}

/// Appends `2026-11-23T09:15:00.123456Z`.
pub(super) fn write_iso(us: u64, out: &mut Vec<u8>) {
    let seconds = us / 1_000_000;
    let (year, month, day) = civil(seconds / 86_400);
    write_dec(year, 4, out);
    for (separator, value) in
        [(b'-', month), (b'-', day), (b'T', seconds / 3_600 % 24), (b':', seconds / 60 % 60), (b':', seconds % 60)]
    {
        out.push(separator);
        write_dec(value, 2, out);
    }
    out.push(b'.');
    write_dec(us % 1_000_000, 6, out);
    out.push(b'Z');
}

/// Appends an absolute time of v3.4 section 7.1.1 in UTC, `YYMMDDhhmmsstnnp`.
pub(super) fn write_smpp_time(us: u64, out: &mut Vec<u8>) {
    let seconds = us / 1_000_000;
    let (year, month, day) = civil(seconds / 86_400);
    for value in [year % 100, month, day, seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60] {
        write_dec(value, 2, out);
    }
    write_dec(us / 100_000 % 10, 1, out);
    out.extend_from_slice(b"00+");
}

/// The date of a receipt, `YYMMDDhhmm`, remembered as long as the minute stays the same.
#[derive(Debug, Default)]
pub(super) struct MinuteText {
    minute: u64,
    text: [u8; 10],
}

impl MinuteText {
    /// The text for a time in seconds since 1970.
    pub(super) fn of(&mut self, seconds: u64) -> &[u8; 10] {
        let minute = seconds / 60;
        if minute != self.minute || self.text[0] == 0 {
            let (year, month, day) = civil(minute / 1_440);
            let mut text = Vec::with_capacity(10);
            for value in [year % 100, month, day, minute / 60 % 24, minute % 60] {
                write_dec(value, 2, &mut text);
            }
            self.text.copy_from_slice(&text);
            self.minute = minute;
        }
        &self.text
    }
}

/// Year, month and day of a day number since 1970, in the proleptic Gregorian calendar.
fn civil(days: u64) -> (u64, u64, u64) {
    // Years that begin in March put the leap day last, which makes all months' offsets one formula.
    let days = days + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_become_dates() {
        for (day, date) in [
            (0, (1970, 1, 1)),
            (58, (1970, 2, 28)),
            (59, (1970, 3, 1)),
            (11_016, (2000, 2, 29)),
            (20_780, (2026, 11, 23)),
            (47_540, (2100, 2, 28)),
            (47_541, (2100, 3, 1)),
        ] {
            assert_eq!(civil(day), date, "day {day}");
        }
    }

    #[test]
    fn texts_have_their_width() {
        let mut out = Vec::new();
        write_iso(20_780 * 86_400_000_000 + 33_300_000_042, &mut out);
        assert_eq!(out, b"2026-11-23T09:15:00.000042Z");
        out.clear();
        write_smpp_time(20_780 * 86_400_000_000 + 33_300_900_042, &mut out);
        assert_eq!(out, b"261123091500900+");
        let mut minute = MinuteText::default();
        assert_eq!(minute.of(0), b"7001010000");
        assert_eq!(minute.of(20_780 * 86_400 + 33_359), b"2611230915");
        assert_eq!(minute.of(20_780 * 86_400 + 33_360), b"2611230916");
    }
}
