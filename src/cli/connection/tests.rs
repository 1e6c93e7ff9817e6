use super::*;

#[test]
fn f15_durations() {
    for (text, milliseconds) in [("500ms", 500), ("3s", 3_000), ("2m", 120_000), ("1h", 3_600_000)] {
        assert_eq!(duration(text), Ok(Duration::from_millis(milliseconds)));
    }
    for text in ["", "3", "s", "0s", "-1s", "1.5s", "3 s", "99999999999h", "1d"] {
        assert!(duration(text).is_err(), "{text}");
    }
}

#[test]
fn a_horizon_can_be_in_days() {
    for (text, hours) in [("7d", 168), ("36h", 36), ("3650d", 87_600)] {
        assert_eq!(horizon(text), Ok(Duration::from_secs(hours * 3_600)), "{text}");
    }
    for text in ["0d", "d", "3651d", "-1d", "1.5d", "7", "7 d", "1w"] {
        assert!(horizon(text).is_err(), "{text}");
    }
}
