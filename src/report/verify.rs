//! The journal's health in words.

use super::ReportError;
use crate::journal::verify::Report;
use crate::words::escape::escape_terminal;
use crate::words::format::{number, wrapped};
use std::io::Write;
use std::path::Path;

/// Writes what was checked, and what is wrong.
pub fn write_words(out: &mut dyn Write, width: usize, journal: &Path, report: &Report) -> Result<(), ReportError> {
    for check in &report.checks {
        let mark = if check.problems == 0 { "ok   " } else { "WRONG" };
        let first = format!("{mark}  {:>12}  ", number(check.checked));
        wrapped(out, width, &first, 21.min(width / 3), check.what)?;
        for example in &check.examples {
            wrapped(out, width, "         ", 9, &escape_terminal(example))?;
        }
        let more = check.problems - check.examples.len() as i64;
        if more > 0 {
            writeln!(out, "         and {} more", number(more))?;
        }
    }
    for name in &report.changing {
        let words =
            format!("{}: the counts were not compared, since a sender changed them meanwhile", escape_terminal(name));
        wrapped(out, width, "", 2, &words)?;
    }
    let journal = journal.to_string_lossy();
    let verdict = match report.problems() {
        0 => "agrees with itself".to_owned(),
        1 => "contradicts itself in 1 point".to_owned(),
        n => format!("contradicts itself in {} points", number(n)),
    };
    wrapped(out, width, "", 0, &format!("The journal {} {verdict}.", escape_terminal(&journal)))?;
    Ok(())
}
