//! Rows on their way from the thread that reads the file to the one that stores them: copied one behind the other into
//! buffers that go to and fro, so that no row costs an allocation.

use crate::import::{Event, Reason};
use crate::journal::store::intake::{Kept, NewMessage};
use std::fmt::Write;

/// Rows of a batch.
const ROWS_MAX: usize = 1_024;
/// Octets after which a batch is full. One row of up to 1 MiB may go beyond.
const OCTETS_MAX: usize = 256 * 1024;
/// The length that stands for a text that is not there.
const NONE: u32 = u32::MAX;

/// Some rows of a file.
#[derive(Debug, Default)]
pub struct Batch {
    text: String,
    rows: Vec<Entry>,
    /// Octets of the file that were read when the batch was full.
    pub octets: u64,
}

/// A row: its numbers here, its texts in the order of `lengths` in the batch's.
#[derive(Debug)]
struct Entry {
    line: u64,
    kind: Kind,
    lengths: [u32; 5],
}

#[derive(Debug)]
enum Kind {
    /// Destination, source, text, fields, the number as it was written.
    Message { number: u64, encoding: u8, parts: u8, suppressed: bool },
    /// Reason, row.
    Skipped { duplicate: bool, sent_lately: bool },
}

impl Batch {
    /// Takes all rows out; the room they had stays.
    pub fn clear(&mut self) {
        self.text.clear();
        self.rows.clear();
    }

    /// Whether it should be sent on.
    pub fn is_full(&self) -> bool {
        self.rows.len() >= ROWS_MAX || self.text.len() >= OCTETS_MAX
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Copies what is to be kept of a row. `from` is the campaign's sender, which is not kept with every message.
    pub fn note(&mut self, event: &Event<'_>, from: &str) {
        match event {
            Event::Row(row) => {
                let lengths = [
                    self.copy(Some(row.destination.digits())),
                    self.copy(row.source.filter(|source| *source != from)),
                    self.copy(Some(row.text)),
                    self.copy(row.fields),
                    self.copy(row.typed),
                ];
                let kind = Kind::Message {
                    number: row.destination.same_key(),
                    encoding: row.segmentation.encoding.stored(),
                    parts: row.segmentation.parts,
                    suppressed: row.suppressed,
                };
                self.rows.push(Entry { line: row.line, kind, lengths });
            }
            Event::Rejected(rejected) => {
                let start = self.text.len();
                // A String takes whatever is written.
                let _ = write!(self.text, "{}", rejected.reason);
                let lengths = [(self.text.len() - start) as u32, self.copy(Some(rejected.row)), NONE, NONE, NONE];
                let sent_lately = matches!(rejected.reason, Reason::SentLately { .. });
                let kind = Kind::Skipped { duplicate: false, sent_lately };
                self.rows.push(Entry { line: rejected.line, kind, lengths });
            }
            Event::Duplicate(duplicate) => {
                let reason = self.copy(Some("its number came in an earlier row"));
                let lengths = [reason, self.copy(Some(duplicate.row)), NONE, NONE, NONE];
                let kind = Kind::Skipped { duplicate: true, sent_lately: false };
                self.rows.push(Entry { line: duplicate.line, kind, lengths });
            }
        }
    }

    /// The rows, in the order of the file.
    pub fn kept(&self) -> impl Iterator<Item = Kept<'_>> {
        let mut rest = self.text.as_str();
        self.rows.iter().map(move |row| {
            let mut text = |n: usize| {
                let length = row.lengths[n];
                if length == NONE {
                    return None;
                }
                let (text, behind) = rest.split_at(length as usize);
                rest = behind;
                Some(text)
            };
            match row.kind {
                Kind::Message { number, encoding, parts, suppressed } => Kept::Message(NewMessage {
                    line: row.line,
                    destination: text(0).unwrap_or_default(),
                    number,
                    source: text(1),
                    text: text(2).unwrap_or_default(),
                    fields: text(3),
                    typed: text(4),
                    encoding,
                    parts,
                    suppressed,
                }),
                Kind::Skipped { duplicate, sent_lately } => Kept::Skipped {
                    line: row.line,
                    duplicate,
                    sent_lately,
                    reason: text(0).unwrap_or_default(),
                    row: text(1).unwrap_or_default(),
                },
            }
        })
    }

    fn copy(&mut self, text: Option<&str>) -> u32 {
        let Some(text) = text else { return NONE };
        self.text.push_str(text);
        text.len() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::{RowReader, Settings};

    #[test]
    fn rows_come_out_as_they_went_in() {
        let file = "to,from,text,priority_flag\n447700900001,,Hé,\n447700900002,Shop,b,1\n447700900001,,again,\n\
                    44,,c,\n447700900003,Bank,d,\n";
        let mut reader = RowReader::open(file.as_bytes(), Settings::default()).unwrap();
        let mut batch = Batch::default();
        while let Some(event) = reader.next().unwrap() {
            batch.note(&event, "Shop");
        }
        let kept: Vec<String> = batch
            .kept()
            .map(|row| match row {
                Kept::Message(row) => {
                    let (to, from, text, fields) = (row.destination, row.source, row.text, row.fields);
                    format!("{} {to} {from:?} {text} {fields:?}", row.line)
                }
                Kept::Skipped { line, duplicate, reason, row, .. } => format!("{line} {duplicate} {reason}: {row}"),
            })
            .collect();
        assert_eq!(
            kept,
            [
                "2 447700900001 None Hé None",
                "3 447700900002 None b Some(\"{\\\"priority_flag\\\":1}\")",
                "4 true its number came in an earlier row: 447700900001,,again,",
                "5 false the number has 2 digits, at least 4 are needed: 44,,c,",
                "6 447700900003 Some(\"Bank\") d None",
            ]
        );
        assert!(batch.len() == 5 && !batch.is_full());
        batch.clear();
        assert!(batch.is_empty() && batch.kept().next().is_none());
    }
}
