//! The header of a campaign's file: the first line that has the columns that are needed, titles above it passed over.

mod aliases;

use std::io::Read;

use super::error::ImportError;
use super::reader::{Settings, TextSource};
use super::records::Records;
use crate::message::address::Destination;
use crate::message::template::{Found, find_column};
use crate::words::names;
pub(super) use aliases::{Kind, columns_of};

/// Delimiters that are looked for in a header, the likelier first.
pub(super) const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];
/// Lines that are not empty among which the header is looked for.
const LINES_LOOKED_AT: usize = 25;
/// A column of octets, in hexadecimal.
pub(super) const HEX_COLUMN: &str = "hex";
/// The columns that are meant where nothing else is said; for these alone other names are taken.
const TO: &str = "to";
const TEXT: &str = "text";

/// The header that a file has.
pub(super) struct Header {
    /// The names of the columns, trimmed.
    pub names: Vec<String>,
    /// As it was written, without its line end.
    pub row: String,
    /// The line on which it stands.
    pub line: u64,
    /// Whether something stands above it.
    pub is_below_titles: bool,
}

/// Which column is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Column {
    /// This one.
    One(usize),
    /// Nobody can say which of these: they have the name that was asked for.
    SeveralOfName,
    /// Nobody can say which of these: each is called as such columns are.
    SeveralOfKind(Vec<usize>),
    None,
}

/// Finds a column by the name that was asked for; where that is the default, by what such columns are called, too.
pub(super) fn find<S: AsRef<str>>(header: &[S], wanted: &str, kind: Kind) -> Column {
    match find_column(header, wanted) {
        Found::One(column) => return Column::One(column),
        Found::Several => return Column::SeveralOfName,
        Found::None => {}
    }
    let default = match kind {
        Kind::Numbers => TO,
        Kind::Texts => TEXT,
    };
    if wanted != default {
        return Column::None;
    }
    match columns_of(kind, header)[..] {
        [] => Column::None,
        [column] => Column::One(column),
        ref columns => Column::SeveralOfKind(columns.to_vec()),
    }
}

/// Finds a column that is needed.
pub(super) fn needed(header: &[String], wanted: &str, kind: Kind) -> Result<usize, ImportError> {
    let (cure, option) = match kind {
        Kind::Numbers => ("add it, or name the one with the numbers by --to-column", "--to-column"),
        Kind::Texts => ("add it, or give the text by --text or its column by --text-column", "--text-column"),
    };
    match find(header, wanted, kind) {
        Column::One(index) => Ok(index),
        Column::SeveralOfName => Err(ImportError::AmbiguousColumn(wanted.to_owned())),
        Column::SeveralOfKind(columns) => Err(ImportError::SeveralColumns {
            what: if kind == Kind::Numbers { "the numbers" } else { "the texts" },
            option,
            columns: columns.into_iter().map(|column| header[column].clone()).collect(),
        }),
        Column::None => Err(ImportError::NoColumn {
            column: wanted.to_owned(),
            cure,
            columns: header.to_vec(),
            meant: names::meant(wanted, header.iter().map(String::as_str)).map(str::to_owned),
            looks_like_a_row: header.iter().any(|name| Destination::parse(name).is_ok()),
        }),
    }
}

/// Whether a header without the column of texts that is wanted has one of octets in its place. Whoever names a column means it.
pub(super) fn has_octets_alone<S: AsRef<str>>(names: &[S], texts: &str) -> bool {
    texts == TEXT && find_column(names, HEX_COLUMN) != Found::None
}

/// What a line has of a header: the columns of the numbers and of the texts, by how sure they are, and how many there are.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Worth {
    numbers: bool,
    texts: bool,
    columns: usize,
}

impl Worth {
    fn of<S: AsRef<str>>(names: &[S], settings: &Settings) -> Worth {
        let texts = match &settings.text {
            // A file may have octets alone.
            TextSource::Column(column) => {
                find(names, column, Kind::Texts) != Column::None || has_octets_alone(names, column)
            }
            TextSource::Template(_) => true,
        };
        Worth { numbers: find(names, &settings.to_column, Kind::Numbers) != Column::None, texts, columns: names.len() }
    }

    fn is_header(self) -> bool {
        self.numbers && self.texts
    }
}

/// Finds the header, and the delimiter where it was not given. Where no line has all that is needed, the likeliest one says
/// what is missing.
pub(super) fn read<R: Read>(mut records: Records<R>, settings: &Settings) -> Result<(Records<R>, Header), ImportError> {
    let delimiters = delimiters(&mut records, settings.delimiter)?;
    let mut likeliest: Option<(Worth, Header)> = None;
    for nth in 0..LINES_LOOKED_AT {
        let worth_of = |names: &[&str]| Worth::of(names, settings);
        let found;
        (records, found) = match best_delimiter(records, &delimiters, &worth_of) {
            Ok(found) => found,
            Err(error) if nth == 0 => return Err(error),
            // Rows by now, and not what is looked for.
            Err(_) => return Err(refusal(likeliest, settings)),
        };
        let Some(worth) = found else { break };
        let names = (0..records.len()).map(|n| clean(records.field(n).unwrap_or_default())).collect();
        let header = Header { names, row: records.raw().to_owned(), line: records.line(), is_below_titles: nth > 0 };
        if worth.is_header() {
            return Ok((records, header));
        }
        if likeliest.as_ref().is_none_or(|(known, _)| !known.numbers && worth.numbers) {
            likeliest = Some((worth, header));
        }
        // On to the next line, from whose start all delimiters are tried again.
        if !matches!(records.advance(), Ok(true)) {
            break;
        }
    }
    Err(refusal(likeliest, settings))
}

/// What is missing in the line that is most like a header.
fn refusal(likeliest: Option<(Worth, Header)>, settings: &Settings) -> ImportError {
    let Some((_, Header { names, .. })) = likeliest else { return ImportError::Empty };
    let texts = match &settings.text {
        TextSource::Column(column) => needed(&names, column, Kind::Texts).err(),
        TextSource::Template(_) => None,
    };
    needed(&names, &settings.to_column, Kind::Numbers).err().or(texts).unwrap_or(ImportError::HeaderOnly)
}

/// The delimiters that may be meant, at the start of a file.
fn delimiters<R: Read>(records: &mut Records<R>, given: Option<u8>) -> Result<Vec<u8>, ImportError> {
    let named = records.take_sep_line()?;
    Ok(match given.or(named) {
        // The text of a sheet is made here.
        _ if records.sheet().is_some() => vec![b','],
        Some(delimiter) => vec![delimiter],
        None => DELIMITERS.to_vec(),
    })
}

/// A name of a column without what surrounds it.
fn clean(name: &str) -> String {
    name.trim_matches(|c: char| c.is_whitespace() || names::is_invisible(c)).to_owned()
}

/// Reads the record at hand by the delimiter under which it is worth most, and says what it is worth; `None` at the end.
fn best_delimiter<R: Read, W: Ord + Copy>(
    mut records: Records<R>,
    delimiters: &[u8],
    worth_of: &dyn Fn(&[&str]) -> W,
) -> Result<(Records<R>, Option<W>), ImportError> {
    let mut best: Option<(W, usize, u8)> = None;
    let mut failed = None;
    for &delimiter in delimiters {
        records = records.again_with(delimiter);
        match records.advance() {
            Ok(true) => {}
            Ok(false) => return Ok((records, None)),
            // Quotes that make no sense under this delimiter may make sense under the next.
            Err(error @ (ImportError::UnclosedQuote { .. } | ImportError::RowTooLong { .. })) => {
                failed = Some(error);
                continue;
            }
            Err(error) => return Err(error),
        }
        let names: Vec<&str> = (0..records.len()).map(|n| records.field(n).unwrap_or_default().trim()).collect();
        let worth = worth_of(&names);
        if best.is_none_or(|(known, ..)| worth > known) {
            best = Some((worth, names.len(), delimiter));
        }
    }
    match (best, failed) {
        (Some((_, columns, _)), Some(error)) if columns <= 1 => Err(error),
        (None, Some(error)) => Err(error),
        (Some((worth, _, delimiter)), _) => {
            records = records.again_with(delimiter);
            records.advance()?;
            Ok((records, Some(worth)))
        }
        (None, None) => Ok((records, None)),
    }
}

/// Reads the first line of a list of numbers by the delimiter under which it has a column of that name or, failing that, the
/// most columns.
pub(super) fn first_of_list<R: Read>(
    records: Records<R>,
    delimiter: Option<u8>,
    column: &str,
) -> Result<Option<Records<R>>, ImportError> {
    let mut records = records;
    let delimiters = delimiters(&mut records, delimiter)?;
    let worth_of = |names: &[&str]| (find(names, column, Kind::Numbers) != Column::None, names.len());
    let (records, found) = best_delimiter(records, &delimiters, &worth_of)?;
    Ok(found.map(|_| records))
}
