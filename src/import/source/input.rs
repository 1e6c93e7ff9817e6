//! The octets of a campaign's text, whatever the file packs them in: known by its content, not by its name.
//!
//! The digest and the progress are those of the file itself. What is packed is unpacked as it is read; a spreadsheet comes as
//! the text of a CSV file.

use std::io::{self, Read};

use flate2::read::MultiGzDecoder;
use sha2::{Digest, Sha256};

use super::SourceError;
use super::sheet::{Sheet, SheetText};
use super::zstd::Frames;

/// Octets by which a format is known.
const HEAD_OCTETS: usize = 8;

/// The formats that are read besides text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
    /// A spreadsheet of Office Open XML.
    Xlsx,
    /// An OpenDocument spreadsheet.
    Ods,
}

impl Format {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Format::Gzip => "gzip",
            Format::Zstd => "Zstandard",
            Format::Xlsx => "xlsx",
            Format::Ods => "ods",
        }
    }
}

/// What a file is, by how it begins.
enum Head {
    Text,
    Packed(Format),
    /// A ZIP archive, as .xlsx and .ods are.
    Zip,
    /// What old spreadsheets are, and new ones that a password protects.
    Compound,
    /// What nothing here reads, by its name.
    Unknown(&'static str),
}

fn head_of(octets: &[u8]) -> Head {
    match octets {
        [0x1F, 0x8B, 0x08, ..] => Head::Packed(Format::Gzip),
        // A frame, or one to be passed over in front of it.
        [0x28, 0xB5, 0x2F, 0xFD, ..] | [0x50..=0x5F, 0x2A, 0x4D, 0x18, ..] => Head::Packed(Format::Zstd),
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Head::Zip,
        [0xD0, 0xCF, 0x11, 0xE0, ..] => Head::Compound,
        [0xFD, b'7', b'z', b'X', b'Z', 0, ..] => Head::Unknown("an .xz archive"),
        [b'7', b'z', 0xBC, 0xAF, 0x27, 0x1C, ..] => Head::Unknown("a .7z archive"),
        [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26] => Head::Unknown("a .bz2 archive"),
        [b'R', b'a', b'r', b'!', 0x1A, 0x07, ..] => Head::Unknown("a .rar archive"),
        [b'%', b'P', b'D', b'F', b'-', ..] => Head::Unknown("a PDF file"),
        [b'S', b'Q', b'L', b'i', b't', b'e', b' ', b'f'] => Head::Unknown("an SQLite database"),
        _ => Head::Text,
    }
}

/// The file's own octets, counted and digested, with the first of them given back.
struct Raw<R> {
    input: R,
    head: Vec<u8>,
    given: usize,
    octets: u64,
    digest: Sha256,
}

impl<R: Read> Raw<R> {
    /// Reads the head, which is given out again.
    fn peek(&mut self) -> io::Result<&[u8]> {
        let mut head = Vec::with_capacity(HEAD_OCTETS);
        self.input.by_ref().take(HEAD_OCTETS as u64).read_to_end(&mut head)?;
        self.note(&head);
        self.head = head;
        Ok(&self.head)
    }

    fn note(&mut self, octets: &[u8]) {
        self.octets += octets.len() as u64;
        self.digest.update(octets);
    }
}

impl<R: Read> Read for Raw<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.given < self.head.len() {
            let octets = out.len().min(self.head.len() - self.given);
            out[..octets].copy_from_slice(&self.head[self.given..self.given + octets]);
            self.given += octets;
            return Ok(octets);
        }
        let octets = self.input.read(out)?;
        let read = &out[..octets];
        self.octets += octets as u64;
        self.digest.update(read);
        Ok(octets)
    }
}

enum Unpacked<R> {
    Closed,
    Text(Raw<R>),
    Gzip(Box<MultiGzDecoder<Raw<R>>>),
    Zstd(Box<Frames<Raw<R>>>),
    Sheet(Box<SheetText>, Raw<R>),
}

/// Reads, digests and unpacks.
pub(super) struct Input<R> {
    unpacked: Unpacked<R>,
    is_opened: bool,
    format: Option<Format>,
    /// The sheet that is wanted of a spreadsheet.
    wanted: Option<String>,
}

impl<R: Read> Input<R> {
    /// `wanted`: the name of a sheet or its place from 1, where one was asked for.
    pub(super) fn new(input: R, wanted: Option<String>) -> Input<R> {
        let raw = Raw { input, head: Vec::new(), given: 0, octets: 0, digest: Sha256::new() };
        Input { unpacked: Unpacked::Text(raw), is_opened: false, format: None, wanted }
    }

    /// What the text is packed in.
    pub(super) fn format(&self) -> Option<Format> {
        self.format
    }

    /// The sheet that is read, where the file is a spreadsheet.
    pub(super) fn sheet(&self) -> Option<&Sheet> {
        match &self.unpacked {
            Unpacked::Sheet(text, _) => Some(&text.sheet),
            _ => None,
        }
    }

    /// Octets of the file read so far.
    pub(super) fn octets(&self) -> u64 {
        self.raw().map_or(0, |raw| raw.octets)
    }

    fn raw(&self) -> Option<&Raw<R>> {
        match &self.unpacked {
            Unpacked::Closed => None,
            Unpacked::Text(raw) | Unpacked::Sheet(_, raw) => Some(raw),
            Unpacked::Gzip(gzip) => Some(gzip.get_ref()),
            Unpacked::Zstd(frames) => Some(frames.get_ref()),
        }
    }

    /// SHA-256 of the file, whose text has been read to its end.
    pub(super) fn digest(&self) -> [u8; 32] {
        self.raw().map(|raw| raw.digest.clone().finalize().into()).unwrap_or_default()
    }

    /// Reads text into `out`; 0 at its end. The file has been read to its end by then.
    pub(super) fn read(&mut self, out: &mut [u8]) -> Result<usize, SourceError> {
        if !self.is_opened {
            self.is_opened = true;
            self.open()?;
        }
        let octets = match &mut self.unpacked {
            Unpacked::Closed => Ok(0),
            Unpacked::Text(raw) => raw.read(out),
            Unpacked::Gzip(gzip) => gzip.read(out),
            Unpacked::Zstd(frames) => frames.read(out),
            Unpacked::Sheet(text, _) => return text.read(out),
        };
        octets.map_err(|error| match self.format {
            // What the system says of the file itself is passed on; all else is the packing's.
            Some(format) if error.raw_os_error().is_none() && error.kind() != io::ErrorKind::Interrupted => {
                SourceError::Packed(format, error)
            }
            _ => SourceError::Io(error),
        })
    }

    fn open(&mut self) -> Result<(), SourceError> {
        let Unpacked::Text(mut raw) = std::mem::replace(&mut self.unpacked, Unpacked::Closed) else { return Ok(()) };
        let head = head_of(raw.peek().map_err(SourceError::Io)?);
        if self.wanted.is_some() && !matches!(head, Head::Zip | Head::Compound) {
            return Err(SourceError::NoSpreadsheet);
        }
        self.unpacked = match head {
            Head::Text => Unpacked::Text(raw),
            Head::Packed(format) => {
                self.format = Some(format);
                match format {
                    Format::Zstd => Unpacked::Zstd(Box::new(Frames::new(raw))),
                    _ => Unpacked::Gzip(Box::new(MultiGzDecoder::new(raw))),
                }
            }
            Head::Zip => {
                let text = SheetText::open(&mut raw, self.wanted.as_deref())?;
                self.format = Some(text.format);
                Unpacked::Sheet(Box::new(text), raw)
            }
            Head::Compound => return Err(SourceError::OldSpreadsheet),
            Head::Unknown(what) => return Err(SourceError::Unknown(what)),
        };
        Ok(())
    }
}
