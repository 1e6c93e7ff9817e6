//! `smppost find`: every message to a number, whatever its campaign, and what became of it.

use super::report::buffered;
use crate::journal::open_read_only;
use crate::journal::query::{self, MessageRow};
use crate::message::address::Destination;
use crate::report::rows::{Format, Record, Rows};
use crate::report::{Exit, ReportError};
use crate::words::format;
use serde::Serialize;
use std::io::Write;
use std::path::Path;

/// Arguments of `smppost find`.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct FindArgs {
    /// The number, with its country code; + or 00 in front, spaces and dashes do not matter
    #[arg(value_name = "NUMBER", allow_hyphen_values = true)]
    pub number: String,
    /// How to show it
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// CSV cells as they are, even if a spreadsheet would run them as formulas
    #[arg(long)]
    pub raw: bool,
}

/// A message to the number: the columns of `message_status`, of which a table shows what differs between them.
#[derive(Serialize)]
#[serde(transparent)]
struct Found<'a>(&'a MessageRow);

impl Record for Found<'_> {
    const COLUMNS: &'static [&'static str] = MessageRow::COLUMNS;
    const TABLE: &'static [usize] = &[0, 1, 7, 12, 14, 10, 4];

    fn cell(&self, column: usize, to: &mut String) {
        self.0.cell(column, to);
    }

    fn shown(&self, column: usize, to: &mut String) {
        self.0.shown(column, to);
    }
}

impl FindArgs {
    /// Shows the messages to the number.
    pub fn run(&self, journal: &Path, out: &mut dyn Write) -> Result<Exit, ReportError> {
        let digits: String = self.number.chars().filter(|c| !c.is_whitespace() && *c != '-').collect();
        let number = Destination::parse(&digits)
            .map_err(|error| ReportError::Usage(format!("{:?} is no number: {error}", self.number)))?;
        buffered(out, |out| {
            let connection = open_read_only(journal)?;
            let mut rows = Rows::begin::<Found<'_>>(out, self.format, self.raw, format::width())?;
            query::messages_to(&connection, number.same_key(), |row| rows.add(&Found(row)))?;
            let nothing = format!("no message to {} in this journal", number.international());
            rows.end::<Found<'_>>(&nothing)?;
            Ok(Exit::Done)
        })
    }
}
