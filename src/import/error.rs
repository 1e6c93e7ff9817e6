//! Why a file, or a row of it, is refused: what, where, and how to mend it.

use std::{fmt, io};

use super::source::FileEncoding;
use crate::message::address::{DestinationError, SenderError};
use crate::message::fields::{Field, FieldError};
use crate::message::template::{MissingValue, TemplateError};
use crate::message::text::{Encoding, TextError};
use crate::words::escape::{name_character, name_value};
use crate::words::format::count;

/// Why a whole file is refused. Nothing of it is to be kept then.
#[derive(Debug)]
pub enum ImportError {
    /// It cannot be read.
    Io(io::Error),
    /// It is UTF-16 and was not said to be.
    Utf16,
    /// It starts as a ZIP archive does, which spreadsheets of today are, or as those of old.
    Spreadsheet,
    /// Octets that are not in the encoding that was given.
    Malformed {
        /// The encoding.
        encoding: FileEncoding,
        /// Physical line, from 1.
        line: u64,
        /// Octets before them in the file.
        octet: u64,
    },
    /// It has no line with anything on it.
    Empty,
    /// It has a header and no rows.
    HeaderOnly,
    /// A list of numbers that has no line with anything on it.
    EmptyList,
    /// A list of numbers that has a header and nothing below it.
    NoNumbers,
    /// A list of numbers with more than one column of them: their names, or their places from 1.
    SeveralNumberColumns(Vec<String>),
    /// A column that is needed is not there.
    NoColumn {
        /// Its name.
        column: String,
        /// What to do instead of adding it.
        cure: &'static str,
        /// The columns that there are.
        columns: Vec<String>,
        /// The first line has a number in it, so it hardly is a header.
        looks_like_a_row: bool,
    },
    /// A column that is needed is there more than once.
    AmbiguousColumn(String),
    /// A quoted field is never closed, or closed where it cannot end.
    UnclosedQuote {
        /// The physical line on which it was opened.
        line: u64,
    },
    /// A row of more than 1 MiB.
    RowTooLong {
        /// The physical line on which it starts.
        line: u64,
    },
    /// A delimiter that cannot be one.
    Delimiter(u8),
    /// The text given for the campaign is no template, or does not fit the header.
    Template(TemplateError),
    /// The sender given for the campaign.
    Sender(SenderError),
    /// A column that is named like a field but cannot be one.
    Field(FieldError),
    /// A column of a field that the operation does not have.
    NotInDataSm(Field),
    /// The first bad row, where none is allowed.
    BadRow {
        /// The physical line on which it starts.
        line: u64,
        /// What is wrong with it.
        reason: Reason,
    },
}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ImportError::Io(error) => write!(f, "cannot be read: {error}"),
            ImportError::Utf16 => f.write_str("the file is UTF-16, not UTF-8: give --encoding utf-16"),
            ImportError::Spreadsheet => {
                f.write_str("this is a spreadsheet or ZIP file, not CSV: export it as CSV (UTF-8)")
            }
            ImportError::Malformed { encoding: FileEncoding::Utf8, line, octet } => write!(
                f,
                "line {line}, octet {octet} of the file: this is not UTF-8: save the file as UTF-8, or give --encoding \
                 latin1|utf-16"
            ),
            ImportError::Malformed { encoding, line, octet } => write!(
                f,
                "line {line}, octet {octet} of the file: this is not {}: give the --encoding that the file has",
                encoding.name()
            ),
            ImportError::Empty => f.write_str("the file is empty: it needs a header line and rows"),
            ImportError::HeaderOnly => f.write_str("the file has a header and no rows: there is nothing to send"),
            ImportError::EmptyList => f.write_str("the list is empty: no number was taken"),
            ImportError::NoNumbers => f.write_str("the list has a header and no numbers: none was taken"),
            ImportError::SeveralNumberColumns(columns) => {
                let columns: Vec<_> = columns.iter().map(|name| name_value(name)).collect();
                let columns = columns.join(", ");
                write!(
                    f,
                    "more than one column may hold the numbers ({columns}): name one by --column, and then the other"
                )
            }
            ImportError::NoColumn { column, cure, columns, looks_like_a_row } => {
                let columns: Vec<_> = columns.iter().map(|name| name_value(name)).collect();
                write!(f, "there is no column `{column}`: {cure}; the columns are: {}", columns.join(", "))?;
                match looks_like_a_row {
                    true => f.write_str(" (is this a row? the first line must name the columns)"),
                    false => Ok(()),
                }
            }
            ImportError::AmbiguousColumn(column) => {
                write!(f, "there is more than one column `{}`: rename or remove all but one", name_value(column))
            }
            ImportError::UnclosedQuote { line } => write!(
                f,
                "line {line}: a quote (\") is opened here and not closed where the field ends: close it, or write \"\" for a quote in a text"
            ),
            ImportError::RowTooLong { line } => {
                write!(f, "line {line}: a row of more than 1 MiB starts here: is this a CSV file?")
            }
            ImportError::Delimiter(delimiter) => write!(
                f,
                "{} cannot be the delimiter: use one ASCII character that is no quote, letter, digit or line end",
                name_character(char::from(*delimiter))
            ),
            ImportError::Template(error) => error.fmt(f),
            ImportError::Sender(error) => error.fmt(f),
            ImportError::Field(error) => error.fmt(f),
            ImportError::NotInDataSm(field) => write!(
                f,
                "there is a column `{field}`, and data_sm has no such field: remove or rename the column, or use --via \
                 submit_sm"
            ),
            ImportError::BadRow { line, reason } => {
                write!(f, "line {line}: {reason}; without --strict such rows are kept aside and the others are sent")
            }
        }
    }
}

impl std::error::Error for ImportError {}

/// Why a user data header of the operator's own does not go with SAR TLVs.
pub const SAR_BESIDE_UDH: &str =
    "esm_class: the bit 0x40 announces a user data header, which --concat sar excludes: use --concat udh8";

/// Why one row is refused. The others go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It has more or fewer fields than the header.
    Columns {
        /// Fields of the header.
        expected: usize,
        /// Fields of the row.
        found: usize,
    },
    /// Text follows a closing quote.
    StrayQuote,
    /// Its number.
    Destination(DestinationError),
    /// Its sender.
    Sender(SenderError),
    /// No value for a column of the template.
    Missing(MissingValue),
    /// No text.
    EmptyText,
    /// A NUL in its text.
    Nul,
    /// Its text.
    Text(TextError),
    /// A value in a column that is named like a field.
    Field(FieldError),
    /// Its esm_class announces a user data header, and its parts are numbered by SAR TLVs.
    SarBesideUdh,
    /// Nothing is wrong with it: its number was sent to within a time that the operator gave.
    SentLately {
        /// The time, as in `24h`.
        within: String,
        /// The campaign that sent to it last.
        campaign: String,
    },
}

impl Reason {
    /// A short stable name, which the journal and reports use.
    pub fn code(&self) -> &'static str {
        match self {
            Reason::Columns { .. } => "columns",
            Reason::StrayQuote => "quote",
            Reason::Destination(error) => error.code(),
            Reason::Sender(error) => error.code(),
            Reason::Missing(_) => "text_missing",
            Reason::EmptyText => "text_empty",
            Reason::Nul => "text_nul",
            Reason::Text(TextError::NotInAlphabet { .. }) => "text_alphabet",
            Reason::Text(TextError::TooManyParts { .. }) => "text_long",
            Reason::Field(_) | Reason::SarBesideUdh => "field",
            Reason::SentLately { .. } => "sent_lately",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Columns { expected, found } => {
                let found = count(*found as i64, "field");
                write!(f, "the row has {found} and the header {expected}: quote fields with a delimiter in them")
            }
            Reason::StrayQuote => f.write_str("text follows a closing quote: write \"\" for a quote in a quoted field"),
            Reason::Destination(error) => error.fmt(f),
            Reason::Sender(error) => error.fmt(f),
            Reason::Missing(error) => error.fmt(f),
            Reason::EmptyText => f.write_str("the text is empty"),
            Reason::Nul => f.write_str("the text has a NUL character in it"),
            Reason::Text(error @ TextError::NotInAlphabet { encoding: Encoding::Ascii | Encoding::Latin1, .. }) => {
                write!(f, "{error}: replace it, or leave out the data_coding")
            }
            Reason::Text(error @ TextError::NotInAlphabet { .. }) => {
                write!(f, "{error}: replace it, or leave out --alphabet gsm7 (or the data_coding that means it)")
            }
            Reason::Text(error) => error.fmt(f),
            Reason::Field(error) => error.fmt(f),
            Reason::SarBesideUdh => f.write_str(SAR_BESIDE_UDH),
            Reason::SentLately { within, campaign } => {
                write!(f, "campaign {campaign:?} sent to its number in the last {within} (--skip-sent-within)")
            }
        }
    }
}

impl std::error::Error for Reason {}
