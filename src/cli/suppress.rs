//! `suppress`: the list of numbers that are never sent to.

use super::CliError;
use crate::address::Destination;
use crate::escape::{csv_cell, escape_terminal};
use crate::journal::suppression::{self, Suppressed};
use crate::journal::{self, JournalError, open_or_create};
use crate::progress::Display;
use crate::report::text::count;
use clap::{Args, Subcommand, ValueEnum};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// `suppress`.
#[derive(Debug, Args)]
pub struct SuppressArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Put numbers on the list; a running sender takes back what it has not written to them yet
    Add {
        /// The numbers, in international format
        #[arg(required = true)]
        numbers: Vec<String>,
        /// Why
        #[arg(long, default_value = "added by the operator")]
        reason: String,
    },
    /// Take numbers off the list; messages that were skipped because of it stay skipped
    Remove {
        /// The numbers
        #[arg(required = true)]
        numbers: Vec<String>,
    },
    /// Show the list
    List {
        /// How to show it
        #[arg(long, value_enum, default_value_t = ListFormat::Table)]
        format: ListFormat,
        /// CSV cells as they are, even if a spreadsheet would run them as formulas
        #[arg(long)]
        raw: bool,
    },
    /// Put the numbers of a file on the list: one a line, or a CSV file with a header
    Import {
        /// The file
        file: PathBuf,
        /// The column of the numbers, where there is a header
        #[arg(long, value_name = "COLUMN", default_value = "to")]
        column: String,
        /// Why
        #[arg(long, value_name = "REASON")]
        reason: Option<String>,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum ListFormat {
    Table,
    Csv,
    Json,
}

impl SuppressArgs {
    /// Whether it does more than show the list.
    pub fn changes_list(&self) -> bool {
        !matches!(self.action, Action::List { .. })
    }
}

/// Runs the command.
pub fn suppress(args: &SuppressArgs, journal: &Path, out: &mut dyn Write) -> Result<(), CliError> {
    let display = Display::new();
    let at = |error: JournalError| error.at(journal);
    match &args.action {
        Action::Add { numbers, reason } => {
            let numbers = parsed(numbers)?;
            let connection = open_or_create(journal)?;
            let added = suppression::add_all(&connection, numbers.iter().copied(), reason).map_err(at)?;
            say_added(&display, added, numbers.len());
            hint(&display, numbers.iter().copied());
        }
        Action::Remove { numbers } => {
            let numbers = parsed(numbers)?;
            let connection = journal::open_existing(journal)?;
            let removed = suppression::remove_all(&connection, numbers.iter().copied()).map_err(at)?;
            let missing = numbers.len() - removed;
            let was = if missing == 1 { "was" } else { "were" };
            display.say(&format!("{} removed, {missing} {was} not there", count(removed as i64, "number")));
        }
        Action::List { format, raw } => list(&journal::open_read_only(journal)?, *format, *raw, out)?,
        Action::Import { file, column, reason } => {
            let (numbers, bad) = read(file, column)?;
            let name = file.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
            let reason = reason.clone().unwrap_or_else(|| format!("imported from {name}"));
            let connection = open_or_create(journal)?;
            let numbers = numbers.iter().filter_map(|number| Destination::parse(number).ok());
            let added = suppression::add_all(&connection, numbers.clone(), &reason).map_err(at)?;
            say_added(&display, added, numbers.clone().count());
            hint(&display, numbers);
            if !bad.is_empty() {
                let lines: Vec<String> = bad.iter().take(10).map(ToString::to_string).collect();
                let more = if bad.len() > 10 { ", ..." } else { "" };
                let lines = lines.join(", ");
                let (hold, was) = if bad.len() == 1 { ("holds", "was") } else { ("hold", "were") };
                let bad = count(bad.len() as i64, "line");
                display.say(&format!("{bad} {hold} no number and {was} left out: {lines}{more}"));
            }
        }
    }
    Ok(())
}

fn say_added(display: &Display, added: usize, all: usize) {
    let there = all - added;
    let was = if there == 1 { "was" } else { "were" };
    display.say(&format!("{} added, {there} {was} there already", count(added as i64, "number")));
}

/// Says how numbers stand on the list that were not typed in international format.
fn hint<'n>(display: &Display, numbers: impl Iterator<Item = Destination<'n>>) {
    let (mut shortened, mut national) = (Vec::new(), Vec::new());
    for number in numbers {
        if number.international() != number.digits() {
            shortened.push(number);
        }
        if number.looks_national() {
            national.push(number);
        }
    }
    if let [first, ..] = shortened[..] {
        let (shown, digits) = (count(shortened.len() as i64, "number"), first.digits());
        let (stand, start) = if shortened.len() == 1 { ("stands", "starts") } else { ("stand", "start") };
        let list = first.international();
        display.say(&format!(
            "{shown} that {start} with 00 {stand} on the list without it, as {list} for {digits}: either writing in a \
             campaign is left out"
        ));
    }
    if let [first, ..] = national[..] {
        let shown = count(national.len() as i64, "number");
        let start = if national.len() == 1 { "starts" } else { "start" };
        display.say(&format!(
            "warning: {shown} {start} with 0 ({}): the same number with its country code is still sent to; add it in \
             international format, too",
            first.digits()
        ));
    }
}

fn parsed(numbers: &[String]) -> Result<Vec<Destination<'_>>, CliError> {
    let parse = |number| Destination::parse(number).map_err(|error| CliError::Usage(format!("{number}: {error}")));
    numbers.iter().map(|number| parse(number.as_str())).collect()
}

/// The numbers of a file, and the lines that hold none.
fn read(path: &Path, column: &str) -> Result<(Vec<String>, Vec<u64>), CliError> {
    let at = |error: &dyn std::fmt::Display| CliError::Words(format!("{}: {error}", path.display()));
    let file = File::open(path).map_err(|error| at(&error))?;
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(file);
    let (mut numbers, mut bad) = (Vec::new(), Vec::new());
    let mut place = 0;
    for (n, record) in reader.records().enumerate() {
        let record = record.map_err(|error| at(&error))?;
        let first = record.get(0).unwrap_or_default().trim_start_matches('\u{feff}');
        if n == 0 && Destination::parse(first).is_err() {
            let names = record.iter().map(|name| name.trim().trim_start_matches('\u{feff}').trim());
            match names.clone().position(|name| name == column) {
                Some(at) => place = at,
                // Where there is but one column any word may stand above it; what has a digit is meant as a number.
                None if record.len() == 1 && first.contains(|c: char| c.is_ascii_digit()) => {
                    bad.push(record.position().map_or(0, csv::Position::line));
                }
                None if record.len() == 1 => {}
                None => {
                    let names: Vec<&str> = names.collect();
                    let words = format!("no column {column:?}; there are: {}", names.join(", "));
                    return Err(at(&words));
                }
            }
            continue;
        }
        let cell = record.get(place).unwrap_or_default().trim_start_matches('\u{feff}');
        match Destination::parse(cell) {
            Ok(number) => numbers.push(number.digits().to_owned()),
            Err(_) => bad.push(record.position().map_or(0, csv::Position::line)),
        }
    }
    Ok((numbers, bad))
}

fn list(connection: &rusqlite::Connection, format: ListFormat, raw: bool, out: &mut dyn Write) -> Result<(), CliError> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    let mut all = Vec::new();
    let mut headed = false;
    suppression::list(connection, |row: Suppressed| -> Result<(), CliError> {
        let since =
            jiff::Timestamp::from_millisecond(row.added_at).map_or_else(|_| String::new(), |at| format!("{at:.3}"));
        match format {
            ListFormat::Table => {
                if !headed {
                    writeln!(out, "{:<17}{:<21}reason", "number", "since (UTC)")?;
                    headed = true;
                }
                let since = since.get(..19).unwrap_or(&since).replace('T', " ");
                writeln!(out, "{:<17}{since:<21}{}", row.number, escape_terminal(&row.reason))?;
            }
            ListFormat::Csv => {
                let reason = if raw { row.reason.as_str().into() } else { csv_cell(&row.reason) };
                csv.write_record([row.number.as_str(), &since, &reason]).map_err(io::Error::other)?;
            }
            ListFormat::Json => all.push(serde_json::json!({
                "number": row.number, "added_at": since, "reason": row.reason,
            })),
        }
        Ok(())
    })?;
    match format {
        ListFormat::Table => {}
        ListFormat::Csv => {
            writeln!(out, "number,added_at,reason")?;
            out.write_all(&csv.into_inner().map_err(|error| io::Error::other(error.to_string()))?)?;
        }
        ListFormat::Json => writeln!(out, "{}", serde_json::Value::Array(all))?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f38_numbers_come_one_a_line_or_in_a_column() {
        let folder = tempfile::tempdir().unwrap();
        let check = |text: &str, numbers: &[&str], bad: &[u64]| {
            let path = folder.path().join("numbers");
            std::fs::write(&path, text).unwrap();
            let (found, lines) = read(&path, "to").unwrap();
            assert_eq!((found.as_slice(), lines.as_slice()), (numbers.map_owned().as_slice(), bad), "{text:?}");
        };
        check("491700000001\n+491700000002\n", &["491700000001", "491700000002"], &[]);
        check("\u{feff}491700000001\nx\n", &["491700000001"], &[2]);
        check("number\n491700000001\n", &["491700000001"], &[]);
        check("to\n491700000001\n", &["491700000001"], &[]);
        check("4.47701E+11\n491700000001\n", &["491700000001"], &[1]);
        check("\u{feff}12\n491700000001\n1\n", &["491700000001"], &[1, 3]);
        check("name,to\nAnna,491700000001\nBert,\n", &["491700000001"], &[3]);
        let path = folder.path().join("other");
        std::fs::write(&path, "name,phone\nAnna,491700000001\n").unwrap();
        assert!(read(&path, "to").unwrap_err().to_string().contains("phone"));
    }

    #[test]
    fn f38_every_writing_of_a_number_is_suppressed() {
        let folder = tempfile::tempdir().unwrap();
        let journal = folder.path().join("journal.db");
        let run = |action| suppress(&SuppressArgs { action }, &journal, &mut Vec::new()).unwrap();
        let numbers = |numbers: &[&str]| numbers.map_owned();
        let list = || {
            let mut all = Vec::new();
            let connection = journal::open_read_only(&journal).unwrap();
            let each = |row: Suppressed| -> Result<(), JournalError> {
                all.push(row.number);
                Ok(())
            };
            suppression::list(&connection, each).unwrap();
            all
        };
        run(Action::Add { numbers: numbers(&["00447700900001", "07700900001"]), reason: "asked".into() });
        assert_eq!(list(), ["07700900001", "447700900001"]);
        let set = crate::journal::control::suppressed(&journal::open_read_only(&journal).unwrap()).unwrap();
        for typed in ["447700900001", "+447700900001", "00447700900001", "07700900001"] {
            assert!(set.contains(&Destination::parse(typed).unwrap().same_key()), "{typed}");
        }
        run(Action::Remove { numbers: numbers(&["+00447700900001"]) });
        assert_eq!(list(), ["07700900001"]);
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
        run(Action::Add { numbers: vec!["447700900001".into()], reason: "=1+1".into() });
        let list = |raw| run(Action::List { format: ListFormat::Csv, raw });
        assert!(list(false).ends_with(",'=1+1\n"), "{}", list(false));
        assert!(list(true).ends_with(",=1+1\n"), "{}", list(true));
    }

    trait MapOwned {
        fn map_owned(&self) -> Vec<String>;
    }

    impl MapOwned for &[&str] {
        fn map_owned(&self) -> Vec<String> {
            self.iter().map(|text| (*text).to_owned()).collect()
        }
    }
}
