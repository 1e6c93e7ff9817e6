//! Rows out of records.

use std::io::Read;

use super::error::{ImportError, Reason};
use super::records::Records;
use super::source::{CHUNK_OCTETS, FileEncoding};
use crate::message::address::{Destination, SENDER_CHARACTERS_MAX, Sender};
use crate::message::fields::{Field, SubmitFields};
use crate::message::number_set::KeySet;
use crate::message::template::{BoundTemplate, Found, Record, Template, find_column};
use crate::message::text;
use crate::message::text::{Choice, Concat, DefaultAlphabet, Encoding, Policy, Segmentation};
use crate::wire::values::esm_class;

/// Delimiters that are looked for in a header, the likelier first.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// Column of the senders, where there is one.
const FROM_COLUMN: &str = "from";

/// How a file is to be read.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Defaults to the one of `,` `;` tab `|` that the header shows.
    pub delimiter: Option<u8>,
    /// Defaults to UTF-8.
    pub file_encoding: FileEncoding,
    /// The column of the numbers. Defaults to `to`.
    pub to_column: String,
    /// Where the texts come from. Defaults to the column `text`.
    pub text: TextSource,
    /// The sender of rows that do not name their own in a column `from`. Defaults to the SMSC's own.
    pub from: Option<String>,
    /// Characters that a sender may have, see [`Sender::parse_up_to`]. Defaults to 11.
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
    /// Whether the messages go as data_sm, which lacks some fields. Defaults to false.
    pub data_sm: bool,
    /// Milliseconds since 1970: rows whose times have passed by then are refused. Defaults to 0, so that none is.
    pub now_ms: i64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            delimiter: None,
            file_encoding: FileEncoding::Utf8,
            to_column: "to".to_owned(),
            text: TextSource::Column("text".to_owned()),
            from: None,
            sender_length_max: SENDER_CHARACTERS_MAX,
            allow_duplicates: false,
            strict: false,
            fields: SubmitFields::default(),
            data_coding: None,
            policy: Policy::default(),
            data_sm: false,
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

/// What became of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// It is a message.
    Row(Row<'a>),
    /// It is not, for a reason of its own.
    Rejected(Rejected<'a>),
    /// Its number already has its message.
    Duplicate(Duplicate<'a>),
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row<'a> {
    /// The physical line on which the row starts, from 1.
    pub line: u64,
    /// The number, as digits and as a key.
    pub destination: Destination<'a>,
    /// The sender, to be read by [`Sender::parse_up_to`]; `None` for the SMSC's default.
    pub source: Option<&'a str>,
    /// The text, never empty.
    pub text: &'a str,
    /// Its encoding and parts.
    pub segmentation: Segmentation,
    /// The SMSC's alphabet that it was measured with.
    pub alphabet: DefaultAlphabet,
    /// All fields that are set for this message, those of the campaign among them, as JSON
    /// ([`SubmitFields::from_json`]); `None` if there are none.
    pub fields: Option<&'a str>,
    /// The number is not to be sent to.
    pub suppressed: bool,
}

/// A row that is not sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected<'a> {
    /// The physical line on which the row starts, from 1.
    pub line: u64,
    /// Why.
    pub reason: Reason,
    /// The row as it was written, without its line end.
    pub row: &'a str,
}

/// A row whose number came before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Duplicate<'a> {
    /// The physical line on which the row starts, from 1.
    pub line: u64,
    /// The number.
    pub destination: Destination<'a>,
    /// The row as it was written, without its line end.
    pub row: &'a str,
}

/// Says of a [`Destination::same_key`] whether it must not be sent to.
type Suppressed = Box<dyn Fn(u64) -> bool + Send>;
/// Says of a [`Destination::same_key`] why its rows are left out, if they are.
type LeftOut = Box<dyn Fn(u64) -> Option<Reason> + Send>;

/// Reads a campaign file row by row.
///
/// ```
/// # use smppost::testing::import::{Event, ImportError, RowReader, Settings};
///
/// let file = "to,text\n+447700900123,Hello\n44,too short\n";
/// let mut reader = RowReader::open(file.as_bytes(), Settings::default())?;
/// while let Some(event) = reader.next()? {
///     match event {
///         Event::Row(row) => assert_eq!((row.destination.digits(), row.text), ("447700900123", "Hello")),
///         Event::Rejected(rejected) => assert_eq!((rejected.line, rejected.reason.code()), (3, "to_short")),
///         Event::Duplicate(_) => unreachable!(),
///     }
/// }
/// assert!(reader.digest().is_some());
/// # Ok::<(), ImportError>(())
/// ```
pub struct RowReader<R> {
    records: Records<R>,
    header: Vec<String>,
    header_row: String,
    plan: Plan,
    field_columns: Vec<FieldColumn>,
    seen: KeySet,
    suppressed: Option<Suppressed>,
    left_out: Option<LeftOut>,
    /// The text of the current row, where it comes from a template.
    rendered: String,
    /// The fields of the current row as JSON; those of the campaign while no column sets any.
    json: Vec<u8>,
    rows: u64,
    finished: bool,
}

/// The settings, applied to a header.
struct Plan {
    to: usize,
    text: Text,
    from_column: Option<usize>,
    from: Option<String>,
    sender_length_max: usize,
    field_columns: Vec<(usize, Field)>,
    fields: SubmitFields,
    /// Without what a data_coding decides, which each row may have of its own.
    base: Policy,
    /// That of rows that have none.
    data_coding: Option<u8>,
    allow_duplicates: bool,
    strict: bool,
    now_ms: i64,
}

/// A column that sets a field, and how often it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldColumn {
    column: usize,
    /// The field.
    pub field: Field,
    /// Messages that would be sent, whose cell sets it.
    pub set: u64,
    /// And those whose cell is empty.
    pub empty: u64,
    /// The first value.
    pub sample: Option<String>,
}

enum Text {
    Template(BoundTemplate),
    Column(usize),
}

/// What a good row amounts to, apart from its text and fields, which are in buffers.
struct Accepted<'a> {
    destination: Destination<'a>,
    source: Option<&'a str>,
    segmentation: Segmentation,
    alphabet: DefaultAlphabet,
}

impl<R: Read> RowReader<R> {
    /// Reads the header and holds the settings against it, so that what they ask for in vain is refused before any row.
    pub fn open(input: R, settings: Settings) -> Result<RowReader<R>, ImportError> {
        let records = Records::new(input, settings.file_encoding, DELIMITERS[0], CHUNK_OCTETS);
        let (records, header) = read_header(records, settings.delimiter, &settings.to_column)?;
        let header_row = records.raw().to_owned();
        let plan = Plan::new(&header, settings)?;
        let counted = |&(column, field)| FieldColumn { column, field, set: 0, empty: 0, sample: None };
        let field_columns = plan.field_columns.iter().map(counted).collect();
        let mut json = Vec::new();
        if !plan.fields.is_empty() {
            plan.fields.write_json(&mut json);
        }
        Ok(RowReader {
            records,
            header,
            header_row,
            plan,
            field_columns,
            seen: KeySet::new(),
            suppressed: None,
            left_out: None,
            rendered: String::new(),
            json,
            rows: 0,
            finished: false,
        })
    }

    /// Asks of every message, by [`Destination::same_key`], whether it must not be sent.
    pub fn with_suppressed(mut self, suppressed: impl Fn(u64) -> bool + Send + 'static) -> RowReader<R> {
        self.suppressed = Some(Box::new(suppressed));
        self
    }

    /// Asks of every good row, by [`Destination::same_key`], whether it is to be left out, and why. Such rows are told as
    /// rejected ones, whatever [`Settings::strict`] says.
    pub fn with_left_out(mut self, left_out: impl Fn(u64) -> Option<Reason> + Send + 'static) -> RowReader<R> {
        self.left_out = Some(Box::new(left_out));
        self
    }

    /// The names of the columns.
    pub fn header(&self) -> &[String] {
        &self.header
    }

    /// The header as it was written, without its line end.
    pub fn header_row(&self) -> &str {
        &self.header_row
    }

    /// The names of the columns that nothing is taken from. A name misspelt is among them.
    pub fn unused_columns(&self) -> impl Iterator<Item = &str> {
        let unused =
            self.header.iter().enumerate().filter(|(column, name)| !name.is_empty() && !self.plan.uses(*column));
        unused.map(|(_, name)| name.as_str())
    }

    /// The columns that set fields, with what they came to so far.
    pub fn field_columns(&self) -> &[FieldColumn] {
        &self.field_columns
    }

    /// Rows read so far, good or bad.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Octets of the file read so far, up to a chunk ahead of the rows: what progress is measured by.
    pub fn octets(&self) -> u64 {
        self.records.octets()
    }

    /// SHA-256 of the raw octets of the whole file; `None` until [`next`](RowReader::next) has said that it ended.
    pub fn digest(&self) -> Option<[u8; 32]> {
        if self.finished { self.records.digest() } else { None }
    }

    /// The next row, or `None` at the end of the file. After an error the reader is of no more use.
    #[expect(clippy::should_implement_trait, reason = "an event borrows from the reader, which Iterator cannot say")]
    pub fn next(&mut self) -> Result<Option<Event<'_>>, ImportError> {
        if !self.records.advance()? {
            if self.rows == 0 {
                return Err(ImportError::HeaderOnly);
            }
            self.finished = true;
            return Ok(None);
        }
        self.rows += 1;
        let line = self.records.line();
        let checked = check(&self.plan, self.header.len(), &self.records, &mut self.rendered, &mut self.json);
        let Accepted { destination, source, segmentation, alphabet } = match checked {
            Ok(accepted) => accepted,
            Err(reason) if self.plan.strict => return Err(ImportError::BadRow { line, reason }),
            Err(reason) => {
                return Ok(Some(Event::Rejected(Rejected { line, reason, row: self.records.raw() })));
            }
        };
        if let Some(reason) = self.left_out.as_ref().and_then(|left_out| left_out(destination.same_key())) {
            return Ok(Some(Event::Rejected(Rejected { line, reason, row: self.records.raw() })));
        }
        // Only a message takes its number: a row that was refused must not cost the next one its place.
        if !self.plan.allow_duplicates && !self.seen.insert(destination.same_key()) {
            return Ok(Some(Event::Duplicate(Duplicate { line, destination, row: self.records.raw() })));
        }
        let text = match self.plan.text {
            Text::Template(_) => self.rendered.as_str(),
            Text::Column(column) => self.records.field(column).unwrap_or_default(),
        };
        let fields = std::str::from_utf8(&self.json).ok().filter(|json| !json.is_empty());
        let suppressed = self.suppressed.as_ref().is_some_and(|suppressed| suppressed(destination.same_key()));
        if !suppressed {
            for of in &mut self.field_columns {
                let value = self.records.field(of.column).unwrap_or_default().trim();
                *(if value.is_empty() { &mut of.empty } else { &mut of.set }) += 1;
                if of.sample.is_none() && !value.is_empty() {
                    of.sample = Some(value.to_owned());
                }
            }
        }
        Ok(Some(Event::Row(Row { line, destination, source, text, segmentation, alphabet, fields, suppressed })))
    }
}

impl<R: Read> Record for Records<R> {
    fn value(&self, column: usize) -> Option<&str> {
        self.field(column)
    }
}

/// Holds a record against the plan; leaves its text and fields in the buffers.
fn check<'a, R: Read>(
    plan: &'a Plan,
    columns: usize,
    records: &'a Records<R>,
    rendered: &mut String,
    json: &mut Vec<u8>,
) -> Result<Accepted<'a>, Reason> {
    if records.stray_quote() {
        return Err(Reason::StrayQuote);
    }
    if records.len() != columns {
        return Err(Reason::Columns { expected: columns, found: records.len() });
    }
    let value = |column: usize| records.field(column).unwrap_or_default();
    let destination = Destination::parse(value(plan.to)).map_err(Reason::Destination)?;
    let own = plan.from_column.map(|column| value(column).trim()).filter(|own| !own.is_empty());
    let source = match own {
        Some(own) => {
            Sender::parse_up_to(own, plan.sender_length_max).map_err(Reason::Sender)?;
            Some(Sender::canonical(own))
        }
        None => plan.from.as_deref(),
    };
    let text = match &plan.text {
        Text::Column(column) => value(*column),
        Text::Template(template) => {
            rendered.clear();
            template.render(records, rendered).map_err(Reason::Missing)?;
            rendered.as_str()
        }
    };
    if text.trim_start().is_empty() {
        return Err(Reason::EmptyText);
    }
    let mut policy = policy_for(plan.base, plan.data_coding);
    if !plan.field_columns.is_empty() {
        let mut fields = plan.fields.clone();
        for &(column, field) in &plan.field_columns {
            fields.set_field(field, value(column)).map_err(Reason::Field)?;
        }
        if let Some(passed) = fields.passed(plan.now_ms) {
            return Err(Reason::Field(passed));
        }
        policy = policy_for(plan.base, fields.data_coding.or(plan.data_coding));
        if plan.base.concat == Concat::Sar && fields.esm_class.is_some_and(esm_class::has_udh) {
            return Err(Reason::SarBesideUdh);
        }
        json.clear();
        if !fields.is_empty() {
            fields.write_json(json);
        }
    }
    let segmentation = text::segment(text, policy).map_err(|error| match error {
        text::TextError::NotInAlphabet { character: '\0', .. } => Reason::Nul,
        error => Reason::Text(error),
    })?;
    // A NUL is in no GSM alphabet, so a text that has one is of another by now.
    if segmentation.encoding != Encoding::Gsm7 && text.contains('\0') {
        return Err(Reason::Nul);
    }
    Ok(Accepted { destination, source, segmentation, alphabet: policy.alphabet })
}

/// A data_coding that was set by hand decides the encoding, so that the octets are what it says they are.
fn policy_for(policy: Policy, data_coding: Option<u8>) -> Policy {
    let policy = match data_coding {
        None | Some(0) => policy,
        Some(_) => Policy { alphabet: DefaultAlphabet::Gsm7, ..policy },
    };
    match (policy.choice, data_coding.and_then(Encoding::of_data_coding)) {
        (Choice::Auto, Some(encoding)) => Policy { choice: encoding.into(), ..policy },
        _ => policy,
    }
}

impl Plan {
    fn uses(&self, column: usize) -> bool {
        let in_text = match &self.text {
            Text::Template(template) => template.columns().any(|used| used == column),
            Text::Column(used) => *used == column,
        };
        in_text
            || column == self.to
            || self.from_column == Some(column)
            || self.field_columns.iter().any(|&(used, _)| used == column)
    }

    fn new(header: &[String], settings: Settings) -> Result<Plan, ImportError> {
        let to = needed(header, &settings.to_column, "add it, or name the one with the numbers by --to-column")?;
        let text = match &settings.text {
            TextSource::Template(template) => Text::Template(
                Template::parse(template).and_then(|template| template.bind(header)).map_err(ImportError::Template)?,
            ),
            TextSource::Column(column) => Text::Column(needed(
                header,
                column,
                "add it, or give the text by --text or its column by --text-column",
            )?),
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
            now_ms: settings.now_ms,
        })
    }
}

fn needed(header: &[String], column: &str, cure: &'static str) -> Result<usize, ImportError> {
    match find_column(header, column) {
        Found::One(index) => Ok(index),
        Found::Several => Err(ImportError::AmbiguousColumn(column.to_owned())),
        Found::None => Err(ImportError::NoColumn {
            column: column.to_owned(),
            cure,
            columns: header.to_vec(),
            looks_like_a_row: header.iter().any(|name| Destination::parse(name).is_ok()),
        }),
    }
}

/// The names of the columns, trimmed; finds the delimiter first if it was not given.
fn read_header<R: Read>(
    mut records: Records<R>,
    delimiter: Option<u8>,
    to_column: &str,
) -> Result<(Records<R>, Vec<String>), ImportError> {
    if let Some(delimiter) = delimiter.filter(|&delimiter| !is_delimiter(delimiter)) {
        return Err(ImportError::Delimiter(delimiter));
    }
    let named = records.take_sep_line()?;
    let mut records = match delimiter.or(named) {
        Some(delimiter) => records.again_with(delimiter),
        None => {
            let (delimiter, records) = detect_delimiter(records, to_column)?;
            records.again_with(delimiter)
        }
    };
    if !records.advance()? {
        return Err(ImportError::Empty);
    }
    let header = (0..records.len()).map(|i| records.field(i).unwrap_or_default().trim().to_owned()).collect();
    Ok((records, header))
}

/// Whether an octet can be the delimiter: ASCII, and no quote, letter, digit or line end.
pub fn is_delimiter(octet: u8) -> bool {
    octet.is_ascii() && !octet.is_ascii_alphanumeric() && !b"\"\r\n\0".contains(&octet)
}

/// The delimiter under which the header has the number's column or, failing that, the most columns.
pub(super) fn detect_delimiter<R: Read>(
    mut records: Records<R>,
    to_column: &str,
) -> Result<(u8, Records<R>), ImportError> {
    let mut best = (DELIMITERS[0], false, 0);
    let mut failed = None;
    for delimiter in DELIMITERS {
        records = records.again_with(delimiter);
        match records.advance() {
            Ok(true) => {}
            Ok(false) => return Err(ImportError::Empty),
            // Quotes that make no sense under this delimiter may make sense under the next.
            Err(error @ (ImportError::UnclosedQuote { .. } | ImportError::RowTooLong { .. })) => {
                failed = Some(error);
                continue;
            }
            Err(error) => return Err(error),
        }
        let names: Vec<_> = (0..records.len()).map(|i| records.field(i).unwrap_or_default().trim()).collect();
        let has_numbers = find_column(&names, to_column) != Found::None;
        if (has_numbers, names.len()) > (best.1, best.2) {
            best = (delimiter, has_numbers, names.len());
        }
    }
    match failed {
        Some(error) if best.2 <= 1 => Err(error),
        _ => Ok((best.0, records)),
    }
}
