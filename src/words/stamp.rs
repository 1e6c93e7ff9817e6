//! Moments as the journal's views show them.

use serde::{Serialize, Serializer};
use std::fmt;

/// A moment in milliseconds since 1970, UTC. Shows itself as the views do: `2026-03-29T01:59:59.250Z`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Stamp(pub i64);

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A moment without a zone: those with one end a day before the year 10000, the views' do not.
        let epoch = jiff::civil::DateTime::constant(1970, 1, 1, 0, 0, 0, 0);
        match epoch.checked_add(jiff::SignedDuration::from_millis(self.0)) {
            Ok(at) => write!(f, "{at:.3}Z"),
            // Before the year -9999 or after 9999.
            Err(_) => write!(f, "{} ms", self.0),
        }
    }
}

impl Serialize for Stamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
