//! What statuses mean for a message, and how often a part is tried again after them.

use crate::wire::{CommandStatus, StatusClass};
use hashbrown::HashMap;

/// Delays before a part that the SMSC refused for now is tried again; after the last it is rejected. Throttling has a
/// delay of its own and is without limit.
pub const DELAYS_MS: [i64; 4] = [1_000, 5_000, 15_000, 60_000];
/// What an answer's status means for its message, and how often a part is tried again after it.
#[derive(Clone, Debug)]
pub struct RetryRules {
    /// Delays before the tries after temporary refusals; one more refusal than there are delays, and the part is rejected.
    pub delays_ms: Vec<i64>,
    /// Codes that mean something else here than they do by default.
    pub codes: HashMap<u32, CodeRule>,
}

/// A code's own rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CodeRule {
    /// What it means.
    pub class: StatusClass,
    /// Its own delays, if it is temporary; `None`: the general ones.
    pub delays_ms: Option<Vec<i64>>,
}

impl Default for RetryRules {
    fn default() -> Self {
        Self { delays_ms: DELAYS_MS.to_vec(), codes: HashMap::new() }
    }
}

impl RetryRules {
    /// What a status means.
    pub fn class(&self, status: CommandStatus) -> StatusClass {
        match self.codes.get(&status.0) {
            Some(rule) => rule.class,
            None => status.class(),
        }
    }

    /// Whether a refusal with this status may have to do with the pace, as far as the operator says: to one that is temporary and
    /// has delays of its own a slower pace makes no difference.
    pub fn may_be_of_the_pace(&self, status: CommandStatus) -> bool {
        self.codes.get(&status.0).is_none_or(|rule| rule.delays_ms.is_none())
    }

    /// How long to wait before the next try of a part that was refused `refused` times before; `None`: no more tries.
    pub fn delay_ms(&self, status: CommandStatus, refused: u8) -> Option<i64> {
        let own = self.codes.get(&status.0).and_then(|rule| rule.delays_ms.as_ref());
        own.unwrap_or(&self.delays_ms).get(usize::from(refused)).copied()
    }
}
