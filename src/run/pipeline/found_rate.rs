//! The rate that an earlier run had verified, as the journal keeps it.

use crate::words::format::rate;

/// The rate that an earlier run had verified.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct FoundRate {
    /// In PDUs a second.
    pub rate: f64,
    /// When; 0: nobody noted it.
    pub at_ms: i64,
}

impl FoundRate {
    /// As the journal keeps it: the rate, a space, the time in milliseconds.
    pub fn read(text: &str) -> Option<Self> {
        let (rate, at) = text.split_once(' ').unwrap_or((text, "0"));
        let rate = rate.parse().ok().filter(|rate: &f64| rate.is_finite() && *rate > 0.0)?;
        Some(Self { rate, at_ms: at.parse().ok()? })
    }

    pub fn written(self) -> String {
        format!("{:.1} {}", self.rate, self.at_ms)
    }

    pub fn words(self, now_ms: i64) -> String {
        let minutes = (now_ms - self.at_ms).max(0) / 60_000;
        let age = match minutes {
            _ if self.at_ms == 0 => String::new(),
            0..=1 => " a moment ago".into(),
            2..=119 => format!(" {minutes} minutes ago"),
            120..=2_879 => format!(" {} hours ago", minutes / 60),
            _ => format!(" {} days ago", minutes / 1_440),
        };
        format!("an earlier run found{age} that the SMSC takes {}/s", rate(self.rate))
    }
}
