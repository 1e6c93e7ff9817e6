//! Whether the journal agrees with itself.

use super::JournalError;
use rusqlite::Connection;
use serde::Serialize;

/// Contradictions of one kind that are named.
const EXAMPLES_MAX: usize = 5;

/// What was checked.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Check by check.
    pub checks: Vec<Check>,
}

/// One thing that must hold.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// What was looked at and must hold.
    pub what: &'static str,
    /// How many were looked at.
    pub checked: i64,
    /// How many of them are wrong.
    pub problems: i64,
    /// The first of those, in words.
    pub examples: Vec<String>,
}

impl Check {
    fn new(what: &'static str) -> Self {
        Self { what, checked: 0, problems: 0, examples: Vec::new() }
    }

    fn wrong(&mut self, words: impl FnOnce() -> String) {
        self.problems += 1;
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(words());
        }
    }
}

impl Report {
    /// How many contradictions there are.
    pub fn problems(&self) -> i64 {
        self.checks.iter().map(|check| check.problems).sum()
    }

    /// Whether there are none.
    pub fn is_sound(&self) -> bool {
        self.problems() == 0
    }
}

/// Checks the whole journal.
pub fn verify(connection: &Connection) -> Result<Report, JournalError> {
    let mut report = Report::default();
    let mut check = Check::new("pages of the file");
    check.checked = connection.query_row("PRAGMA page_count", [], |row| row.get(0))?;
    report.checks.push(check);
    Ok(report)
}
