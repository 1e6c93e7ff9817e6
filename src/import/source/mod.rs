//! A campaign file as UTF-8, piece by piece, with the digest of its raw octets.
//!
//! Without an encoding that was given, a mark at the start decides, or the zeros of UTF-16; else the file is taken as ASCII up
//! to its first octet that is none. From there on so much is looked at that it can be told whether it is UTF-8 or what else.

mod encoding;
mod guess;
mod input;
mod sheet;
mod zstd;

use std::io::{self, Read};

use encoding_rs::{DecoderResult, Encoding, UTF_16BE};
use sha2::{Digest, Sha256};

pub use encoding::FileEncoding;
pub use guess::Reading;
use guess::{Guess, guess, utf16_without_mark};
pub use input::Format;
use input::Input;
pub use sheet::Sheet;

/// Octets of text read at a time.
pub(super) const CHUNK_OCTETS: usize = 128 * 1024;
/// Octets that are looked at, from the first that is not ASCII, to tell the encoding.
const GUESSED_FROM_OCTETS: usize = 256 * 1024;
/// Octets of the beginning of a word that are looked at besides.
const WORD_OCTETS: usize = 32;
/// Octets that are looked at to see whether it is UTF-16.
const ZEROS_IN_OCTETS: usize = 4096;

/// What is done with octets that are of no encoding that could be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Doubtful {
    /// They refuse the file.
    #[default]
    Refuse,
    /// They are read as Windows-1252: of a number every encoding there is makes the same.
    Take,
}

/// How a file is to be read.
#[derive(Clone, Debug)]
pub(super) struct How {
    /// Its encoding; `None`: as it shows.
    pub encoding: Option<FileEncoding>,
    pub doubtful: Doubtful,
    /// The sheet of a spreadsheet: its name, or its place from 1; `None`: the first.
    pub sheet: Option<String>,
    /// Octets of text read at a time: at least 4, so that they hold any character.
    pub chunk_octets: usize,
}

impl Default for How {
    fn default() -> Self {
        How { encoding: None, doubtful: Doubtful::Refuse, sheet: None, chunk_octets: CHUNK_OCTETS }
    }
}

/// Why no more text comes.
#[derive(Debug)]
pub(super) enum SourceError {
    Io(io::Error),
    /// What the text is packed in is damaged.
    Packed(Format, io::Error),
    /// The file is an old spreadsheet (.xls), or one that a password protects.
    OldSpreadsheet,
    /// The file is a spreadsheet or an archive, and cannot be read, in words.
    Sheet(String),
    /// A sheet was asked for, and the file is text.
    NoSpreadsheet,
    /// The file is of a kind that is not read.
    Unknown(&'static str),
    /// Text in UTF-32.
    Utf32,
    /// What cannot be read starts at this octet of the text, from 0.
    Malformed(u64),
    /// Nobody can say for sure what it is in.
    Unsure(Vec<Reading>),
}

/// How the octets become text.
enum State {
    /// Nothing was read yet.
    New,
    /// ASCII so far.
    Ascii,
    Utf8,
    Other(encoding_rs::Decoder),
}

/// Reads, unpacks, digests and decodes.
pub(super) struct Source<R> {
    input: Input<R>,
    /// Octets that were read and not decoded yet.
    raw: Vec<u8>,
    chunk_octets: usize,
    /// Octets of the text before `raw`.
    decoded: u64,
    is_whole: bool,
    is_ended: bool,
    given: Option<FileEncoding>,
    doubtful: Doubtful,
    encoding: FileEncoding,
    guessed: Option<Reading>,
    state: State,
}

impl<R: Read> Source<R> {
    pub(super) fn new(input: R, how: How) -> Source<R> {
        Source {
            input: Input::new(input, how.sheet),
            raw: Vec::new(),
            chunk_octets: how.chunk_octets.max(4),
            decoded: 0,
            is_whole: false,
            is_ended: false,
            given: how.encoding,
            doubtful: how.doubtful,
            encoding: how.encoding.unwrap_or(FileEncoding::UTF_8),
            guessed: None,
            state: State::New,
        }
    }

    /// What it decodes, and whether that was said when the file was opened.
    pub(super) fn encoding(&self) -> (FileEncoding, bool) {
        (self.encoding, self.given.is_some())
    }

    /// The encoding that it was taken for, where it neither was said nor shows.
    pub(super) fn guessed(&self) -> Option<&Reading> {
        self.guessed.as_ref()
    }

    /// What the text is packed in.
    pub(super) fn format(&self) -> Option<Format> {
        self.input.format()
    }

    /// The sheet that is read, where the file is a spreadsheet.
    pub(super) fn sheet(&self) -> Option<&Sheet> {
        self.input.sheet()
    }

    /// Raw octets of the file read so far.
    pub(super) fn octets(&self) -> u64 {
        self.input.octets()
    }

    /// SHA-256 of all raw octets of the file, once the end has been seen.
    pub(super) fn digest(&self) -> Option<[u8; 32]> {
        self.is_whole.then(|| self.input.digest())
    }

    /// Appends the next piece to `text`; `false` at the end. On an error, `text` holds what came before it.
    pub(super) fn fill(&mut self, text: &mut String) -> Result<bool, SourceError> {
        if self.is_ended {
            return Ok(false);
        }
        self.read_up_to(self.raw.len() + self.chunk_octets)?;
        self.is_ended = self.is_whole;
        if matches!(self.state, State::New) {
            self.start()?;
        }
        if matches!(self.state, State::Ascii) {
            let ascii = ascii_octets(&self.raw);
            self.take_utf8(ascii, text);
            if !self.raw.is_empty() {
                self.read_up_to(GUESSED_FROM_OCTETS.max(self.chunk_octets))?;
                self.is_ended = self.is_whole;
                self.tell(text)?;
            }
        }
        match std::mem::replace(&mut self.state, State::Utf8) {
            State::Other(mut decoder) => {
                let decoded = self.decode(&mut decoder, text);
                self.state = State::Other(decoder);
                decoded?;
            }
            State::Utf8 => self.check_utf8(text)?,
            state => self.state = state,
        }
        Ok(true)
    }

    /// Reads until there are so many octets, or no more.
    fn read_up_to(&mut self, octets: usize) -> Result<(), SourceError> {
        let mut filled = self.raw.len();
        self.raw.resize(filled.max(octets), 0);
        let mut outcome = Ok(());
        while filled < octets && !self.is_whole {
            match self.input.read(&mut self.raw[filled..]) {
                Ok(0) => self.is_whole = true,
                Ok(octets) => filled += octets,
                Err(SourceError::Io(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            }
        }
        self.raw.truncate(filled);
        outcome
    }

    /// Looks at how the text starts.
    fn start(&mut self) -> Result<(), SourceError> {
        if self.sheet().is_some() {
            self.decide(FileEncoding::UTF_8.get());
            return Ok(());
        }
        let head = &self.raw[..];
        if matches!(head, [0xFF, 0xFE, 0, 0, ..] | [0, 0, 0xFE, 0xFF, ..]) {
            return Err(SourceError::Utf32);
        }
        let (found, mark) = match (Encoding::for_bom(head), self.given) {
            (Some((encoding, mark)), _) => (Some(encoding), mark),
            (None, Some(given)) if given.is_utf16() && head.first() == Some(&0) => (Some(UTF_16BE), 0),
            (None, Some(given)) => (Some(given.get()), 0),
            (None, None) => (utf16_without_mark(&head[..head.len().min(ZEROS_IN_OCTETS)]), 0),
        };
        self.forget(mark);
        match found {
            Some(encoding) => self.decide(encoding),
            None => self.state = State::Ascii,
        }
        Ok(())
    }

    fn decide(&mut self, encoding: &'static Encoding) {
        self.encoding = FileEncoding::new(encoding);
        self.state = match self.encoding == FileEncoding::UTF_8 {
            true => State::Utf8,
            false => State::Other(encoding.new_decoder_without_bom_handling()),
        };
    }

    /// Tells the encoding by what begins with the first octet that is not ASCII. `before`: the text in front of it.
    fn tell(&mut self, before: &str) -> Result<(), SourceError> {
        let is_escape = self.raw[0] == ESCAPE;
        if !is_escape && could_be_utf8(&self.raw, self.is_whole) {
            self.decide(FileEncoding::UTF_8.get());
            return Ok(());
        }
        let word = before.rfind(|c: char| !c.is_ascii_alphanumeric()).map_or(0, |end| end + 1);
        let octets = [&before.as_bytes()[word.max(before.len().saturating_sub(WORD_OCTETS))..], &self.raw].concat();
        match guess(&octets, self.is_whole) {
            Guess::Sure(reading) => {
                self.decide(reading.encoding.get());
                self.guessed = Some(reading);
            }
            Guess::Unsure(_) if self.doubtful == Doubtful::Take => self.decide(encoding_rs::WINDOWS_1252),
            Guess::Unsure(readings) => return Err(SourceError::Unsure(readings)),
        }
        Ok(())
    }

    /// Appends octets that are known to be UTF-8.
    fn take_utf8(&mut self, octets: usize, text: &mut String) {
        text.push_str(std::str::from_utf8(&self.raw[..octets]).unwrap_or_default());
        self.forget(octets);
    }

    fn forget(&mut self, octets: usize) {
        self.raw.drain(..octets);
        self.decoded += octets as u64;
    }

    fn check_utf8(&mut self, text: &mut String) -> Result<(), SourceError> {
        while let Err(error) = std::str::from_utf8(&self.raw) {
            self.take_utf8(error.valid_up_to(), text);
            let odd = match error.error_len() {
                Some(octets) => octets,
                None if self.is_ended => self.raw.len(),
                // A character that a chunk cut in two.
                None => return Ok(()),
            };
            if self.doubtful == Doubtful::Refuse {
                return Err(SourceError::Malformed(self.decoded));
            }
            text.push_str(&encoding_rs::WINDOWS_1252.decode_without_bom_handling(&self.raw[..odd]).0);
            self.forget(odd);
        }
        self.take_utf8(self.raw.len(), text);
        Ok(())
    }

    fn decode(&mut self, decoder: &mut encoding_rs::Decoder, text: &mut String) -> Result<(), SourceError> {
        let mut chunk = &self.raw[..];
        let outcome = loop {
            // The length is known unless it would overflow, which a chunk's does not.
            text.reserve(decoder.max_utf8_buffer_length_without_replacement(chunk.len()).unwrap_or(4 * chunk.len()));
            let (result, read) = decoder.decode_to_string_without_replacement(chunk, text, self.is_ended);
            chunk = &chunk[read..];
            match result {
                DecoderResult::InputEmpty => break Ok(()),
                DecoderResult::OutputFull => {}
                DecoderResult::Malformed(..) if self.doubtful == Doubtful::Take => {
                    text.push(char::REPLACEMENT_CHARACTER)
                }
                DecoderResult::Malformed(octets, after) => {
                    let read = (self.raw.len() - chunk.len()) as u64;
                    let back = u64::from(octets) + u64::from(after);
                    break Err(SourceError::Malformed((self.decoded + read).saturating_sub(back)));
                }
            }
        };
        self.forget(self.raw.len());
        outcome
    }
}

const ESCAPE: u8 = 0x1B;

/// Octets up to the first that is not ASCII, or that begins an escape of ISO-2022-JP.
fn ascii_octets(octets: &[u8]) -> usize {
    let ascii = if octets.is_ascii() { octets.len() } else { Encoding::ascii_valid_up_to(octets) };
    if !octets[..ascii].contains(&ESCAPE) {
        return ascii;
    }
    let mut from = 0;
    while let Some(at) = octets[from..ascii].iter().position(|&octet| octet == ESCAPE) {
        let at = from + at;
        if matches!(octets[at..], [_, b'$', b'B' | b'@', ..] | [_, b'(', b'J' | b'I', ..]) {
            return at;
        }
        from = at + 1;
    }
    ascii
}

/// Whether octets are UTF-8, as far as a cut at their end lets it be seen, or were before something in them was damaged: in
/// other encodings hardly a character looks like one of UTF-8.
fn could_be_utf8(octets: &[u8], is_whole: bool) -> bool {
    let (mut characters, mut odd) = (0, 0);
    let mut rest = octets;
    while let Err(error) = std::str::from_utf8(rest) {
        let (valid, after) = rest.split_at(error.valid_up_to());
        characters += not_ascii(valid);
        match error.error_len() {
            Some(length) => {
                odd += 1;
                rest = &after[length..];
            }
            None => {
                odd += usize::from(is_whole);
                rest = &[];
            }
        }
    }
    odd == 0 || characters + not_ascii(rest) >= odd
}

/// Characters that are not ASCII.
fn not_ascii(octets: &[u8]) -> usize {
    octets.iter().filter(|&&octet| octet >= 0xC0).count()
}

/// SHA-256 of a whole file, as [`RowReader::digest`](super::RowReader::digest) has it at the end.
pub fn digest_of(mut input: impl Read) -> io::Result<[u8; 32]> {
    let mut digest = Sha256::new();
    let mut chunk = vec![0; CHUNK_OCTETS];
    loop {
        match input.read(&mut chunk) {
            Ok(0) => return Ok(digest.finalize().into()),
            Ok(octets) => digest.update(&chunk[..octets]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
