//! Rows of a kind: how many there are, and where the first of them stand.

use crate::words::format::number;

/// Lines that are kept.
const LINES_SHOWN: usize = 10;

/// Rows of a kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// How many.
    pub count: u64,
    /// The lines of the first ten.
    pub lines: Vec<u64>,
}

impl Rows {
    /// One more.
    pub(super) fn note(&mut self, line: u64) {
        self.count += 1;
        if self.lines.len() < LINES_SHOWN {
            self.lines.push(line);
        }
    }

    /// As in `lines 4, 7, …`.
    pub fn shown(&self) -> String {
        let lines: Vec<String> = self.lines.iter().map(ToString::to_string).collect();
        let more = if (self.lines.len() as u64) < self.count { ", …" } else { "" };
        format!("line{} {}{more}", if self.count == 1 { "" } else { "s" }, lines.join(", "))
    }

    /// As in `12 (lines 4, 7, …)`.
    pub fn words(&self) -> String {
        format!("{} ({})", number(self.count as i64), self.shown())
    }
}
