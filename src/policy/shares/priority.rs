//! How much of the account's rate a campaign gets beside others.

use crate::words::BadValue;
use std::fmt;
use std::str::FromStr;

/// So many campaigns of a class are active.
pub const PLACES: usize = 8;
/// Where every place is taken, a part moves the clock by so much.
pub(super) const PART_OF_ALL: u64 = 16;

/// The class of a campaign.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Priority {
    /// For alerts: 16 parts where a campaign of the class bulk gets one.
    Urgent,
    /// What a campaign has unless it is told otherwise: four parts.
    #[default]
    Normal,
    /// For what has time.
    Bulk,
}

/// The weight of all places together.
const ALL_PLACES: u64 =
    PLACES as u64 * (Priority::Urgent.weight() + Priority::Normal.weight() + Priority::Bulk.weight());

// What every place together has had moves each of them by as much as a part of its own.
const _: () = assert!(PART_OF_ALL * ALL_PLACES == Priority::Urgent.weight() * Priority::Urgent.step());

impl Priority {
    /// All of them, the most urgent first.
    pub const ALL: [Self; 3] = [Self::Urgent, Self::Normal, Self::Bulk];

    /// How many parts it gets where others get as many as theirs says.
    pub const fn weight(self) -> u64 {
        match self {
            Self::Urgent => 16,
            Self::Normal => 4,
            Self::Bulk => 1,
        }
    }

    /// What a part of it costs: a whole number, so that nothing is lost by rounding.
    pub(super) const fn step(self) -> u64 {
        ALL_PLACES * Self::Urgent.weight() / self.weight()
    }

    /// As it is typed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Urgent => "urgent",
            Self::Normal => "normal",
            Self::Bulk => "bulk",
        }
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Priority {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let found = Self::ALL.into_iter().find(|priority| priority.name().eq_ignore_ascii_case(text.trim()));
        found.ok_or_else(|| "write urgent, normal or bulk".into())
    }
}
