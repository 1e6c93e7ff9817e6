//! A list of numbers as a stream: an opt-out list from wherever it comes, with or without a header, in any column.
//!
//! It is read as a campaign's file is, and more forgivingly, since each line that is passed over is somebody who asked for
//! no more messages: whatever is not taken is an [`Entry::Refused`].

use std::io::Read;

use super::error::ImportError;
use super::header;
use super::header::{Kind, columns_of};
use super::reader::is_delimiter;
use super::records::Records;
use super::source::{Doubtful, FileEncoding, How};
use crate::message::address::Country;
use crate::message::address::dialled;
use crate::message::address::dialled::{Dialled, DialledError, is_meant_as_number};
use crate::message::template::{Found, find_column};

/// How a list is read.
#[derive(Clone, Debug, Default)]
pub struct ListSettings {
    /// Defaults to the one of `,` `;` tab `|` that the first line shows.
    pub delimiter: Option<u8>,
    /// Defaults to what the file shows; where that cannot be told, of a number every encoding makes the same.
    pub encoding: Option<FileEncoding>,
    /// The sheet of a spreadsheet: its name, or its place from 1. Defaults to the first.
    pub sheet: Option<String>,
    /// The column of the numbers: its name, or its place from 1. Defaults to the one whose name or first value says so.
    pub column: Option<String>,
    /// Where numbers without a country code are of.
    pub country: Option<Country>,
}

/// What a line amounts to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry<'a> {
    /// A number.
    Number {
        /// The physical line, from 1.
        line: u64,
        /// The number.
        number: Dialled,
        /// As it was written.
        typed: &'a str,
    },
    /// None, and there may be one in it.
    Refused {
        /// The physical line, from 1.
        line: u64,
        /// Why not.
        reason: Refusal,
        /// The line as it was written, without its line end.
        row: &'a str,
    },
}

/// Why a line was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// What stands where the number should.
    Number(DialledError),
    /// It ends before the column of the numbers.
    Short,
    /// Text follows a closing quote, so that nobody knows where the field ends.
    StrayQuote,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Refusal::Number(error) => error.fmt(f),
            Refusal::Short => f.write_str("the line ends before the column of the numbers"),
            Refusal::StrayQuote => f.write_str("text follows a closing quote"),
        }
    }
}

/// Reads a list line by line.
pub struct ListReader<R> {
    records: Records<R>,
    header: Option<String>,
    column: usize,
    column_name: Option<String>,
    country: Option<Country>,
    /// The record at hand is the first line, which is no header and was not given out yet.
    first_waits: bool,
    rows: u64,
}

impl<R: Read> ListReader<R> {
    /// Reads the first line and finds the column of the numbers.
    pub fn open(input: R, settings: &ListSettings) -> Result<ListReader<R>, ImportError> {
        if let Some(delimiter) = settings.delimiter.filter(|&delimiter| !is_delimiter(delimiter)) {
            return Err(ImportError::Delimiter(delimiter));
        }
        let how = How {
            encoding: settings.encoding,
            doubtful: Doubtful::Take,
            sheet: settings.sheet.clone(),
            ..How::default()
        };
        let records = Records::new(input, how, b',');
        let column = settings.column.as_deref().unwrap_or("to");
        let first = header::first_of_list(records, settings.delimiter, column).map_err(|error| match error {
            ImportError::Empty => ImportError::EmptyList,
            error => error,
        })?;
        let Some(records) = first else { return Err(ImportError::EmptyList) };
        let cells: Vec<String> = (0..records.len()).map(|n| clean(records.field(n).unwrap_or_default())).collect();
        let (column, is_header) = find(&cells, settings)?;
        Ok(ListReader {
            header: is_header.then(|| records.raw().to_owned()),
            column_name: cells.get(column).filter(|_| is_header).cloned(),
            records,
            column,
            country: settings.country,
            first_waits: !is_header,
            rows: 0,
        })
    }

    /// The first line, where it is a header.
    pub fn header(&self) -> Option<&str> {
        self.header.as_deref()
    }

    /// The name of the column of the numbers, where there is a header; else its place.
    pub fn column(&self) -> Result<&str, usize> {
        self.column_name.as_deref().ok_or(self.column + 1)
    }

    /// Lines read so far that are not empty.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The next line that is not empty; `None` at the end. After an error the reader is of no more use.
    pub fn next(&mut self) -> Result<Option<Entry<'_>>, ImportError> {
        loop {
            if !std::mem::take(&mut self.first_waits) && !self.records.advance()? {
                return if self.rows == 0 { Err(ImportError::NoNumbers) } else { Ok(None) };
            }
            let is_blank = (0..self.records.len()).all(|n| clean(self.records.field(n).unwrap_or_default()).is_empty());
            if !is_blank {
                break;
            }
        }
        self.rows += 1;
        let (line, row) = (self.records.line(), self.records.raw());
        let refused = |reason| Ok(Some(Entry::Refused { line, reason, row }));
        if self.records.stray_quote() {
            return refused(Refusal::StrayQuote);
        }
        let Some(typed) = self.records.field(self.column) else { return refused(Refusal::Short) };
        match dialled::read(typed, self.country) {
            Ok(number) => Ok(Some(Entry::Number { line, number, typed })),
            Err(error) => refused(Refusal::Number(error)),
        }
    }
}

/// The column of the numbers, and whether the first line is a header.
fn find(cells: &[String], settings: &ListSettings) -> Result<(usize, bool), ImportError> {
    let numbers: Vec<usize> = (0..cells.len()).filter(|&n| is_meant_as_number(&cells[n], settings.country)).collect();
    let by_name = columns_of(Kind::Numbers, cells);
    if let Some(wanted) = &settings.column {
        let place = wanted.parse::<usize>().ok().filter(|place| (1..=cells.len()).contains(place));
        return match (find_column(cells, wanted), place) {
            (Found::One(column), _) => Ok((column, true)),
            (Found::Several, _) => Err(ImportError::AmbiguousColumn(wanted.clone())),
            (Found::None, Some(place)) => Ok((place - 1, numbers.is_empty() && !is_lone_value(cells))),
            (Found::None, None) => Err(no_column(wanted, cells, &numbers)),
        };
    }
    match (&by_name[..], &numbers[..]) {
        (&[column], _) => Ok((column, true)),
        ([], &[column]) => Ok((column, false)),
        // Where there is but one column any word may stand above it; what has a digit is meant as a number.
        ([], []) if cells.len() == 1 => Ok((0, !is_lone_value(cells))),
        ([], []) => Err(no_column("to", cells, &numbers)),
        ([], places) => Err(ImportError::SeveralNumberColumns(places.iter().map(|n| (n + 1).to_string()).collect())),
        (names, _) => Err(ImportError::SeveralNumberColumns(names.iter().map(|&n| cells[n].clone()).collect())),
    }
}

/// A single column whose first line has a digit in it: no header, whatever it is.
fn is_lone_value(cells: &[String]) -> bool {
    cells.len() == 1 && cells[0].contains(|c: char| c.is_numeric()) && columns_of(Kind::Numbers, cells).is_empty()
}

fn no_column(wanted: &str, cells: &[String], numbers: &[usize]) -> ImportError {
    ImportError::NoColumn {
        column: wanted.to_owned(),
        cure: "name the one with the numbers by --column, or give its place, as in --column 2",
        columns: cells.to_vec(),
        meant: None,
        looks_like_a_row: !numbers.is_empty(),
    }
}

/// A cell without what surrounds it and cannot be seen.
fn clean(cell: &str) -> String {
    let is_seen = |c: &char| !c.is_control() && !matches!(c, '\u{feff}' | '\u{200b}'..='\u{200f}' | '\u{2060}');
    cell.chars().filter(is_seen).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers and the lines refused.
    fn read(file: &[u8], settings: &ListSettings) -> Result<(Vec<String>, Vec<u64>), ImportError> {
        let mut reader = ListReader::open(file, settings)?;
        let (mut numbers, mut refused) = (Vec::new(), Vec::new());
        while let Some(entry) = reader.next()? {
            match entry {
                Entry::Number { number, .. } => numbers.push(number.digits),
                Entry::Refused { line, .. } => refused.push(line),
            }
        }
        Ok((numbers, refused))
    }

    fn check(file: &[u8], numbers: &[&str], refused: &[u64]) {
        let found = read(file, &ListSettings::default()).unwrap();
        let shown = String::from_utf8_lossy(file);
        assert_eq!(
            (found.0.iter().map(String::as_str).collect::<Vec<_>>(), found.1),
            (numbers.to_vec(), refused.to_vec()),
            "{shown:?}"
        );
    }

    const A: &str = "447700900201";
    const B: &str = "447700900202";

    #[test]
    fn lists_are_read_however_they_are_written() {
        for file in [
            "447700900201\n447700900202\n",
            "+44 7700 900201\n+44-7700-900202",
            "\u{feff}447700900201\r\n447700900202\r\n",
            "447700900201\r447700900202\r",
            "Phone\n447700900201\n\n \n447700900202\n",
            "Phone 1\n447700900201\n447700900202\n",
            "anything\n447700900201\n447700900202\n",
            "name;to;date\nAnn;447700900201;2026-01-01\nBob;447700900202;2026-01-02\n",
            "Name\tMobile Number\nAnn\t+44 7700 900201\nBob\t(0044) 7700 900202\n",
            "Ann;447700900201;2026-01-01\nBob;447700900202;2026-01-02\n",
            "447700900201,2026-01-01 10:00\n447700900202,2026-01-02 10:00\n",
            "\"to\",\"name\"\n\"447700900201\",\"Smith, Ann\"\n\"+44 7700 900202\",\"B\"\"ob\"\n",
            "sep=;\nname;to\nAnn;447700900201\nBob;447700900202\n",
            "to,text,,\n447700900201,a,,\n447700900202,b,,\n,,,\n",
            "to\n447700900201\n447700900202\n\u{1a}",
        ] {
            check(file.as_bytes(), &[A, B], &[]);
        }
        check(b"to\n\"447,700,900,201\"\n'+447700900202\n", &[A, B], &[]);
        check(b"Nachname;Telefon\nM\xFCller;447700900201\nGro\xDF;44\xA07700\xA0900202", &[A, B], &[]);
    }

    #[test]
    fn utf16_is_found() {
        let utf16 = |mark: bool, big: bool| -> Vec<u8> {
            let text = "name\tto\r\nJosé\t447700900201\r\nBob\t447700900202\r\n";
            let mark = mark.then_some(0xFEFF);
            let octets = |unit: u16| if big { unit.to_be_bytes() } else { unit.to_le_bytes() };
            mark.into_iter().chain(text.encode_utf16()).flat_map(octets).collect()
        };
        for (mark, big) in [(true, false), (true, true), (false, false), (false, true)] {
            check(&utf16(mark, big), &[A, B], &[]);
        }
    }

    #[test]
    fn what_is_not_taken_is_refused_by_its_line() {
        check(b"Phone\n447700900201\nUNKNOWN\n", &[A], &[3]);
        check(b"447700900201\nx\n07700900202\n", &[A], &[2, 3]);
        check(b"4.47701E+11\n447700900201\n", &[A], &[1]);
        check(b"07700900202\n447700900201\n", &[A], &[1]);
        check(b"name,to\nAnn\nBob,447700900201\nCy,\n", &[A], &[2, 4]);
        check(b"to,name\n\"447700900202\"x,Ann\n447700900201,Bob\n", &[A], &[2]);
        check(b"to\n447700900201;Ann\n447700900201\n", &[A], &[2]);
    }

    #[test]
    fn the_column_can_be_named_or_counted() {
        let by = |column: &str| ListSettings { column: Some(column.into()), ..ListSettings::default() };
        let two = b"Phone,Mobile\n441632960001,447700900201\n";
        assert!(
            matches!(read(two, &ListSettings::default()), Err(ImportError::SeveralNumberColumns(names)) if names == ["Phone", "Mobile"])
        );
        assert_eq!(read(two, &by("mobile")).unwrap().0, [A]);
        assert_eq!(read(two, &by("2")).unwrap().0, [A]);
        let bare = b"441632960001,447700900201\n";
        assert!(
            matches!(read(bare, &ListSettings::default()), Err(ImportError::SeveralNumberColumns(names)) if names == ["1", "2"])
        );
        assert_eq!(read(bare, &by("2")).unwrap().0, [A]);
        assert!(matches!(read(bare, &by("phone")), Err(ImportError::NoColumn { looks_like_a_row: true, .. })));
        let other = b"name,line\nAnn,447700900201\n";
        assert!(matches!(read(other, &ListSettings::default()), Err(ImportError::NoColumn { .. })));
        assert_eq!(read(other, &by("line")).unwrap().0, [A]);
    }

    #[test]
    fn a_list_without_numbers_is_no_list() {
        for file in ["", "\n\n"] {
            assert!(matches!(read(file.as_bytes(), &ListSettings::default()), Err(ImportError::EmptyList)), "{file:?}");
        }
        for file in ["to\n", "name;to\n;\n", "Phone\n \n\u{200b}\n"] {
            assert!(matches!(read(file.as_bytes(), &ListSettings::default()), Err(ImportError::NoNumbers)), "{file:?}");
        }
    }
}
