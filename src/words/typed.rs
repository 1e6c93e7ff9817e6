//! Durations as they are typed, and as they are recorded.

use crate::words::BadValue;
use std::time::Duration;

/// Reads `500ms`, `3s`, `2m`, `1h`.
pub fn duration(text: &str) -> Result<Duration, BadValue> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err("write a whole number and its unit: 500ms, 3s, 2m or 1h".into()),
    };
    match number.parse::<u64>().ok().and_then(|number| number.checked_mul(milliseconds)) {
        Some(0) => Err("it is from 1ms to 720h".into()),
        Some(total) if total <= 30 * 24 * 3_600_000 => Ok(Duration::from_millis(total)),
        Some(_) => Err("it is from 1ms to 720h".into()),
        None => Err("write a whole number and its unit: 500ms, 3s, 2m or 1h".into()),
    }
}

/// Reads an age: `90d`, `12w`, `36h`, and what [`duration`] reads; 0 of any unit is an age, too. Up to 100 years.
pub fn age(text: &str) -> Result<Duration, BadValue> {
    const AGE_DAYS_MAX: u64 = 36_525;
    let bad = || BadValue::from("write a whole number and its unit: 90d, 12w, 36h, 30m or 10s");
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 7 * 86_400,
        _ => return Err(bad()),
    };
    let total = number.parse::<u64>().ok().and_then(|number| number.checked_mul(seconds)).ok_or_else(bad)?;
    if total > AGE_DAYS_MAX * 86_400 { Err("it is at most 100 years".into()) } else { Ok(Duration::from_secs(total)) }
}

/// A duration as [`duration`] reads it, in the greatest unit that says it whole.
pub fn duration_text(duration: Duration) -> String {
    let ms = duration.as_millis();
    let units = [("h", 3_600_000), ("m", 60_000), ("s", 1_000)];
    match units.into_iter().find(|(_, unit)| ms.is_multiple_of(*unit)) {
        Some((name, unit)) => format!("{}{name}", ms / unit),
        None => format!("{ms}ms"),
    }
}
