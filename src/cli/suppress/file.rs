//! `suppress import`: a file of numbers, line by line. What is taken is committed in bounded transactions, so that a list of
//! any length goes in while a sender runs, and one that is cut short is simply imported again.

use crate::cli::campaign::delimiter;
use crate::cli::{CliError, exit};
use crate::import::campaign::open_or_stdin;
use crate::import::{Entry, FileEncoding, ImportError, ListReader, ListSettings};
use crate::journal::store::suppression;
use crate::journal::store::suppression::{Source, Why};
use crate::journal::{Journal, open_or_create};
use crate::message::address::{Country, Destination};
use crate::report::progress::Display;
use crate::words::escape::{escape_terminal, name_value};
use crate::words::format::{argument, count};
use crate::words::trouble::words as cannot_open;
use clap::Args;
use std::fs::{File, Permissions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Numbers that one transaction puts on the list.
const NUMBERS_PER_TRANSACTION: usize = 10_000;
/// Lines that are shown each.
const LINES_SHOWN: usize = 10;

/// `suppress import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The file: a list or table of numbers, CSV, also packed by gzip or zstd, .xlsx or .ods; - is standard input
    file: PathBuf,
    /// The column of the numbers: its name, or its place from 1 [default: the one that is called so, or has one in the first
    /// line]
    #[arg(long, alias = "to-column", value_name = "COLUMN")]
    column: Option<String>,
    /// Where numbers without a country code are of, as in GB or DE [default: such lines are not taken]
    #[arg(long, value_name = "CC")]
    country: Option<Country>,
    /// The delimiter: an ASCII character, or `tab` [default: as the first line shows]
    #[arg(long, value_name = "CHARACTER", value_parser = delimiter)]
    delimiter: Option<u8>,
    /// The characters of the file, as in utf-8, windows-1252 or utf-16 [default: found out]
    #[arg(long, value_name = "NAME")]
    encoding: Option<FileEncoding>,
    /// The sheet of a spreadsheet: its name, or its place from 1 [default: the first that is shown]
    #[arg(long, value_name = "SHEET")]
    sheet: Option<String>,
    /// Write the lines that were not taken to this file (mode 600), as they came, below the header
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
    /// Why
    #[arg(long, value_name = "REASON")]
    reason: Option<String>,
}

/// What became of a file so far.
#[derive(Default)]
struct Tally {
    read: u64,
    added: u64,
    refused: Lines,
    doubtful: Lines,
    /// The last line of what is committed.
    line: u64,
}

/// Lines of one kind, the first of them to be shown.
#[derive(Default)]
struct Lines {
    all: u64,
    shown: Vec<String>,
}

impl Lines {
    fn note(&mut self, words: impl FnOnce() -> String) {
        self.all += 1;
        if self.shown.len() < LINES_SHOWN {
            self.shown.push(words());
        }
    }

    fn say(&self, display: &Display) {
        for line in &self.shown {
            display.must_say(&format!("    {line}"));
        }
        let more = self.all - self.shown.len() as u64;
        if more > 0 {
            display.must_say(&format!("    and {} more", many(more, "line")));
        }
    }
}

/// Puts the numbers of a file on the list.
pub fn import(args: &ImportArgs, journal: &Path) -> Result<u8, CliError> {
    let display = Display::new();
    let shown = escape_terminal(&args.file.to_string_lossy()).into_owned();
    let failed = |error: ImportError| CliError::Words(format!("{shown}: {error}"));
    let file =
        open_or_stdin(&args.file).map_err(|error| CliError::Words(format!("{shown}: {}", cannot_open(&error))))?;
    let mut rejects = args.rejects.as_deref().map(|path| Rejects::create(path, &file)).transpose()?;
    let settings = ListSettings {
        delimiter: args.delimiter,
        encoding: args.encoding,
        sheet: args.sheet.clone(),
        column: args.column.clone(),
        country: args.country,
    };
    let mut reader = ListReader::open(file, &settings).map_err(failed)?;
    if let (Some(rejects), Some(header)) = (&mut rejects, reader.header()) {
        rejects.write(header)?;
    }
    let column = match reader.column() {
        Ok(name) => format!("column `{}`", name_value(name)),
        Err(1) => "no header".to_owned(),
        Err(place) => format!("no header, column {place}"),
    };
    let name = args.file.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let reason = args.reason.clone().unwrap_or_else(|| format!("imported from {name}"));
    let interrupt = crate::platform::signals::interrupts()?;
    let mut connection = None;
    let mut tally = Tally::default();
    let mut batch = Vec::with_capacity(NUMBERS_PER_TRANSACTION);
    let mut store = |batch: &mut Vec<String>, tally: &mut Tally| -> Result<(), CliError> {
        let connection: &Journal = match &mut connection {
            Some(connection) => connection,
            none => none.insert(open_or_create(journal)?),
        };
        let why = Why { source: Source::File, reason: &reason };
        let numbers = batch.iter().filter_map(|digits| Destination::parse(digits).ok());
        tally.added += suppression::add_all(connection, numbers, why).map_err(|error| error.at(journal))? as u64;
        tally.read += batch.len() as u64;
        batch.clear();
        Ok(())
    };
    let mut is_interrupted = false;
    let mut line = 0;
    let ended = loop {
        match reader.next() {
            Ok(None) => break Ok(()),
            Err(error) => break Err(failed(error)),
            Ok(Some(Entry::Number { line: at, number, typed })) => {
                if number.is_doubtful {
                    tally.doubtful.note(|| format!("line {at}: {}", name_value(typed)));
                }
                batch.push(number.digits);
                line = at;
            }
            Ok(Some(Entry::Refused { line: at, reason, row })) => {
                tally.refused.note(|| format!("line {at}: {}: {reason}", name_value(row)));
                if let Some(rejects) = &mut rejects {
                    rejects.write(row)?;
                }
                line = at;
            }
        }
        if batch.len() == NUMBERS_PER_TRANSACTION {
            store(&mut batch, &mut tally)?;
            tally.line = line;
            display.importing(reader.rows());
            if interrupt.try_recv().is_ok() {
                is_interrupted = true;
                break Ok(());
            }
        }
    };
    if !batch.is_empty() {
        store(&mut batch, &mut tally)?;
        tally.line = line;
    }
    if let Some(rejects) = rejects {
        rejects.finish()?;
    }
    display.clear();
    display.say(&format!(
        "{shown}: {column}: {} read: {} added, {} there already",
        many(tally.read, "number"),
        crate::words::format::number(tally.added as i64),
        crate::words::format::number((tally.read - tally.added) as i64)
    ));
    tally.say(args, &display);
    if let Err(error) = ended {
        let rest = "what was read before that is on the list: correct the file and import it again, numbers that are there \
                    already do no harm";
        return Err(if tally.read > 0 { CliError::Words(format!("{error}; {rest}")) } else { error });
    }
    if is_interrupted {
        display.must_say(&format!(
            "interrupted after line {}: the rest of the file is NOT on the list; import it again, numbers that are there \
             already do no harm",
            tally.line
        ));
        return Ok(exit::INTERRUPTED);
    }
    Ok(if tally.refused.all + tally.doubtful.all > 0 { exit::INCOMPLETE } else { exit::OK })
}

impl Tally {
    /// What is left to be done by the operator.
    fn say(&self, args: &ImportArgs, display: &Display) {
        if self.refused.all > 0 {
            let (was, them) = if self.refused.all == 1 { ("was", "it") } else { ("were", "them") };
            display.must_say(&format!(
                "  {} {was} NOT taken, and whoever {them} may mean is still sent to:",
                many(self.refused.all, "line")
            ));
            self.refused.say(display);
            match &args.rejects {
                Some(file) => {
                    let file = argument(&file.to_string_lossy());
                    display.must_say(&format!(
                        "  {them} stand in {file}: correct {them} there, then `smppost suppress import {file}`"
                    ));
                }
                None => display
                    .must_say(&format!("  --rejects FILE writes {them} out; once they are corrected, import them")),
            }
        }
        if self.doubtful.all > 0 {
            display.must_say(&format!(
                "  {} fit no country's numbering plan and stand on the list as they are: is the country code missing? With \
                 --country, as in --country GB, they are read as that country's:",
                many(self.doubtful.all, "number")
            ));
            self.doubtful.say(display);
        }
    }
}

/// The file for what was not taken.
struct Rejects {
    path: PathBuf,
    file: BufWriter<File>,
}

impl Rejects {
    /// Begins it anew, readable by nobody else. `list`: what is read, which must not be written over.
    fn create(path: &Path, list: &File) -> Result<Rejects, CliError> {
        let failed = |error: std::io::Error| Self::failed(path, &error);
        if let (Ok(there), Ok(list)) = (std::fs::metadata(path), list.metadata())
            && (there.dev(), there.ino()) == (list.dev(), list.ino())
        {
            return Err(CliError::Usage("--rejects: this is the list itself: name another file".into()));
        }
        let mut how = File::options();
        let file = how.write(true).create(true).truncate(true).mode(0o600).open(path).map_err(failed)?;
        if file.metadata().is_ok_and(|meta| meta.is_file()) {
            file.set_permissions(Permissions::from_mode(0o600)).map_err(failed)?;
        }
        Ok(Rejects { path: path.to_owned(), file: BufWriter::new(file) })
    }

    fn write(&mut self, row: &str) -> Result<(), CliError> {
        writeln!(self.file, "{row}").map_err(|error| Self::failed(&self.path, &error))
    }

    fn finish(mut self) -> Result<(), CliError> {
        self.file.flush().map_err(|error| Self::failed(&self.path, &error))
    }

    fn failed(path: &Path, error: &std::io::Error) -> CliError {
        let path = escape_terminal(&path.to_string_lossy()).into_owned();
        CliError::Words(format!("--rejects {path}: cannot be written: {error}"))
    }
}

fn many(n: u64, what: &str) -> String {
    count(i64::try_from(n).unwrap_or(i64::MAX), what)
}
