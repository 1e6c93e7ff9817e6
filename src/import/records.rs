//! Records out of a CSV file (RFC 4180, and what spreadsheets make of it).
//!
//! The project's own splitter, because an operator must be told the physical line on which a record starts and on which
//! an unclosed quote was opened, must get the rejected row back as it was written, and because a file with such a quote
//! must not be swallowed into memory. What it yields is held equal to the `csv` crate by a test.

use std::io::Read;
use std::ops::Range;

use super::error::ImportError;
use super::source::{FileEncoding, Source, SourceError};

/// Octets that one record may have. The longest text that can be sent has 39,015 characters.
const RECORD_OCTETS_MAX: usize = 1024 * 1024;

/// A record that has been found in the buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Located {
    /// The physical line on which it starts, from 1.
    pub(super) line: u64,
    /// Its octets in the buffer, without the line end.
    raw: Range<usize>,
    /// Where the next record starts, and on which line.
    next: usize,
    next_line: u64,
    /// Text follows a closing quote: the file does not say where the field ends.
    pub(super) stray_quote: bool,
}

/// A field: its place in the buffer or, where doubled quotes were undone, in the scratch buffer.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: usize,
    end: usize,
    undone: bool,
}

/// Reads records one by one into buffers that are used again.
pub(super) struct Records<R> {
    source: Source<R>,
    text: String,
    /// Where the next record starts in `text`, and its line.
    at: usize,
    line: u64,
    /// No more text will come.
    ended: bool,
    delimiter: u8,
    fields: Vec<Span>,
    scratch: String,
}

/// How far a scan came.
enum Scan {
    Complete {
        content: usize,
        next: usize,
        lines: u64,
        stray_quote: bool,
    },
    /// A quote that was opened so many lines into the record was closed on another line, and text follows.
    Torn {
        opened: u64,
    },
    /// The buffer ends first; if inside a quote, it was opened so many lines into the record.
    Incomplete {
        opened: Option<u64>,
    },
}

impl<R: Read> Records<R> {
    pub(super) fn new(input: R, encoding: FileEncoding, delimiter: u8, chunk_octets: usize) -> Records<R> {
        Records {
            source: Source::new(input, encoding, chunk_octets),
            text: String::new(),
            at: 0,
            line: 1,
            ended: false,
            delimiter,
            fields: Vec::new(),
            scratch: String::new(),
        }
    }

    pub(super) fn octets(&self) -> u64 {
        self.source.octets()
    }

    pub(super) fn digest(&self) -> Option<[u8; 32]> {
        self.source.digest()
    }

    pub(super) fn set_delimiter(&mut self, delimiter: u8) {
        self.delimiter = delimiter;
    }

    /// Passes over a first line `sep=;`, by which Excel names its delimiter, and returns that.
    pub(super) fn take_sep_line(&mut self) -> Result<Option<u8>, ImportError> {
        while self.text.len() < 6 && !self.ended {
            self.refill()?;
        }
        match self.text.as_bytes() {
            &[b's' | b'S', b'e' | b'E', b'p' | b'P', b'=', named, b'\r' | b'\n', ..]
                if named.is_ascii() && !named.is_ascii_alphanumeric() && named != b'"' && !is_line_end(named) =>
            {
                // The line end is passed over, and counted, like that of a blank line.
                self.at = 5;
                Ok(Some(named))
            }
            _ => Ok(None),
        }
    }

    /// Moves on to the next record; blank lines are no records.
    pub(super) fn advance(&mut self) -> Result<Option<Located>, ImportError> {
        let located = self.locate()?;
        if let Some(located) = &located {
            self.at = located.next;
            self.line = located.next_line;
        }
        Ok(located)
    }

    /// Finds the next record and its fields without moving on.
    pub(super) fn locate(&mut self) -> Result<Option<Located>, ImportError> {
        loop {
            self.skip_blank_lines();
            let start = self.at;
            if start == self.text.len() && self.ended {
                return Ok(None);
            }
            let found = scan(&self.text[start..], self.delimiter, self.ended, &mut self.fields, &mut self.scratch);
            match found {
                Scan::Complete { content, next, lines, stray_quote } => {
                    if content > RECORD_OCTETS_MAX {
                        return Err(ImportError::RowTooLong { line: self.line });
                    }
                    for field in self.fields.iter_mut().filter(|field| !field.undone) {
                        field.start += start;
                        field.end += start;
                    }
                    return Ok(Some(Located {
                        line: self.line,
                        raw: start..start + content,
                        next: start + next,
                        next_line: self.line + lines,
                        stray_quote,
                    }));
                }
                Scan::Torn { opened } => return Err(ImportError::UnclosedQuote { line: self.line + opened }),
                Scan::Incomplete { opened } => {
                    if self.ended || self.text.len() - start > RECORD_OCTETS_MAX {
                        return Err(match opened {
                            Some(opened) => ImportError::UnclosedQuote { line: self.line + opened },
                            None => ImportError::RowTooLong { line: self.line },
                        });
                    }
                    self.refill()?;
                }
            }
        }
    }

    /// The number of fields of the record found last.
    pub(super) fn len(&self) -> usize {
        self.fields.len()
    }

    /// A field of the record found last.
    pub(super) fn field(&self, index: usize) -> Option<&str> {
        let field = self.fields.get(index)?;
        let buffer = if field.undone { &self.scratch } else { &self.text };
        buffer.get(field.start..field.end)
    }

    /// A record as it was written, without its line end. It holds until the next one is found.
    pub(super) fn raw(&self, located: &Located) -> &str {
        self.text.get(located.raw.clone()).unwrap_or_default()
    }

    fn skip_blank_lines(&mut self) {
        let blank = &self.text.as_bytes()[self.at..];
        let end = blank.iter().position(|octet| !matches!(octet, b'\r' | b'\n')).unwrap_or(blank.len());
        // A carriage return at the end of the buffer waits for its line feed, or the pair would count as two lines.
        let end = if end == blank.len() && !self.ended && blank.last() == Some(&b'\r') { end - 1 } else { end };
        self.line += line_ends(&blank[..end]);
        self.at += end;
    }

    fn refill(&mut self) -> Result<(), ImportError> {
        self.text.drain(..self.at);
        self.at = 0;
        match self.source.fill(&mut self.text) {
            Ok(more) => self.ended = !more,
            Err(SourceError::Io(error)) => return Err(ImportError::Io(error)),
            Err(SourceError::Utf16) => return Err(ImportError::Utf16),
            Err(SourceError::Malformed(octet)) => {
                return Err(ImportError::Malformed { line: self.line + line_ends(self.text.as_bytes()), octet });
            }
        }
        Ok(())
    }
}

/// Scans one record at the start of `text`, which does not start with a line end.
fn scan(text: &str, delimiter: u8, ended: bool, fields: &mut Vec<Span>, scratch: &mut String) -> Scan {
    fields.clear();
    scratch.clear();
    let octets = text.as_bytes();
    let (mut at, mut lines, mut stray_quote) = (0, 0, false);
    loop {
        if octets.get(at) == Some(&b'"') {
            let opened = lines;
            let Some(end) = closing_quote(octets, at + 1, ended) else {
                return Scan::Incomplete { opened: Some(opened) };
            };
            lines += line_ends(&octets[at + 1..end]);
            fields.push(unquoted(text, at + 1..end, scratch));
            at = end + 1;
            if octets.get(at).is_some_and(|&octet| octet != delimiter && !is_line_end(octet)) {
                if lines > opened {
                    return Scan::Torn { opened };
                }
                stray_quote = true;
                at += plain(&octets[at..], delimiter);
            }
        } else {
            let end = at + plain(&octets[at..], delimiter);
            fields.push(Span { start: at, end, undone: false });
            at = end;
        }
        match octets.get(at) {
            Some(&octet) if octet == delimiter => at += 1,
            Some(b'\r') if at + 1 == octets.len() && !ended => return Scan::Incomplete { opened: None },
            Some(_) => {
                let next = at + if octets[at..].starts_with(b"\r\n") { 2 } else { 1 };
                return Scan::Complete { content: at, next, lines: lines + 1, stray_quote };
            }
            None if ended => return Scan::Complete { content: at, next: at, lines, stray_quote },
            None => return Scan::Incomplete { opened: None },
        }
    }
}

/// The octets before the next delimiter or line end.
fn plain(octets: &[u8], delimiter: u8) -> usize {
    octets.iter().position(|&octet| octet == delimiter || is_line_end(octet)).unwrap_or(octets.len())
}

/// Where the quoted field that starts at `from` is closed; doubled quotes are passed over.
fn closing_quote(octets: &[u8], from: usize, ended: bool) -> Option<usize> {
    let mut at = from;
    loop {
        at += octets[at..].iter().position(|&octet| octet == b'"')?;
        match octets.get(at + 1) {
            Some(b'"') => at += 2,
            Some(_) => return Some(at),
            // The next piece may start with the second of a doubled quote.
            None => return ended.then_some(at),
        }
    }
}

/// The inside of a quoted field, in the scratch buffer if doubled quotes have to be undone.
fn unquoted(text: &str, inside: Range<usize>, scratch: &mut String) -> Span {
    let quoted = &text[inside.clone()];
    if !quoted.contains('"') {
        return Span { start: inside.start, end: inside.end, undone: false };
    }
    let start = scratch.len();
    for (i, piece) in quoted.split("\"\"").enumerate() {
        if i > 0 {
            scratch.push('"');
        }
        scratch.push_str(piece);
    }
    Span { start, end: scratch.len(), undone: true }
}

fn is_line_end(octet: u8) -> bool {
    octet == b'\n' || octet == b'\r'
}

/// Line ends: LF, CR LF, or a CR alone.
fn line_ends(octets: &[u8]) -> u64 {
    let feeds = octets.iter().filter(|&&octet| octet == b'\n').count();
    let returns = octets.iter().filter(|&&octet| octet == b'\r').count();
    let pairs = if returns > 0 { octets.windows(2).filter(|pair| pair == b"\r\n").count() } else { 0 };
    (feeds + returns - pairs) as u64
}
