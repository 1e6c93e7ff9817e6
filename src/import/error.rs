//! Why a file, or a row of it, is refused: what, where, and how to fix it.

use std::io;

use super::source::{FileEncoding, Format, Reading};
use crate::message::address::dialled::DialledError;
use crate::message::address::{Kind, SenderError};
use crate::message::fields::{Field, FieldError};
use crate::message::template::{MissingValue, TemplateError};
use crate::message::text::{Encoding, OctetsError, TextError};
use crate::words::escape::{name_character, name_value};
use crate::words::format::count;

/// Why a whole file is refused. Nothing of it is to be kept then.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Io(io::Error),
    /// What it is packed in is damaged.
    #[error(
        "this is packed ({format}), and what is in it cannot be read ({1}): is the file whole? Get it again, or unpack it",
        format = .0.name()
    )]
    Packed(Format, io::Error),
    /// It is UTF-32.
    #[error("the file is UTF-32: save it as UTF-8")]
    Utf32,
    /// It is of a kind that is not read.
    #[error("this is {0}: give a CSV file, also packed by gzip or zstd, or a spreadsheet")]
    Unknown(&'static str),
    /// It is an old spreadsheet (.xls), or one that a password protects.
    #[error(
        "this is an old spreadsheet (.xls), or one that a password protects: save it as .xlsx without a password, or as CSV \
         (UTF-8)"
    )]
    OldSpreadsheet,
    /// It is a spreadsheet or an archive, and cannot be read, in words.
    #[error("{0}")]
    Sheet(String),
    /// A sheet was asked for, and it is text.
    #[error("--sheet names a sheet of a spreadsheet, and this is none: leave it out")]
    NoSpreadsheet,
    /// It is neither UTF-8 nor UTF-16, and nobody can say for sure what it is.
    #[error("{}", encoding_words(*line, readings))]
    Encoding {
        /// Physical line of the first octets of which that is so, from 1.
        line: u64,
        /// The likeliest readings.
        readings: Vec<Reading>,
    },
    /// Octets that are not in the file's encoding.
    #[error(
        "line {line}, octet {octet} of the text: this is not {}{}",
        encoding.name(),
        match given {
            true => ": give the --encoding that the file has, or leave it out, so that it is found out",
            false => ", as what comes before it is: correct it there, or save the whole file as UTF-8",
        }
    )]
    Malformed {
        /// The encoding.
        encoding: FileEncoding,
        /// Whether it was given.
        given: bool,
        /// Physical line, from 1.
        line: u64,
        /// Octets before them in the file.
        octet: u64,
    },
    /// It has no line with anything on it.
    #[error("the file is empty: it needs a header line and rows")]
    Empty,
    /// It has a header and no rows.
    #[error("the file has a header and no rows: there is nothing to send")]
    HeaderOnly,
    /// A list of numbers that has no line with anything on it.
    #[error("the list is empty: no number was taken")]
    EmptyList,
    /// A list of numbers that has a header and nothing below it.
    #[error("the list has a header and no numbers: none was taken")]
    NoNumbers,
    /// A list of numbers with more than one column of them: their names, or their places from 1.
    #[error("more than one column may hold the numbers ({}): name one by --column, and then the other", names(.0))]
    SeveralNumberColumns(Vec<String>),
    /// A column that is needed is not there.
    #[error(
        "there is no column `{column}`: {cure}; the columns are: {}{}{}",
        names(columns),
        meant.as_ref().map_or_else(String::new, |meant| format!(" (did you mean `{}`?)", name_value(meant))),
        if *looks_like_a_row { " (is this a row? the first line must name the columns)" } else { "" }
    )]
    NoColumn {
        /// Its name.
        column: String,
        /// What to do instead of adding it.
        cure: &'static str,
        /// The columns that there are.
        columns: Vec<String>,
        /// One of them that was misspelt, perhaps.
        meant: Option<String>,
        /// The first line has a number in it, so it hardly is a header.
        looks_like_a_row: bool,
    },
    /// A column that is needed is there more than once.
    #[error("there is more than one column `{}`: rename or remove all but one", name_value(.0))]
    AmbiguousColumn(String),
    /// More than one column is called as those that are needed are.
    #[error(
        "more than one column may hold {what} ({}): name the one that is meant by {option}",
        columns.iter().map(|name| format!("`{}`", name_value(name))).collect::<Vec<_>>().join(", ")
    )]
    SeveralColumns {
        /// What they hold.
        what: &'static str,
        /// The option that names one.
        option: &'static str,
        /// Their names.
        columns: Vec<String>,
    },
    /// A quoted field is never closed, or closed where it cannot end.
    #[error(
        "line {line}: a quote (\") is opened here and not closed where the field ends: close it, or write \"\" for a quote in a \
         text"
    )]
    UnclosedQuote {
        /// The physical line on which it was opened.
        line: u64,
    },
    /// A row of more than 1 MiB.
    #[error("line {line}: a row of more than 1 MiB starts here: is this a CSV file?")]
    RowTooLong {
        /// The physical line on which it starts.
        line: u64,
    },
    /// A delimiter that cannot be one.
    #[error(
        "{} cannot be the delimiter: use one ASCII character that is no quote, letter, digit or line end",
        name_character(char::from(*.0))
    )]
    Delimiter(u8),
    /// The text given for the campaign is no template, or does not fit the header.
    #[error("{0}")]
    Template(TemplateError),
    /// The sender given for the campaign.
    #[error("{0}")]
    Sender(SenderError),
    /// A column that is named like a field but cannot be one.
    #[error("{0}")]
    Field(FieldError),
    /// A column of a field that the operation does not have.
    #[error(
        "there is a column `{0}`, and data_sm has no such field: remove or rename the column, or use --via submit_sm"
    )]
    NotInDataSm(Field),
    /// A column that says what --flash says.
    #[error(
        "--flash says what the data_coding is, and so does the column `{}`: leave out --flash, or remove or rename the column",
        name_value(.0)
    )]
    FlashBesideCoding(String),
    /// The first bad row, where none is allowed.
    #[error("line {line}: {reason}; without --strict such rows are kept aside and the others are sent")]
    BadRow {
        /// The physical line on which it starts.
        line: u64,
        /// What is wrong with it.
        reason: Reason,
    },
}

/// Shows what is not sure in the file's own words.
fn encoding_words(line: u64, readings: &[Reading]) -> String {
    let mut words = format!("line {line}: this is not UTF-8, and what else it is cannot be told for sure.");
    for (n, reading) in readings.iter().enumerate() {
        let (before, name) = (if n == 0 { " Look:" } else { ";" }, reading.encoding.name());
        words += &format!("{before} with --encoding {name} it reads {}", reading.shown());
    }
    words += ". Give the one that reads right; if none does, save the file as UTF-8 where it was made (in Excel: \"CSV UTF-8\")";
    words
}

/// Columns' names in a row.
fn names(columns: &[String]) -> String {
    columns.iter().map(|name| name_value(name).to_string()).collect::<Vec<_>>().join(", ")
}

/// What is wrong with a number, and which option takes it all the same.
fn number_words(error: &DialledError) -> String {
    match error {
        DialledError::Several => {
            "there is more than one number in the cell: --several-numbers first takes the first, all sends to each"
                .into()
        }
        DialledError::National
        | DialledError::NotOfCountry(_)
        | DialledError::Impossible
        | DialledError::Ambiguous(_) => format!("{error} (--numbers any sends it as it is)"),
        DialledError::Destination(_) | DialledError::NoDigit => error.to_string(),
    }
}

/// What is wrong with a text, and what to leave out that keeps it from being sent.
fn text_words(error: &TextError) -> String {
    match error {
        TextError::NotInAlphabet { encoding: Encoding::Ascii | Encoding::Latin1, .. } => {
            format!("{error}: replace it, or leave out the data_coding")
        }
        TextError::NotInAlphabet { .. } => {
            format!("{error}: replace it, or leave out --alphabet gsm7 (or the data_coding that means it)")
        }
        error => error.to_string(),
    }
}

/// Why a user data header of the operator's own does not go with SAR TLVs.
pub const SAR_BESIDE_UDH: &str =
    "esm_class: the bit 0x40 announces a user data header, which --concat sar excludes: use --concat udh8";

/// Why one row is refused. The others go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// It has more or fewer fields than the header.
    #[error(
        "the row has {} and the header {expected}: quote fields with a delimiter in them",
        count(*found as i64, "field")
    )]
    Columns {
        /// Fields of the header.
        expected: usize,
        /// Fields of the row.
        found: usize,
    },
    /// It ends before a column that is needed.
    #[error(
        "the row ends after {} and has no column `{}`: is it cut off?",
        count(*found as i64, "field"),
        name_value(column)
    )]
    Short {
        /// The column's name.
        column: String,
        /// Fields of the row.
        found: usize,
    },
    /// Text follows a closing quote.
    #[error("text follows a closing quote: write \"\" for a quote in a quoted field")]
    StrayQuote,
    /// Its number.
    #[error("{}", number_words(.0))]
    Number(DialledError),
    /// Its number begins with no country's calling code, or is too long or too short for it.
    #[error(
        "no country has a number of {} digits that begins with {}: the country code may be missing (--country, as in \
         --country GB, puts it there; --numbers any sends it as it is)",
        .0.len(),
        .0.get(..2).unwrap_or(.0)
    )]
    LooksNational(Box<str>),
    /// It is as short as a running number, in a column that nobody named.
    #[error(
        "{0} may be a running number and no phone number, since the column was taken by its name: name the column of the \
         numbers by --to-column"
    )]
    PerhapsNoNumber(Box<str>),
    /// Its number is one that takes no SMS, and such were not wanted.
    #[error("the number is {} (--numbers strict)", match .0 {
        Kind::FixedLine => "a fixed line",
        _ => "one of a service, free, premium or the like",
    })]
    NotMobile(Kind),
    /// Its sender.
    #[error("{0}")]
    Sender(SenderError),
    /// No value for a column of the template.
    #[error("{0}")]
    Missing(MissingValue),
    /// No text.
    #[error("the text is empty")]
    EmptyText,
    /// A NUL in its text.
    #[error("the text has a NUL character in it")]
    Nul,
    /// Its text.
    #[error("{}", text_words(.0))]
    Text(TextError),
    /// A value in a column that is named like a field.
    #[error("{0}")]
    Field(FieldError),
    /// Its text comes to more SMS than were allowed.
    #[error("the text comes to {sms} SMS, and at most {max} are allowed: shorten it, or give --max-parts {sms}")]
    TooManySms {
        /// How many.
        sms: u8,
        /// How many are allowed.
        max: u8,
    },
    /// It has octets in hexadecimal and a text.
    #[error(
        "the row has octets (in a column hex or udh:hex) and a text: leave one of them empty, or rename the column if it is not \
         meant so"
    )]
    HexBesideText,
    /// Its octets.
    #[error("the octets of hex and udh:hex: {0}")]
    Octets(OctetsError),
    /// Its esm_class announces a user data header, and its parts are numbered by SAR TLVs.
    #[error("{SAR_BESIDE_UDH}")]
    SarBesideUdh,
    /// Nothing is wrong with it: its number was sent to within a time that the operator gave.
    #[error("campaign {campaign:?} sent to its number in the last {within} (--skip-sent-within)")]
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
            Reason::Columns { .. } | Reason::Short { .. } => "columns",
            Reason::StrayQuote => "quote",
            Reason::Number(error) => error.code(),
            Reason::LooksNational(_) => "to_national",
            Reason::PerhapsNoNumber(_) => "to_short",
            Reason::NotMobile(Kind::FixedLine) => "to_fixed_line",
            Reason::NotMobile(_) => "to_service",
            Reason::Sender(error) => error.code(),
            Reason::Missing(_) => "text_missing",
            Reason::EmptyText => "text_empty",
            Reason::Nul => "text_nul",
            Reason::Text(TextError::NotInAlphabet { .. }) => "text_alphabet",
            Reason::Text(TextError::TooManyParts { .. }) | Reason::TooManySms { .. } => "text_long",
            Reason::HexBesideText | Reason::Octets(_) => "octets",
            Reason::Field(_) | Reason::SarBesideUdh => "field",
            Reason::SentLately { .. } => "sent_lately",
        }
    }
}
