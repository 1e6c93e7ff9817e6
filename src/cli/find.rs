//! `smppost find`: every message to a number, whatever its campaign, and what became of it.

use super::report::buffered;
use crate::journal::open_read_only;
use crate::journal::query::{self, MessageRow};
use crate::message::address::dialled::{self, DialledError};
use crate::message::address::{Country, Destination};
use crate::report::rows::{Format, Record, Rows};
use crate::report::{Exit, ReportError};
use crate::words::format;
use serde::Serialize;
use std::io::Write;
use std::path::Path;

/// Arguments of `smppost find`.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct FindArgs {
    /// The number, with its country code or by --country, however it is written
    #[arg(value_name = "NUMBER", allow_hyphen_values = true)]
    pub number: String,
    /// Where numbers without a country code are of, as in GB or DE [default: such a number is looked for as it is]
    #[arg(long, value_name = "COUNTRY")]
    pub country: Option<Country>,
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
        let usage =
            |error: &dyn std::fmt::Display| ReportError::Usage(format!("{:?} is no number: {error}", self.number));
        let digits = match (dialled::read(&self.number, self.country), self.country) {
            (Ok(read), _) => read.digits,
            // With --numbers any it was sent to as it is.
            (Err(DialledError::National), None) => dialled::digits(&self.number).map_err(|error| usage(&error))?,
            (Err(error), _) => return Err(usage(&error)),
        };
        let number = Destination::parse(&digits).map_err(|error| usage(&error))?;
        buffered(out, |out| {
            let opened = open_read_only(journal)?;
            let mut rows = Rows::begin::<Found<'_>>(out, self.format, self.raw, format::width())?;
            query::messages_to(&opened, number.same_key(), |row| rows.add(&Found(row)))?;
            let is_national = self.country.is_none() && number.looks_national();
            let cure = if is_national { "; --country, as in --country GB, reads it as that country's" } else { "" };
            let nothing = format!("no message to {} in this journal{cure}", number.international());
            rows.end::<Found<'_>>(&nothing)?;
            Ok(Exit::Done)
        })
    }
}
