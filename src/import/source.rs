//! A campaign file as UTF-8, piece by piece, with the digest of its raw octets.

use std::io::{self, Read};
use std::str::FromStr;

use encoding_rs::{DecoderResult, UTF_16BE, UTF_16LE, WINDOWS_1252};
use sha2::{Digest, Sha256};

/// Raw octets read at a time.
pub(super) const CHUNK_OCTETS: usize = 128 * 1024;

/// How a ZIP archive, which .xlsx and .ods are, and how an old .xls starts.
const ARCHIVES: [[u8; 4]; 2] = [*b"PK\x03\x04", [0xD0, 0xCF, 0x11, 0xE0]];

/// How the characters of a file are written. A UTF-8 or UTF-16 mark at its start is stripped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum FileEncoding {
    /// UTF-8; anything else is refused.
    #[default]
    Utf8,
    /// Latin-1, read as its superset Windows-1252, which is what spreadsheets write (the euro sign is 0x80).
    Latin1,
    /// UTF-16, little-endian unless the file starts with a mark or a zero octet.
    Utf16,
}

impl FileEncoding {
    /// The name of the option's value.
    pub fn name(self) -> &'static str {
        match self {
            FileEncoding::Utf8 => "utf-8",
            FileEncoding::Latin1 => "latin1",
            FileEncoding::Utf16 => "utf-16",
        }
    }
}

impl FromStr for FileEncoding {
    type Err = String;

    fn from_str(name: &str) -> Result<FileEncoding, String> {
        match name.to_ascii_lowercase().as_str() {
            "utf8" | "utf-8" => Ok(FileEncoding::Utf8),
            "latin1" | "latin-1" | "iso-8859-1" | "windows-1252" => Ok(FileEncoding::Latin1),
            "utf16" | "utf-16" => Ok(FileEncoding::Utf16),
            _ => Err(format!("`{name}` is not an encoding: use utf-8, latin1 or utf-16")),
        }
    }
}

/// Why no more text comes.
#[derive(Debug)]
pub(super) enum SourceError {
    Io(io::Error),
    /// The file is UTF-16 and was not said to be.
    Utf16,
    /// The file is no text at all.
    Spreadsheet,
    /// What cannot be read starts at this raw octet, from 0.
    Malformed(u64),
}

/// Reads, digests and decodes.
pub(super) struct Source<R> {
    input: R,
    raw: Vec<u8>,
    /// Octets at the start of `raw` that were read but not decoded: a character that a chunk cut in two.
    kept: usize,
    octets: u64,
    digest: Option<Sha256>,
    digested: Option<[u8; 32]>,
    encoding: FileEncoding,
    decoder: Option<encoding_rs::Decoder>,
    started: bool,
}

impl<R: Read> Source<R> {
    /// Chunks of at least 4 octets, so that one holds any character.
    pub(super) fn new(input: R, encoding: FileEncoding, chunk_octets: usize) -> Source<R> {
        let raw = vec![0; chunk_octets.max(4)];
        let digest = Some(Sha256::new());
        Source { input, raw, kept: 0, octets: 0, digest, digested: None, encoding, decoder: None, started: false }
    }

    /// What it decodes.
    pub(super) fn encoding(&self) -> FileEncoding {
        self.encoding
    }

    /// Raw octets read so far.
    pub(super) fn octets(&self) -> u64 {
        self.octets
    }

    /// SHA-256 of all raw octets, once the end has been seen.
    pub(super) fn digest(&self) -> Option<[u8; 32]> {
        self.digested
    }

    /// Appends the next piece to `text`; `false` at the end. On an error, `text` holds what came before it.
    pub(super) fn fill(&mut self, text: &mut String) -> Result<bool, SourceError> {
        if self.digested.is_some() {
            return Ok(false);
        }
        let filled = self.kept + self.read_chunk()?;
        let last = filled < self.raw.len();
        if last && let Some(digest) = self.digest.take() {
            self.digested = Some(digest.finalize().into());
        }
        let mut from = 0;
        if !self.started {
            self.started = true;
            from = self.start(filled)?;
        }
        match self.decoder.take() {
            Some(mut decoder) => {
                let decoded = self.decode(&mut decoder, filled, last, text);
                self.decoder = Some(decoder);
                decoded?;
            }
            None => self.check_utf8(from, filled, last, text)?,
        }
        Ok(!last || filled > 0)
    }

    /// Fills the rest of the chunk; fewer octets than that are the last.
    fn read_chunk(&mut self) -> Result<usize, SourceError> {
        let mut filled = self.kept;
        while filled < self.raw.len() {
            match self.input.read(&mut self.raw[filled..]) {
                Ok(0) => break,
                Ok(octets) => filled += octets,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(SourceError::Io(error)),
            }
        }
        let read = filled - self.kept;
        self.octets += read as u64;
        if let Some(digest) = &mut self.digest {
            digest.update(&self.raw[self.kept..filled]);
        }
        Ok(read)
    }

    /// Looks at how the file starts; returns the octets of a UTF-8 mark, to be passed over.
    fn start(&mut self, filled: usize) -> Result<usize, SourceError> {
        let head = &self.raw[..filled];
        if ARCHIVES.iter().any(|magic| head.starts_with(magic)) {
            return Err(SourceError::Spreadsheet);
        }
        match self.encoding {
            FileEncoding::Utf8 => match head {
                [0xEF, 0xBB, 0xBF, ..] => Ok(3),
                // Without a mark, UTF-16 shows by the zero octet in the first letter of its header.
                [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] | [0, _, ..] | [_, 0, ..] => Err(SourceError::Utf16),
                _ => Ok(0),
            },
            FileEncoding::Latin1 => {
                self.decoder = Some(WINDOWS_1252.new_decoder());
                Ok(0)
            }
            FileEncoding::Utf16 => {
                let encoding = if head.first() == Some(&0) { UTF_16BE } else { UTF_16LE };
                self.decoder = Some(encoding.new_decoder());
                Ok(0)
            }
        }
    }

    fn check_utf8(&mut self, from: usize, filled: usize, last: bool, text: &mut String) -> Result<(), SourceError> {
        let chunk = &self.raw[from..filled];
        let Err(error) = std::str::from_utf8(chunk).map(|valid| text.push_str(valid)) else {
            self.kept = 0;
            return Ok(());
        };
        let valid = error.valid_up_to();
        text.push_str(std::str::from_utf8(&chunk[..valid]).unwrap_or_default());
        if error.error_len().is_some() || last {
            return Err(SourceError::Malformed(self.octets - (chunk.len() - valid) as u64));
        }
        self.raw.copy_within(from + valid..filled, 0);
        self.kept = filled - from - valid;
        Ok(())
    }

    fn decode(
        &self,
        decoder: &mut encoding_rs::Decoder,
        filled: usize,
        last: bool,
        text: &mut String,
    ) -> Result<(), SourceError> {
        let mut chunk = &self.raw[..filled];
        loop {
            // The length is known unless it would overflow, which a chunk's does not.
            text.reserve(decoder.max_utf8_buffer_length_without_replacement(chunk.len()).unwrap_or(4 * chunk.len()));
            let (result, read) = decoder.decode_to_string_without_replacement(chunk, text, last);
            chunk = &chunk[read..];
            match result {
                DecoderResult::InputEmpty => return Ok(()),
                DecoderResult::OutputFull => {}
                DecoderResult::Malformed(octets, after) => {
                    let back = chunk.len() as u64 + u64::from(octets) + u64::from(after);
                    return Err(SourceError::Malformed(self.octets.saturating_sub(back)));
                }
            }
        }
    }
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
