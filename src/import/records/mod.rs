//! Records out of a CSV file (RFC 4180, and what spreadsheets make of it).
//!
//! The `csv` crate splits. Its text comes off a [`Tape`], which holds on to the record being read: an operator must be
//! told the physical line on which a record starts or a quote was opened (a CR alone ends a line too), must get a
//! rejected row back as it was written, and a file with a quote that is never closed must be neither swallowed into
//! memory nor read as if the quote meant something.

mod spaces;

use std::io::{self, Read};

use csv::{Reader, ReaderBuilder, StringRecord};

use super::error::ImportError;
use super::reader::is_delimiter;
use super::source::{Format, How, Reading, Sheet, Source, SourceError};
use spaces::{MARK, Spaces};

/// Octets that one record may have. The longest text that can be sent has 39,015 characters.
const RECORD_OCTETS_MAX: usize = 1024 * 1024;

/// Octets of a line that names the delimiter, and its line end.
const SEP_LINE_OCTETS: usize = 64;

/// What programs of DOS end a file with (Ctrl-Z).
const DOS_END: char = '\u{1a}';

/// Octets that the splitter takes off the tape at a time.
const SPLITTER_OCTETS: usize = 32 * 1024;

/// Reads records one by one into buffers that are used again.
pub(super) struct Records<R> {
    splitter: Reader<Tape<R>>,
    delimiter: u8,
    record: StringRecord,
    /// Octets of the record read last, as it was written without its line end, and the line ends within.
    octets: usize,
    line_ends: u64,
    stray_quote: bool,
    /// Some fields have marks of spaces at their ends.
    has_marks: bool,
}

/// The file's text on its way to the splitter, kept from the start of the record being read.
struct Tape<R> {
    source: Source<R>,
    text: String,
    /// Octets that went through `text` and were forgotten, counted from where the splitter began.
    forgotten: u64,
    /// Where the record being read starts in `text`, and its physical line, from 1.
    start: usize,
    line: u64,
    /// How far the splitter has read in `text`.
    played: usize,
    spaces: Spaces,
    /// No more text will come.
    ended: bool,
    failure: Option<Failure>,
}

/// Why the tape stopped. The splitter passes it on without understanding it.
enum Failure {
    Source(SourceError),
    TooLong,
}

/// What the quotes of a record amount to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quotes {
    /// Each is closed on the line on which it was opened, or else where its field ends.
    Closed {
        line_ends: u64,
        /// Text follows a closing quote: the file does not say where the field ends.
        stray: bool,
    },
    /// One that was opened so many lines into the record is not closed, or closed on another line and text follows.
    Open { lines: u64 },
}

impl<R: Read> Records<R> {
    pub(super) fn new(input: R, how: How, delimiter: u8) -> Records<R> {
        let tape = Tape {
            source: Source::new(input, how),
            text: String::new(),
            forgotten: 0,
            start: 0,
            line: 1,
            played: 0,
            spaces: Spaces::new(delimiter),
            ended: false,
            failure: None,
        };
        Records::on(tape, delimiter)
    }

    fn on(mut tape: Tape<R>, delimiter: u8) -> Records<R> {
        tape.spaces = Spaces::new(delimiter);
        let splitter = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter)
            .buffer_capacity(SPLITTER_OCTETS)
            .from_reader(tape);
        let record = StringRecord::new();
        Records { splitter, delimiter, record, octets: 0, line_ends: 0, stray_quote: false, has_marks: false }
    }

    /// Goes back to the start of the record read last, to read it and the rest with another delimiter.
    pub(super) fn again_with(self, delimiter: u8) -> Records<R> {
        let mut tape = self.splitter.into_inner();
        tape.forget();
        (tape.played, tape.forgotten) = (0, 0);
        Records::on(tape, delimiter)
    }

    /// Raw octets read so far.
    pub(super) fn octets(&self) -> u64 {
        self.splitter.get_ref().source.octets()
    }

    /// The encoding that the file was taken for, where it neither was said nor shows.
    pub(super) fn guessed(&self) -> Option<&Reading> {
        self.splitter.get_ref().source.guessed()
    }

    /// What the text is packed in.
    pub(super) fn format(&self) -> Option<Format> {
        self.splitter.get_ref().source.format()
    }

    /// The sheet that is read, where the file is a spreadsheet. Known once something was read.
    pub(super) fn sheet(&self) -> Option<&Sheet> {
        self.splitter.get_ref().source.sheet()
    }

    /// SHA-256 of all raw octets, once the end has been seen.
    pub(super) fn digest(&self) -> Option<[u8; 32]> {
        self.splitter.get_ref().source.digest()
    }

    /// Passes over a first line `sep=;`, by which Excel names its delimiter, and returns that. Only for a file of which
    /// nothing was read; records are then read [`again_with`](Records::again_with) a delimiter.
    pub(super) fn take_sep_line(&mut self) -> Result<Option<u8>, ImportError> {
        let tape = self.splitter.get_mut();
        while tape.text.len() < SEP_LINE_OCTETS && !tape.ended {
            if let Err(failure) = tape.refill() {
                return Err(self.error(failure));
            }
        }
        let Some((named, octets)) = sep_line(tape.text.as_bytes()) else { return Ok(None) };
        // The line end is passed over, and counted, like that of a blank line.
        tape.start = octets;
        Ok(Some(named))
    }

    /// Moves on to the next record and says whether there is one; blank lines are no records.
    pub(super) fn advance(&mut self) -> Result<bool, ImportError> {
        let tape = self.splitter.get_mut();
        tape.start += std::mem::take(&mut self.octets);
        tape.line += std::mem::take(&mut self.line_ends);
        let read = self.splitter.read_record(&mut self.record);
        let end = self.splitter.position().byte();
        let tape = self.splitter.get_mut();
        tape.skip_blank_lines();
        match read {
            Ok(true) => {}
            Ok(false) => return Ok(false),
            Err(error) => {
                let failure = tape.failure.take().unwrap_or(Failure::Source(SourceError::Io(error.into())));
                return Err(self.error(failure));
            }
        }
        let end = usize::try_from(end - tape.forgotten).unwrap_or(usize::MAX);
        let raw = without_line_end(tape.text.as_bytes().get(tape.start..end).unwrap_or_default());
        if raw.len() > RECORD_OCTETS_MAX {
            return Err(ImportError::RowTooLong { line: tape.line });
        }
        self.octets = raw.len();
        self.stray_quote = false;
        self.has_marks = tape.spaces.moved;
        if raw.contains(&b'"') {
            match quotes(raw, self.delimiter) {
                // A row of a sheet is a line, whatever its cells have in them.
                Quotes::Closed { .. } if tape.source.sheet().is_some() => {}
                Quotes::Closed { line_ends, stray } => (self.line_ends, self.stray_quote) = (line_ends, stray),
                Quotes::Open { lines } => return Err(ImportError::UnclosedQuote { line: tape.line + lines }),
            }
        }
        Ok(true)
    }

    /// The physical line on which the record read last starts, from 1.
    pub(super) fn line(&self) -> u64 {
        self.splitter.get_ref().line
    }

    /// Whether text follows a closing quote in the record read last.
    pub(super) fn stray_quote(&self) -> bool {
        self.stray_quote
    }

    /// The number of fields of the record read last.
    pub(super) fn len(&self) -> usize {
        self.record.len()
    }

    /// A field of the record read last.
    pub(super) fn field(&self, index: usize) -> Option<&str> {
        let field = self.record.get(index)?;
        Some(if self.has_marks { field.trim_matches(char::from(MARK)) } else { field })
    }

    /// The record read last as it was written, without its line end.
    pub(super) fn raw(&self) -> &str {
        let tape = self.splitter.get_ref();
        tape.text.get(tape.start..tape.start + self.octets).unwrap_or_default()
    }

    fn error(&self, failure: Failure) -> ImportError {
        let tape = self.splitter.get_ref();
        let kept = tape.text.as_bytes().get(tape.start..).unwrap_or_default();
        match failure {
            Failure::Source(SourceError::Io(error)) => ImportError::Io(error),
            Failure::Source(SourceError::Packed(format, error)) => ImportError::Packed(format, error),
            Failure::Source(SourceError::OldSpreadsheet) => ImportError::OldSpreadsheet,
            Failure::Source(SourceError::Sheet(words)) => ImportError::Sheet(words),
            Failure::Source(SourceError::NoSpreadsheet) => ImportError::NoSpreadsheet,
            Failure::Source(SourceError::Unknown(what)) => ImportError::Unknown(what),
            Failure::Source(SourceError::Utf32) => ImportError::Utf32,
            Failure::Source(SourceError::Unsure(readings)) => {
                ImportError::Encoding { line: tape.line + line_ends(kept), readings }
            }
            Failure::Source(SourceError::Malformed(octet)) => {
                let (encoding, given) = tape.source.encoding();
                ImportError::Malformed { encoding, given, line: tape.line + line_ends(kept), octet }
            }
            Failure::TooLong => match quotes(kept, self.delimiter) {
                Quotes::Open { lines } => ImportError::UnclosedQuote { line: tape.line + lines },
                Quotes::Closed { .. } => ImportError::RowTooLong { line: tape.line },
            },
        }
    }
}

impl<R: Read> Read for Tape<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let ready = self.ready();
            let octets = out.len().min(ready - self.played);
            out[..octets].copy_from_slice(&self.text.as_bytes()[self.played..self.played + octets]);
            let is_last = self.ended && self.played + octets == ready;
            let mut passed = self.spaces.pass(&mut out[..octets], is_last);
            if passed == 0 && octets == out.len() {
                // More spaces than anybody means: they stay where they are.
                passed = octets;
            }
            if passed > 0 || self.ended || out.is_empty() {
                self.played += passed;
                return Ok(passed);
            }
            if let Err(failure) = self.refill() {
                self.failure = Some(failure);
                return Err(io::Error::other("no more text"));
            }
        }
    }
}

impl<R: Read> Tape<R> {
    /// Appends more text; what comes before the record being read is forgotten.
    fn refill(&mut self) -> Result<(), Failure> {
        self.skip_blank_lines();
        self.forget();
        if self.text.len() > RECORD_OCTETS_MAX {
            return Err(Failure::TooLong);
        }
        self.ended = !self.source.fill(&mut self.text).map_err(Failure::Source)?;
        if self.ended {
            self.text.truncate(self.text.trim_end_matches(DOS_END).len());
        }
        Ok(())
    }

    /// How far the text can be given out: what may be the end of the file for DOS waits.
    fn ready(&self) -> usize {
        self.text.trim_end_matches(DOS_END).len()
    }

    fn forget(&mut self) {
        self.text.drain(..self.start);
        self.played = self.played.saturating_sub(self.start);
        self.forgotten += self.start as u64;
        self.start = 0;
    }

    /// Moves the start over line ends, that of the record before among them.
    fn skip_blank_lines(&mut self) {
        let blank = &self.text.as_bytes()[self.start..];
        let end = blank.iter().position(|&octet| !is_line_end(octet)).unwrap_or(blank.len());
        // A carriage return at the end of the text waits for its line feed, or the pair would count as two lines.
        let end = if end == blank.len() && !self.ended && blank.last() == Some(&b'\r') { end - 1 } else { end };
        self.line += line_ends(&blank[..end]);
        self.start += end;
    }
}

/// Follows the quotes of one record as the splitter does.
fn quotes(octets: &[u8], delimiter: u8) -> Quotes {
    let is_blank = |octet: u8| (octet == b' ' || octet == b'\t') && octet != delimiter;
    let past_blanks = |from: usize| {
        let rest = octets.get(from..).unwrap_or_default();
        from + rest.iter().position(|&octet| !is_blank(octet)).unwrap_or(rest.len())
    };
    let (mut at, mut lines, mut stray) = (0, 0, false);
    loop {
        let begin = past_blanks(at);
        if octets.get(begin) == Some(&b'"') {
            let opened = lines;
            let Some(end) = closing_quote(octets, begin + 1) else { return Quotes::Open { lines: opened } };
            lines += line_ends(&octets[begin + 1..end]);
            at = past_blanks(end + 1);
            if octets.get(at).is_some_and(|&octet| octet != delimiter) {
                if lines > opened {
                    return Quotes::Open { lines: opened };
                }
                stray = true;
            }
        }
        match octets.get(at..).and_then(|rest| memchr::memchr(delimiter, rest)) {
            Some(plain) => at += plain + 1,
            None => return Quotes::Closed { line_ends: lines, stray },
        }
    }
}

/// A first line by which Excel names its delimiter, `sep=;`, with or without quotes, and with the delimiters that a program
/// put behind it which did not know what it is: the delimiter, and the octets up to its line end.
fn sep_line(text: &[u8]) -> Option<(u8, usize)> {
    let end = text.iter().take(SEP_LINE_OCTETS).position(|&octet| is_line_end(octet))?;
    let line = &text[..end];
    let quotes = usize::from(line.first() == Some(&b'"'));
    let name = line.get(quotes..quotes + 4)?;
    let named = *line.get(quotes + 4)?;
    let rest = line.get(quotes + 5..)?;
    let is_rest = match rest.split_first() {
        Some((b'"', rest)) if quotes == 1 => rest.iter().all(|&octet| octet == named),
        _ => quotes == 0 && rest.iter().all(|&octet| octet == named || octet == b' '),
    };
    (name.eq_ignore_ascii_case(b"sep=") && is_delimiter(named) && is_rest).then_some((named, end))
}

/// Where the quoted field that starts at `from` is closed; doubled quotes are passed over.
fn closing_quote(octets: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        at += memchr::memchr(b'"', octets.get(at..)?)?;
        match octets.get(at + 1) {
            Some(b'"') => at += 2,
            _ => return Some(at),
        }
    }
}

fn without_line_end(octets: &[u8]) -> &[u8] {
    let end = octets.iter().rposition(|&octet| !is_line_end(octet)).map_or(0, |last| last + 1);
    &octets[..end]
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
