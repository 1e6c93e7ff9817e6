//! Everything that is a list: one record a row, as a table, as a JSON array or as CSV, written while it is read.

use super::ReportError;
use crate::journal::model::key::State;
use crate::journal::query::{
    AttemptRow, CampaignSummary, InboundRow, MessageRow, OperationRow, ReceiptRow, SkippedRow, Stamp,
};
use crate::wire::CommandStatus;
use crate::words::escape::{csv_cell, escape_terminal};
use crate::words::format::{cut, moment};
use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, Serializer};
use std::fmt::Write as _;
use std::io::{self, Write};

/// How something is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// For programs: the names of the public views.
    Json,
    /// For spreadsheets: the columns of the public views.
    Csv,
}

/// Rows whose widths decide the widths of a table's columns. Later ones may be longer, and then stand out.
const ROWS_MEASURED: usize = 200;
/// Columns between two columns of a table.
const GAP: usize = 2;
/// The least that is worth showing of a column that is cut.
const CUT_MIN: usize = 12;

/// A row of a list.
pub trait Record: Serialize {
    /// The names of its columns, in order: those of its public view, and of its JSON.
    const COLUMNS: &'static [&'static str];
    /// The columns shown in a table, by index, the last of which is cut to fit.
    const TABLE: &'static [usize];

    /// Appends column number `column` as it stands in CSV; nothing where there is no value.
    fn cell(&self, column: usize, to: &mut String);

    /// Appends it as people read it.
    fn shown(&self, column: usize, to: &mut String) {
        self.cell(column, to);
    }
}

/// Writes records in one of the formats.
pub struct Rows<'a> {
    out: Sink<'a>,
    rows: u64,
    cell: String,
}

enum Sink<'a> {
    Table(Table<'a>),
    Json(&'a mut dyn Write, Vec<u8>),
    Csv { writer: Box<csv::Writer<&'a mut dyn Write>>, raw: bool },
}

impl<'a> Rows<'a> {
    /// Begins a list. `raw`: cells of CSV as they are, formulas and all. `width`: columns of the terminal.
    pub fn begin<R: Record>(
        out: &'a mut dyn Write,
        format: Format,
        raw: bool,
        width: usize,
    ) -> Result<Self, ReportError> {
        let out = match format {
            Format::Table => Sink::Table(Table { out, width, waiting: Vec::new(), widths: None }),
            Format::Json => {
                out.write_all(b"[")?;
                Sink::Json(out, Vec::new())
            }
            Format::Csv => {
                let mut writer = csv::WriterBuilder::new().buffer_capacity(1 << 16).from_writer(out);
                writer.write_record(R::COLUMNS)?;
                Sink::Csv { writer: Box::new(writer), raw }
            }
        };
        Ok(Self { out, rows: 0, cell: String::new() })
    }

    /// Writes a record.
    pub fn add<R: Record>(&mut self, record: &R) -> Result<(), ReportError> {
        self.rows += 1;
        match &mut self.out {
            Sink::Table(table) => table.add(record)?,
            Sink::Json(out, octets) => {
                // Gathered first: a value is written in very many small pieces.
                octets.clear();
                octets.extend_from_slice(if self.rows > 1 { b",\n" } else { b"\n" });
                record.serialize(&mut Serializer::with_formatter(&mut *octets, Harmless))?;
                out.write_all(octets)?;
            }
            Sink::Csv { writer, raw } => {
                for column in 0..R::COLUMNS.len() {
                    self.cell.clear();
                    record.cell(column, &mut self.cell);
                    if *raw {
                        writer.write_field(&self.cell)?;
                    } else {
                        writer.write_field(csv_cell(&self.cell).as_bytes())?;
                    }
                }
                writer.write_record(None::<&[u8]>)?;
            }
        }
        Ok(())
    }

    /// Ends the list. In a table without rows, `nothing` stands in their place.
    pub fn end<R: Record>(self, nothing: &str) -> Result<(), ReportError> {
        match self.out {
            Sink::Table(mut table) => {
                table.flush::<R>()?;
                if self.rows == 0 {
                    writeln!(table.out, "{nothing}")?;
                }
            }
            Sink::Json(out, _) => out.write_all(if self.rows > 0 { b"\n]\n" } else { b"]\n" })?,
            Sink::Csv { mut writer, .. } => writer.flush()?,
        }
        Ok(())
    }
}

/// Writes a value as JSON on one line, with every character that a terminal would obey as `\u....`.
pub fn write_json(out: &mut dyn Write, value: &impl Serialize) -> Result<(), ReportError> {
    value.serialize(&mut Serializer::with_formatter(out, Harmless))?;
    Ok(())
}

/// JSON that can be shown: the same values in other letters.
struct Harmless;

impl Formatter for Harmless {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, out: &mut W, fragment: &str) -> io::Result<()> {
        if matches!(escape_terminal(fragment), std::borrow::Cow::Borrowed(_)) {
            return CompactFormatter.write_string_fragment(out, fragment);
        }
        for c in fragment.chars() {
            let mut octets = [0; 4];
            let text = &*c.encode_utf8(&mut octets);
            if matches!(escape_terminal(text), std::borrow::Cow::Borrowed(_)) {
                out.write_all(text.as_bytes())?;
            } else {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    write!(out, "\\u{unit:04x}")?;
                }
            }
        }
        Ok(())
    }
}

/// A table for people. Columns are as wide as the first rows need; where they do not fit the terminal side by side, each
/// record becomes a block of lines.
struct Table<'a> {
    out: &'a mut dyn Write,
    width: usize,
    waiting: Vec<Vec<String>>,
    widths: Option<Layout>,
}

#[derive(Clone, Debug)]
enum Layout {
    Columns(Vec<usize>),
    Blocks,
}

impl Table<'_> {
    fn add<R: Record>(&mut self, record: &R) -> Result<(), ReportError> {
        let cells = R::TABLE.iter().map(|&column| {
            let mut cell = String::new();
            record.shown(column, &mut cell);
            escape_terminal(&cell).into_owned()
        });
        let cells = cells.collect();
        if self.widths.is_some() {
            return self.write::<R>(&cells);
        }
        self.waiting.push(cells);
        if self.waiting.len() >= ROWS_MEASURED { self.flush::<R>() } else { Ok(()) }
    }

    /// Fixes the widths, and writes what waited for them.
    fn flush<R: Record>(&mut self) -> Result<(), ReportError> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let headers: Vec<String> =
            R::TABLE.iter().filter_map(|&n| R::COLUMNS.get(n)).map(|name| name.replace('_', " ")).collect();
        let waiting = std::mem::take(&mut self.waiting);
        let widest =
            |n: usize| waiting.iter().chain([&headers]).filter_map(|row| row.get(n)).map(|c| c.chars().count()).max();
        let mut widths: Vec<usize> = (0..headers.len()).filter_map(widest).collect();
        // The last column is cut to the room that there is; where there is none, it is left out.
        let room = |widths: &[usize]| {
            let (&last, before) = widths.split_last()?;
            let before: usize = before.iter().map(|width| width + GAP).sum();
            let room = self.width.saturating_sub(before);
            (room >= last.min(CUT_MIN)).then_some(room)
        };
        let shown = [widths.len(), widths.len().saturating_sub(1)];
        let fitting = shown.into_iter().find_map(|columns| Some((columns, room(widths.get(..columns)?)?)));
        if let Some((columns, room)) = fitting {
            widths.truncate(columns);
            if let Some(last) = widths.last_mut() {
                *last = room;
            }
            self.widths = Some(Layout::Columns(widths));
            self.write::<R>(&headers)?;
        } else {
            self.widths = Some(Layout::Blocks);
        }
        for row in &waiting {
            self.write::<R>(row)?;
        }
        Ok(())
    }

    fn write<R: Record>(&mut self, cells: &Vec<String>) -> Result<(), ReportError> {
        match &self.widths {
            Some(Layout::Columns(widths)) => {
                let mut line = String::new();
                for (n, (cell, &width)) in cells.iter().zip(widths).enumerate() {
                    if n + 1 == widths.len() {
                        line.push_str(&cut(cell, width));
                    } else {
                        let _ = write!(line, "{cell:width$}  ");
                    }
                }
                writeln!(self.out, "{}", line.trim_end())?;
            }
            Some(Layout::Blocks) | None => {
                for (n, (&column, cell)) in R::TABLE.iter().zip(cells).enumerate() {
                    if !cell.is_empty() {
                        let indent = if n == 0 { "" } else { "  " };
                        writeln!(self.out, "{indent}{}: {cell}", R::COLUMNS[column].replace('_', " "))?;
                    }
                }
            }
        }
        Ok(())
    }
}

fn put(to: &mut String, value: impl std::fmt::Display) {
    // Writing to a String cannot fail.
    let _ = write!(to, "{value}");
}

fn put_some(to: &mut String, value: Option<impl std::fmt::Display>) {
    if let Some(value) = value {
        put(to, value);
    }
}

fn text_of(to: &mut String, text: &Option<String>) {
    to.push_str(text.as_deref().unwrap_or_default());
}

/// An error, and what it means.
fn put_explained(to: &mut String, error: Option<&str>, meaning: Option<&str>) {
    match (error, meaning) {
        (Some(error), Some(meaning)) => put(to, format_args!("{error}: {meaning}")),
        (text, None) | (None, text) => to.push_str(text.unwrap_or_default()),
    }
}

fn put_moment(to: &mut String, stamp: Option<Stamp>) {
    if let Some(stamp) = stamp {
        to.push_str(&moment(stamp));
    }
}

impl Record for MessageRow {
    const COLUMNS: &'static [&'static str] = &[
        "campaign",
        "line",
        "destination",
        "source",
        "text",
        "encoding",
        "parts",
        "state",
        "command_status",
        "message_ids",
        "error",
        "queued_at",
        "sent_at",
        "answered_at",
        "done_at",
        "possible_duplicate",
        "reason",
        "number_in_file",
    ];
    const TABLE: &'static [usize] = &[1, 2, 7, 12, 10, 4];

    fn cell(&self, column: usize, to: &mut String) {
        match column {
            0 => to.push_str(&self.campaign),
            1 => put(to, self.line),
            2 => to.push_str(&self.destination),
            3 => to.push_str(&self.source),
            4 => to.push_str(&self.text),
            5 => to.push_str(self.encoding),
            6 => put(to, self.parts),
            7 => to.push_str(self.state.name()),
            8 => put_some(to, self.command_status),
            9 => to.push_str(self.message_ids.as_deref().unwrap_or_default()),
            10 => to.push_str(self.error.as_deref().unwrap_or_default()),
            11 => put_some(to, self.queued_at),
            12 => put_some(to, self.sent_at),
            13 => put_some(to, self.answered_at),
            14 => put_some(to, self.done_at),
            15 => put(to, u8::from(self.possible_duplicate)),
            16 => text_of(to, &self.reason),
            _ => text_of(to, &self.number_in_file),
        }
    }

    fn shown(&self, column: usize, to: &mut String) {
        match column {
            7 => put(to, state_words(self.state)),
            10 => put_explained(to, self.error.as_deref(), self.reason.as_deref()),
            12 => put_moment(to, self.sent_at),
            _ => self.cell(column, to),
        }
    }
}

impl Record for AttemptRow {
    const COLUMNS: &'static [&'static str] = &[
        "campaign",
        "line",
        "part",
        "attempt",
        "session_id",
        "sequence_number",
        "claimed_at",
        "answered_at",
        "state",
        "command_status",
        "message_id",
        "reason",
        "tlvs",
    ];
    const TABLE: &'static [usize] = &[1, 2, 3, 5, 8, 9, 10, 12];

    fn cell(&self, column: usize, to: &mut String) {
        match column {
            0 => to.push_str(&self.campaign),
            1 => put(to, self.line),
            2 => put(to, self.part),
            3 => put(to, self.attempt),
            4 => put(to, self.session_id),
            5 => put(to, self.sequence_number),
            6 => put_some(to, self.claimed_at),
            7 => put_some(to, self.answered_at),
            8 => to.push_str(&self.state),
            9 => put_some(to, self.command_status),
            10 => text_of(to, &self.message_id),
            11 => text_of(to, &self.reason),
            _ => text_of(to, &self.tlvs),
        }
    }

    fn shown(&self, column: usize, to: &mut String) {
        match column {
            6 => put_moment(to, self.claimed_at),
            9 => put_some(to, self.command_status.map(CommandStatus)),
            _ => self.cell(column, to),
        }
    }
}

impl Record for ReceiptRow {
    const COLUMNS: &'static [&'static str] = &[
        "received_at",
        "message_id",
        "state",
        "error",
        "rule",
        "campaign",
        "line",
        "part",
        "text",
        "receipt",
        "source",
        "destination",
        "other_state",
        "meaning",
        "tlvs",
    ];
    const TABLE: &'static [usize] = &[9, 0, 6, 7, 1, 2, 3, 4, 10];

    fn cell(&self, column: usize, to: &mut String) {
        let text = text_of;
        match column {
            0 => put_some(to, self.received_at),
            1 => text(to, &self.message_id),
            2 => text(to, &self.state),
            3 => text(to, &self.error),
            4 => to.push_str(self.rule),
            5 => text(to, &self.campaign),
            6 => put_some(to, self.line),
            7 => put_some(to, self.part),
            8 => text(to, &self.text),
            9 => put(to, self.receipt),
            10 => text(to, &self.source),
            11 => text(to, &self.destination),
            12 => text(to, &self.other_state),
            13 => text(to, &self.meaning),
            _ => text(to, &self.tlvs),
        }
    }

    fn shown(&self, column: usize, to: &mut String) {
        match column {
            0 => put_moment(to, self.received_at),
            2 => {
                text_of(to, &self.state);
                if let Some(other) = &self.other_state {
                    let _ = write!(to, " (also {other})");
                }
            }
            3 => put_explained(to, self.error.as_deref(), self.meaning.as_deref()),
            _ => self.cell(column, to),
        }
    }
}

impl Record for SkippedRow {
    const COLUMNS: &'static [&'static str] = &["campaign", "line", "reason", "row"];
    const TABLE: &'static [usize] = &[1, 2, 3];

    fn cell(&self, column: usize, to: &mut String) {
        match column {
            0 => to.push_str(&self.campaign),
            1 => put(to, self.line),
            2 => to.push_str(&self.reason),
            _ => to.push_str(&self.row),
        }
    }
}

impl Record for OperationRow {
    const COLUMNS: &'static [&'static str] = &[
        "campaign",
        "line",
        "part",
        "operation",
        "message_id",
        "asked_at",
        "answered_at",
        "command_status",
        "state",
        "final_date",
        "error_code",
        "text",
        "outcome",
    ];
    const TABLE: &'static [usize] = &[0, 1, 2, 3, 5, 12, 7, 8, 11];

    fn cell(&self, column: usize, to: &mut String) {
        let text = |to: &mut String, text: &Option<String>| to.push_str(text.as_deref().unwrap_or_default());
        match column {
            0 => text(to, &self.campaign),
            1 => put_some(to, self.line),
            2 => put_some(to, self.part),
            3 => to.push_str(&self.operation),
            4 => to.push_str(&self.message_id),
            5 => put_some(to, self.asked_at),
            6 => put_some(to, self.answered_at),
            7 => put_some(to, self.command_status),
            8 => text(to, &self.state),
            9 => text(to, &self.final_date),
            10 => put_some(to, self.error_code),
            11 => text(to, &self.text),
            _ => to.push_str(self.outcome),
        }
    }

    fn shown(&self, column: usize, to: &mut String) {
        match column {
            5 => put_moment(to, self.asked_at),
            7 => put_some(to, self.command_status.map(CommandStatus)),
            _ => self.cell(column, to),
        }
    }
}

impl Record for InboundRow {
    const COLUMNS: &'static [&'static str] =
        &["received_at", "source", "destination", "text", "parts", "parts_received"];
    const TABLE: &'static [usize] = &[0, 1, 2, 3];

    fn cell(&self, column: usize, to: &mut String) {
        match column {
            0 => put_some(to, self.received_at),
            1 => to.push_str(&self.source),
            2 => to.push_str(&self.destination),
            3 => to.push_str(&self.text),
            4 => put(to, self.parts),
            _ => put(to, self.parts_received),
        }
    }

    fn shown(&self, column: usize, to: &mut String) {
        match column {
            0 => put_moment(to, self.received_at),
            3 if self.parts_received < self.parts => {
                let _ = write!(to, "[{} of {} parts] {}", self.parts_received, self.parts, self.text);
            }
            _ => self.cell(column, to),
        }
    }
}

impl Record for CampaignSummary {
    const COLUMNS: &'static [&'static str] = &[
        "campaign",
        "messages",
        "parts",
        "queued",
        "sending",
        "accepted",
        "delivered",
        "partly_delivered",
        "failed",
        "rejected",
        "in_doubt",
        "cancelled",
        "suppressed",
        "duplicate_rows",
        "rejected_rows",
        "first_sent_at",
        "last_sent_at",
        "purged_at",
    ];
    const TABLE: &'static [usize] = &[0];

    fn cell(&self, column: usize, to: &mut String) {
        match column {
            0 => to.push_str(&self.campaign),
            1 => put(to, self.messages),
            2 => put(to, self.parts),
            13 => put(to, self.duplicate_rows),
            14 => put(to, self.rejected_rows),
            15 => put_some(to, self.first_sent_at),
            16 => put_some(to, self.last_sent_at),
            17 => put_some(to, self.purged_at),
            state => put_some(to, self.counts.0.get(state - 3)),
        }
    }
}

/// A state's name without underscores.
pub fn state_words(state: State) -> String {
    state.name().replace('_', " ")
}
