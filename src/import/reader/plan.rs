//! What is asked for, held against a header: which columns are what.

use super::super::error::ImportError;
use super::super::facts::Facts;
use super::super::header::{self, HEX_COLUMN, Header, Kind};
use super::super::numbers::NumberRules;
use super::super::source::FileEncoding;
use crate::message::address::{SENDER_CHARACTERS_MAX, Sender};
use crate::message::fields::{Field, SubmitFields};
use crate::message::template::{BoundTemplate, Found, Template, find_column};
use crate::message::text::Policy;
use crate::message::text::transliterate::Transliterate;
use crate::words::names::folded;
use jiff::tz::TimeZone;

/// A column of the user data headers before octets, in hexadecimal.
const UDH_COLUMN: &str = "udh:hex";

/// Column of the senders, where there is one.
const FROM_COLUMN: &str = "from";

/// How a file is to be read.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Defaults to the one of `,` `;` tab `|` that the header shows.
    pub delimiter: Option<u8>,
    /// Defaults to what the file shows.
    pub file_encoding: Option<FileEncoding>,
    /// The sheet of a spreadsheet: its name, or its place from 1. Defaults to the first.
    pub sheet: Option<String>,
    /// The column of the numbers. Defaults to `to` or, without one, the only one that is called as such columns are.
    pub to_column: String,
    /// Where the texts come from. Defaults to the column `text` or, without one, the only one that is called as such are.
    pub text: TextSource,
    /// The sender of rows that do not name their own in a column `from`. Defaults to the SMSC's own.
    pub from: Option<String>,
    /// Characters that a sender may have, see [`Sender::parse_up_to`](crate::message::address::Sender::parse_up_to). Defaults to 11.
    pub sender_length_max: usize,
    /// Whether a number may get more than one message. Defaults to false.
    pub allow_duplicates: bool,
    /// Whether the first bad row refuses the file. Defaults to false.
    pub strict: bool,
    /// Fields of every message; columns of the fields' names beat them row by row. Defaults to none.
    pub fields: SubmitFields,
    /// The data_coding of every message whose fields have none. Defaults to what the encoding says.
    pub data_coding: Option<u8>,
    /// How texts are encoded. Defaults to automatic, and a UDH with an 8-bit reference.
    pub policy: Policy,
    /// Whether texts are of class 0, which their data_coding says. Defaults to false.
    pub flash: bool,
    /// Whether the messages go as data_sm, which lacks some fields. Defaults to false.
    pub data_sm: bool,
    /// How numbers are read.
    pub numbers: NumberRules,
    /// What texts are made GSM 7-bit with. Defaults to nothing.
    pub transliterate: Transliterate,
    /// SMS that a text may come to. Defaults to 255.
    pub max_parts: u8,
    /// Where times without an offset are those of. Defaults to none: they are refused.
    pub zone: Option<TimeZone>,
    /// Milliseconds since 1970: rows whose times have passed by then are refused. Defaults to 0, so that none is.
    pub now_ms: i64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            delimiter: None,
            file_encoding: None,
            sheet: None,
            to_column: "to".to_owned(),
            text: TextSource::Column("text".to_owned()),
            from: None,
            sender_length_max: SENDER_CHARACTERS_MAX,
            allow_duplicates: false,
            strict: false,
            fields: SubmitFields::default(),
            data_coding: None,
            policy: Policy::default(),
            flash: false,
            data_sm: false,
            numbers: NumberRules::default(),
            transliterate: Transliterate::Off,
            max_parts: u8::MAX,
            zone: None,
            now_ms: 0,
        }
    }
}

/// Where the texts of a campaign come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextSource {
    /// One text for all, with `{column}`s in it.
    Template(String),
    /// A column of texts that are sent as they are.
    Column(String),
}

/// The settings, applied to a header.
/// One thing: what is done with each column of one header.
pub(super) struct Plan {
    pub(super) to: usize,
    pub(super) text: Text,
    pub(super) from_column: Option<usize>,
    pub(super) from: Option<String>,
    pub(super) sender_length_max: usize,
    pub(super) field_columns: Vec<(usize, Field)>,
    pub(super) fields: SubmitFields,
    /// Without what a data_coding decides, which each row may have of its own.
    pub(super) base: Policy,
    /// That of rows that have none.
    pub(super) data_coding: Option<u8>,
    pub(super) allow_duplicates: bool,
    pub(super) strict: bool,
    pub(super) numbers: NumberRules,
    pub(super) transliterate: Transliterate,
    pub(super) max_parts: u8,
    pub(super) zone: Option<TimeZone>,
    /// Octets, and their user data headers, in hexadecimal.
    pub(super) hex: Option<usize>,
    pub(super) udh: Option<usize>,
    pub(super) now_ms: i64,
}

pub(super) enum Text {
    Template(BoundTemplate),
    Column(usize),
    /// The file has octets alone.
    None,
}

impl Plan {
    pub(super) fn uses(&self, column: usize) -> bool {
        let in_text = match &self.text {
            Text::Template(template) => template.columns().any(|used| used == column),
            Text::Column(used) => *used == column,
            Text::None => false,
        };
        in_text
            || column == self.to
            || self.from_column == Some(column)
            || self.hex == Some(column)
            || self.udh == Some(column)
            || self.field_columns.iter().any(|&(used, _)| used == column)
    }

    /// How the header was taken, where that is not as it was asked for.
    pub(super) fn facts(&self, header: &Header, to: &str, text: &TextSource) -> Facts {
        let other = |column: usize, wanted: &str| Some(header.names[column].clone()).filter(|name| name != wanted);
        let mut facts = Facts {
            header_line: header.is_below_titles.then_some(header.line),
            to_column: other(self.to, to),
            ..Facts::default()
        };
        match (&self.text, text) {
            (Text::Column(column), TextSource::Column(wanted)) => facts.text_column = other(*column, wanted),
            (Text::Template(template), _) => {
                let words: String = format!(" {} ", folded(&template.literals()));
                let is_mentioned = |name: &str| {
                    let name = folded(name);
                    name.chars().count() > 1
                        && words.match_indices(&name).any(|(at, _)| {
                            let is_end = |c: Option<char>| !c.is_some_and(char::is_alphanumeric);
                            is_end(words[..at].chars().next_back()) && is_end(words[at + name.len()..].chars().next())
                        })
                };
                let unused = header.names.iter().enumerate().filter(|(column, _)| !self.uses(*column));
                facts.mentioned = unused.map(|(_, name)| name.clone()).filter(|name| is_mentioned(name)).collect();
            }
            _ => {}
        }
        facts
    }

    pub(super) fn new(header: &[String], settings: Settings) -> Result<Plan, ImportError> {
        let to = header::needed(header, &settings.to_column, Kind::Numbers)?;
        let is_guessed = find_column(header, &settings.to_column) != Found::One(to);
        let text = match &settings.text {
            TextSource::Template(template) => Text::Template(
                Template::parse(template).and_then(|template| template.bind(header)).map_err(ImportError::Template)?,
            ),
            TextSource::Column(column) => match header::needed(header, column, Kind::Texts) {
                Ok(column) => Text::Column(column),
                Err(ImportError::NoColumn { .. }) if header::has_octets_alone(header, column) => Text::None,
                Err(error) => return Err(error),
            },
        };
        let place = |name: &str| match find_column(header, name) {
            Found::One(column) => Ok(Some(column)),
            Found::None => Ok(None),
            Found::Several => Err(ImportError::AmbiguousColumn(name.to_owned())),
        };
        let udh = place(UDH_COLUMN)?;
        // Beside one text for all a column of that name is as any other, unless it plainly is not.
        // And beside a column of texts it may be colours, where nothing else says that it is octets.
        let has_coding = header.iter().any(|name| matches!(Field::from_name(name), Ok(Some(Field::DataCoding))));
        let hex = match (&text, udh) {
            (Text::Template(_), None) => None,
            (Text::Column(_), None) if !has_coding => None,
            _ => place(HEX_COLUMN)?,
        };
        let from_column = match find_column(header, FROM_COLUMN) {
            Found::One(column) => Some(column),
            Found::None => None,
            Found::Several => return Err(ImportError::AmbiguousColumn(FROM_COLUMN.to_owned())),
        };
        let mut field_columns: Vec<(usize, Field)> = Vec::new();
        for (column, name) in header.iter().enumerate() {
            if let Some(field) = Field::from_name(name).map_err(ImportError::Field)? {
                if field_columns.iter().any(|&(_, known)| known.is_same(field)) {
                    return Err(ImportError::AmbiguousColumn(name.clone()));
                }
                if settings.flash && field == Field::DataCoding {
                    return Err(ImportError::FlashBesideCoding(name.clone()));
                }
                if settings.data_sm && !field.is_of_data_sm() {
                    return Err(ImportError::NotInDataSm(field));
                }
                field_columns.push((column, field));
            }
        }
        let from = settings.from.as_deref().unwrap_or_default();
        Sender::parse_up_to(from, settings.sender_length_max).map_err(ImportError::Sender)?;
        Ok(Plan {
            to,
            text,
            from_column,
            from: Some(Sender::canonical(from).to_owned()).filter(|from| !from.is_empty()),
            sender_length_max: settings.sender_length_max,
            field_columns,
            base: settings.policy,
            data_coding: settings.fields.data_coding.or(settings.data_coding),
            fields: settings.fields,
            allow_duplicates: settings.allow_duplicates,
            strict: settings.strict,
            numbers: NumberRules { is_guessed, ..settings.numbers },
            transliterate: settings.transliterate,
            max_parts: settings.max_parts,
            zone: settings.zone,
            hex,
            udh,
            now_ms: settings.now_ms,
        })
    }
}

/// Whether an octet can be the delimiter: ASCII, and no quote, letter, digit or line end.
pub fn is_delimiter(octet: u8) -> bool {
    octet.is_ascii() && !octet.is_ascii_alphanumeric() && !b"\"\r\n\0".contains(&octet)
}
