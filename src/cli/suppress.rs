//! `suppress`: the list of numbers that are never sent to.

mod file;

use super::place::Use;
use super::{CliError, exit};
use crate::journal::store::suppression;
use crate::journal::store::suppression::{Source, Suppressed, Why};
use crate::journal::{self, Journal, open_or_create};
use crate::message::address::{Country, Destination, dialled};
use crate::report::progress::Display;
use crate::words::escape::{csv_cell, escape_terminal};
use crate::words::format::{command, count};
use clap::{Args, Subcommand, ValueEnum};
use file::ImportArgs;
use std::io::{self, Write};
use std::path::Path;

/// Rows of the list that are made into CSV at a time.
const ROWS_PER_PIECE: u64 = 4_096;

/// `suppress`.
#[derive(Debug, Args)]
pub struct SuppressArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Put numbers on the list; a running sender withdraws what it has not written to them yet
    Add {
        /// The numbers, with their country codes, however they are written
        #[arg(required = true)]
        numbers: Vec<String>,
        /// Where numbers without a country code are of, as in GB or DE [default: such numbers are refused]
        #[arg(long, value_name = "CC")]
        country: Option<Country>,
        /// Why
        #[arg(long, default_value = "added by the operator")]
        reason: String,
    },
    /// Take numbers off the list; messages that were skipped because of it stay skipped
    Remove {
        /// The numbers, with their country codes or as the list shows them
        #[arg(required = true)]
        numbers: Vec<String>,
        /// Where numbers without a country code are of, as in GB or DE
        #[arg(long, value_name = "CC")]
        country: Option<Country>,
        /// Why
        #[arg(long, default_value = "removed by the operator")]
        reason: String,
    },
    /// Show the list: each number, since when it stands there, who put it there and why
    List {
        /// How to show it
        #[arg(long, value_enum, default_value_t = ListFormat::Table)]
        format: ListFormat,
        /// CSV cells as they are, even if a spreadsheet would run them as formulas
        #[arg(long)]
        raw: bool,
    },
    /// Put the numbers of a file on the list: one a line, or a column of a CSV file, with or without a header
    ///
    /// Exit code 3: not every line was taken, or a number fits no country. Such lines are listed.
    Import(ImportArgs),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum ListFormat {
    Table,
    Csv,
    Json,
}

impl SuppressArgs {
    /// What it does with the journal.
    pub fn use_of_journal(&self) -> Use {
        match self.action {
            Action::Add { .. } | Action::Import { .. } => Use::Make,
            Action::Remove { .. } => Use::Change,
            Action::List { .. } => Use::Read,
        }
    }
}

/// Runs the command.
pub fn suppress(args: &SuppressArgs, journal: &Path, out: &mut dyn Write) -> Result<u8, CliError> {
    match &args.action {
        Action::Add { numbers, country, reason } => add(numbers, *country, reason, journal),
        Action::Remove { numbers, country, reason } => remove(numbers, *country, reason, journal),
        Action::List { format, raw } => {
            list(&journal::open_read_only(journal)?, *format, *raw, out)?;
            Ok(exit::OK)
        }
        Action::Import(args) => file::import(args, journal),
    }
}

/// All of the numbers, or none where one of them is not taken.
fn add(typed: &[String], country: Option<Country>, reason: &str, journal: &Path) -> Result<u8, CliError> {
    let display = Display::new();
    let read = |number: &String| dialled::read(number, country).map_err(|error| refused(number, &error));
    let numbers = typed.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let opened = open_or_create(journal)?;
    let why = Why { source: Source::Operator, reason };
    let all = numbers.iter().filter_map(|number| Destination::parse(&number.digits).ok());
    let added = suppression::add_all(&opened, all, why).map_err(|error| error.at(journal))?;
    let there = numbers.len() - added;
    let was = if there == 1 { "was" } else { "were" };
    display.say(&format!("{} added, {there} {was} there already", count(added as i64, "number")));
    for number in &numbers {
        if let Some(from) = typed.iter().find(|typed| dialled::read(typed, country).as_ref() == Ok(number))
            && from.trim_start_matches('+') != number.digits
        {
            display.say(&format!("  {} stands there for {}", number.digits, escape_terminal(from)));
        }
    }
    let doubtful: Vec<&str> = numbers.iter().filter(|n| n.is_doubtful).map(|n| n.digits.as_str()).collect();
    if doubtful.is_empty() {
        return Ok(exit::OK);
    }
    display.say(&format!(
        "warning: no country has such numbers: {}: is the country code missing? They are on the list as they are; with \
         --country, as in --country GB, they are read as that country's",
        doubtful.join(", ")
    ));
    Ok(exit::INCOMPLETE)
}

fn remove(typed: &[String], country: Option<Country>, reason: &str, journal: &Path) -> Result<u8, CliError> {
    let display = Display::new();
    let mut numbers = Vec::with_capacity(typed.len());
    for number in typed {
        match dialled::read(number, country) {
            Ok(read) => numbers.push(read.digits),
            // As an older program put it there.
            Err(error) => match Destination::parse(number) {
                Ok(as_it_is) => numbers.push(as_it_is.digits().to_owned()),
                Err(_) => return Err(refused(number, &error)),
            },
        }
    }
    let opened = journal::open_existing(journal)?;
    let why = Why { source: Source::Operator, reason };
    let all = numbers.iter().filter_map(|number| Destination::parse(number).ok());
    let removed = suppression::remove_all(&opened, all, why).map_err(|error| error.at(journal))?;
    let missing = numbers.len() - removed;
    let was = if missing == 1 { "was" } else { "were" };
    display.say(&format!("{} removed, {missing} {was} not there", count(removed as i64, "number")));
    Ok(exit::OK)
}

fn refused(number: &str, error: &dialled::DialledError) -> CliError {
    let hint = match Path::new(number).is_file() {
        true => format!(" (the numbers of a file: {})", command("smppost suppress import", number, "")),
        false => String::new(),
    };
    CliError::Usage(format!("{}: {error}; the list is as it was{hint}", escape_terminal(number)))
}

fn list(opened: &Journal, format: ListFormat, raw: bool, out: &mut dyn Write) -> Result<(), CliError> {
    let mut out = io::BufWriter::new(out);
    let mut csv = csv::Writer::from_writer(Vec::new());
    let mut rows = 0_u64;
    match format {
        ListFormat::Table => {}
        ListFormat::Csv => writeln!(out, "number,added_at,reason,source")?,
        ListFormat::Json => write!(out, "[")?,
    }
    suppression::list(opened, |row: Suppressed| -> Result<(), CliError> {
        let since =
            jiff::Timestamp::from_millisecond(row.added_at).map_or_else(|_| String::new(), |at| format!("{at:.3}"));
        match format {
            ListFormat::Table => {
                if rows == 0 {
                    writeln!(out, "{:<17}{:<21}{:<14}reason", "number", "since (UTC)", "by")?;
                }
                let since = since.get(..19).unwrap_or(&since).replace('T', " ");
                writeln!(out, "{:<17}{since:<21}{:<14}{}", row.number, row.source, escape_terminal(&row.reason))?;
            }
            ListFormat::Csv => {
                let reason = if raw { row.reason.as_str().into() } else { csv_cell(&row.reason) };
                csv.write_record([row.number.as_str(), &since, &reason, row.source]).map_err(io::Error::other)?;
                if rows.is_multiple_of(ROWS_PER_PIECE) {
                    out.write_all(&take(&mut csv)?)?;
                }
            }
            ListFormat::Json => {
                write!(out, "{}", if rows == 0 { "\n" } else { ",\n" })?;
                let row = serde_json::json!({
                    "number": row.number, "added_at": since, "reason": row.reason, "source": row.source,
                });
                write!(out, "{row}")?;
            }
        }
        rows += 1;
        Ok(())
    })?;
    if format == ListFormat::Json {
        writeln!(out, "{}]", if rows == 0 { "" } else { "\n" })?;
    }
    out.write_all(&take(&mut csv)?)?;
    if rows == 0 {
        Display::new().say("no number is on the list");
    }
    out.flush()?;
    Ok(())
}

/// What was made into CSV since the last piece.
fn take(csv: &mut csv::Writer<Vec<u8>>) -> io::Result<Vec<u8>> {
    let made = std::mem::replace(csv, csv::Writer::from_writer(Vec::new()));
    made.into_inner().map_err(|error| io::Error::other(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::JournalError;

    fn numbers(numbers: &[&str]) -> Vec<String> {
        numbers.iter().map(|number| (*number).to_owned()).collect()
    }

    #[test]
    fn f38_every_writing_of_a_number_is_suppressed() {
        let folder = tempfile::tempdir().unwrap();
        let journal = folder.path().join("journal.db");
        let run = |action| suppress(&SuppressArgs { action }, &journal, &mut Vec::new());
        let list = || {
            let mut all = Vec::new();
            let opened = journal::open_read_only(&journal).unwrap();
            let each = |row: Suppressed| -> Result<(), JournalError> {
                all.push(row.number);
                Ok(())
            };
            suppression::list(&opened, each).unwrap();
            all
        };
        let add = |typed: &[&str], country: &str| {
            run(Action::Add { numbers: numbers(typed), country: country.parse().ok(), reason: "asked".into() })
        };
        // A number without its country keeps nobody from a message, so that none of them is taken.
        let error = add(&["447700900003", "07700900001"], "").unwrap_err();
        assert!(error.to_string().contains("--country") && error.exit_code() == exit::USAGE, "{error}");
        assert!(!journal.exists());
        add(&["0044 7700 900001", "07700 900002"], "GB").unwrap();
        assert_eq!(list(), ["447700900001", "447700900002"]);
        let set = crate::journal::store::decisions::suppressed(&journal::open_read_only(&journal).unwrap()).unwrap();
        for typed in ["447700900001", "+447700900001", "00447700900001"] {
            assert!(set.contains(&Destination::parse(typed).unwrap().same_key()), "{typed}");
        }
        let old = rusqlite::Connection::open(&journal).unwrap();
        old.execute("INSERT INTO suppression (destination, added_at, reason) VALUES ('07700900001', 0, '')", [])
            .unwrap();
        for typed in ["+00447700900001", "07700900001", "447700900002"] {
            run(Action::Remove { numbers: numbers(&[typed]), country: None, reason: String::new() }).unwrap();
        }
        assert!(list().is_empty(), "{:?}", list());
    }

    #[test]
    fn f52_reasons_are_neutralised_unless_raw() {
        let folder = tempfile::tempdir().unwrap();
        let journal = folder.path().join("journal.db");
        let run = |action| {
            let mut out = Vec::new();
            suppress(&SuppressArgs { action }, &journal, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        run(Action::Add { numbers: numbers(&["447700900001"]), country: None, reason: "=1+1".into() });
        let list = |raw| run(Action::List { format: ListFormat::Csv, raw });
        assert!(list(false).ends_with(",'=1+1,operator\n"), "{}", list(false));
        assert!(list(true).ends_with(",=1+1,operator\n"), "{}", list(true));
    }
}
