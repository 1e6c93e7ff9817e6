//! How much SQLite did, counted and not timed: it shows what a pattern of traffic costs on a busy machine, too.

use super::JournalThread;
use crate::journal::error::JournalError;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// So many instructions of SQLite's virtual machine are counted as one: a row that is looked at takes some five to ten.
const INSTRUCTIONS: i32 = 100;

/// Instructions that the journal thread's statements took, in hundreds.
#[derive(Clone, Debug, Default)]
pub(super) struct Steps(Arc<AtomicU64>);

impl Steps {
    pub(super) fn hundreds(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl JournalThread {
    /// Counts from now on, if the log is to say it.
    pub(super) fn count_steps(&mut self) -> Result<Steps, JournalError> {
        let steps = Steps::default();
        if log::log_enabled!(log::Level::Debug) {
            let counted = steps.clone();
            let handler = move || {
                counted.0.fetch_add(1, Ordering::Relaxed);
                // Go on.
                false
            };
            self.connection.progress_handler(INSTRUCTIONS, Some(handler))?;
        }
        Ok(steps)
    }
}
