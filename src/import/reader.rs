//! Rows out of records.

mod check;
mod plan;
#[cfg(test)]
mod tests;

use std::io::Read;

use super::doubts::Watch;
use super::error::{ImportError, Reason};
use super::facts::Facts;
use super::header;
use super::header::{DELIMITERS, Header};
use super::numbers::{self, LastSound, NumberCounts, Several};
use super::records::Records;
use super::source::How;
use crate::message::address::Destination;
use crate::message::address::dialled::{self, DialledError};
use crate::message::fields::{Field, SubmitFields, time_words};
use crate::message::number_set::KeySet;
use crate::message::template::Record;
use crate::message::text::{Concat, DefaultAlphabet, Segmentation};
use check::{Accepted, Buffers, check, is_blank};
use plan::{Plan, Text};
pub use plan::{Settings, TextSource, is_delimiter};

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
    /// As the row has it, where that is more than digits behind a `+`.
    pub typed: Option<&'a str>,
    /// The sender, to be read by [`Sender::parse_up_to`](crate::message::address::Sender::parse_up_to); `None` for the SMSC's default.
    pub source: Option<&'a str>,
    /// The text, never empty.
    pub text: &'a str,
    /// Its encoding and parts.
    pub segmentation: Segmentation,
    /// The SMSC's alphabet that it was measured with.
    pub alphabet: DefaultAlphabet,
    /// How long texts travel.
    pub concat: Concat,
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
    header: Header,
    facts: Facts,
    watch: Watch,
    plan: Plan,
    field_columns: Vec<FieldColumn>,
    seen: KeySet,
    suppressed: Option<Suppressed>,
    left_out: Option<LeftOut>,
    numbers: NumberCounts,
    last_sound: LastSound,
    /// The number of the current row, where it is written otherwise than it travels.
    digits: String,
    /// The numbers of a cell that has several, and the next of them.
    several: Vec<String>,
    next_of_several: usize,
    /// The text of the current row, where it comes from a template.
    rendered: String,
    /// The text of the current row, where it is not as it was written: composed, transliterated, or octets.
    prepared: String,
    /// The fields of the current row as JSON; those of the campaign while no column sets any.
    json: Vec<u8>,
    rows: u64,
    finished: bool,
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
    /// What that was understood as, where it is a time.
    pub understood: Option<String>,
}

impl<R: Read> RowReader<R> {
    /// Reads the header and holds the settings against it, so that what they ask for in vain is refused before any row.
    pub fn open(input: R, settings: Settings) -> Result<RowReader<R>, ImportError> {
        if let Some(delimiter) = settings.delimiter.filter(|&delimiter| !is_delimiter(delimiter)) {
            return Err(ImportError::Delimiter(delimiter));
        }
        let how = How { encoding: settings.file_encoding, sheet: settings.sheet.clone(), ..How::default() };
        let records = Records::new(input, how, DELIMITERS[0]);
        let (records, header) = header::read(records, &settings)?;
        let wanted = (settings.to_column.clone(), settings.text.clone());
        let plan = Plan::new(&header.names, settings)?;
        let facts = plan.facts(&header, &wanted.0, &wanted.1);
        let watch = Watch::new(&header.names);
        let counted =
            |&(column, field)| FieldColumn { column, field, set: 0, empty: 0, sample: None, understood: None };
        let field_columns = plan.field_columns.iter().map(counted).collect();
        let mut json = Vec::new();
        if !plan.fields.is_empty() {
            plan.fields.write_json(&mut json);
        }
        Ok(RowReader {
            records,
            header,
            facts,
            watch,
            plan,
            field_columns,
            seen: KeySet::new(),
            suppressed: None,
            left_out: None,
            numbers: NumberCounts::default(),
            last_sound: LastSound::default(),
            digits: String::new(),
            several: Vec::new(),
            next_of_several: 0,
            rendered: String::new(),
            prepared: String::new(),
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

    /// Takes a number for one that a row before had, by its [`Destination::same_key`].
    pub fn note_seen(&mut self, key: u64) {
        self.seen.insert(key);
    }

    /// The names of the columns.
    pub fn header(&self) -> &[String] {
        &self.header.names
    }

    /// The header as it was written, without its line end.
    pub fn header_row(&self) -> &str {
        &self.header.row
    }

    /// What is known of the file by now: all of it once [`next`](RowReader::next) has said that it ended.
    pub fn facts(&self) -> Facts {
        Facts {
            format: self.records.format(),
            sheet: self.records.sheet().cloned(),
            guessed: self.records.guessed().cloned(),
            doubts: self.watch.doubts.clone(),
            numbers: self.numbers.clone().asked_about(&self.plan.numbers),
            ..self.facts.clone()
        }
    }

    /// The names of the columns that nothing is taken from. A name misspelt is among them.
    pub fn unused_columns(&self) -> impl Iterator<Item = &str> {
        let unused =
            self.header.names.iter().enumerate().filter(|(column, name)| !name.is_empty() && !self.plan.uses(*column));
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
        if self.next_of_several < self.several.len() {
            // The row at hand has one more number.
            self.next_of_several += 1;
        } else {
            self.several.clear();
            self.next_of_several = 0;
            loop {
                if !self.records.advance()? {
                    if self.rows == 0 {
                        return Err(ImportError::HeaderOnly);
                    }
                    self.finished = true;
                    return Ok(None);
                }
                // Spreadsheets write the rows that once had something in them: delimiters, and nothing between.
                if !is_blank(self.records.field(self.plan.to)) || !self.is_blank_row() {
                    break;
                }
            }
            self.rows += 1;
        }
        let line = self.records.line();
        let columns = self.header.names.len();
        let cell = self.records.field(self.plan.to).unwrap_or_default();
        let rules = &self.plan.numbers;
        if self.several.is_empty() && rules.several != Several::Refuse && dialled::may_be_several(cell) {
            let read = numbers::read(cell, rules, &mut self.last_sound, &mut self.digits);
            if read == Err(Reason::Number(DialledError::Several)) {
                self.several = dialled::each_of(cell).into_iter().map(str::to_owned).collect();
                self.several.truncate(if rules.several == Several::First { 1 } else { usize::MAX });
                self.next_of_several = 1;
            }
        }
        let typed = self.several.get(self.next_of_several.wrapping_sub(1)).map_or(cell, String::as_str);
        let taken = numbers::read(typed, rules, &mut self.last_sound, &mut self.digits);
        let Self { rendered, prepared, json, .. } = self;
        let buffers = Buffers { rendered, prepared, json };
        if let Err(reason) = &taken {
            self.numbers.note_refused(reason);
        }
        let is_of_number = taken.is_err();
        let checked = check(&self.plan, &self.header.names, &self.records, taken, buffers);
        let Accepted { taken, source, segmentation, alphabet, is_prepared } = match checked {
            Ok(accepted) => accepted,
            Err(reason) if self.plan.strict => return Err(ImportError::BadRow { line, reason }),
            Err(reason) => {
                // What is wrong with the row is wrong with it for all of its numbers, and said once.
                if !is_of_number {
                    self.next_of_several = self.several.len();
                }
                return Ok(Some(Event::Rejected(Rejected { line, reason, row: self.records.raw() })));
            }
        };
        let (destination, typed) = match taken.as_is {
            Some(as_is) => (as_is, None),
            None => match Destination::parse(&self.digits) {
                Ok(read) => (read, Some(typed)),
                Err(error) => {
                    let reason = Reason::Number(DialledError::Destination(error));
                    return Ok(Some(Event::Rejected(Rejected { line, reason, row: self.records.raw() })));
                }
            },
        };
        if let Some(reason) = self.left_out.as_ref().and_then(|left_out| left_out(destination.same_key())) {
            return Ok(Some(Event::Rejected(Rejected { line, reason, row: self.records.raw() })));
        }
        // Only a message takes its number: a row that was refused must not cost the next one its place.
        if !self.plan.allow_duplicates && !self.seen.insert(destination.same_key()) {
            return Ok(Some(Event::Duplicate(Duplicate { line, destination, row: self.records.raw() })));
        }
        self.numbers.note(destination.digits(), line, &taken);
        let text = match self.plan.text {
            _ if is_prepared => self.prepared.as_str(),
            Text::Template(_) => self.rendered.as_str(),
            Text::Column(column) => self.records.field(column).unwrap_or_default(),
            Text::None => "",
        };
        let concat = self.plan.base.concat;
        let fields = std::str::from_utf8(&self.json).ok().filter(|json| !json.is_empty());
        let suppressed = self.suppressed.as_ref().is_some_and(|suppressed| suppressed(destination.same_key()));
        if !suppressed {
            self.watch.look(line, text);
            if self.records.len() < columns {
                self.facts.short_rows.note(line);
            }
            for of in &mut self.field_columns {
                let value = self.records.field(of.column).unwrap_or_default().trim();
                *(if value.is_empty() { &mut of.empty } else { &mut of.set }) += 1;
                if of.sample.is_none() && !value.is_empty() {
                    of.sample = Some(value.to_owned());
                    let mut fields = SubmitFields::default();
                    if of.field.is_time() && fields.set_field_in(of.field, value, self.plan.zone.as_ref()).is_ok() {
                        let time = fields.schedule_delivery_time.or(fields.validity_period);
                        of.understood = time.map(|time| time_words(&time));
                    }
                }
            }
        }
        Ok(Some(Event::Row(Row {
            line,
            destination,
            typed,
            source,
            text,
            segmentation,
            alphabet,
            concat,
            fields,
            suppressed,
        })))
    }
}

impl<R: Read> RowReader<R> {
    /// Whether nothing stands between the delimiters of the record read last.
    fn is_blank_row(&self) -> bool {
        (0..self.records.len()).all(|n| is_blank(self.records.field(n)))
    }
}

impl<R: Read> Record for Records<R> {
    fn value(&self, column: usize) -> Option<&str> {
        self.field(column)
    }
}
