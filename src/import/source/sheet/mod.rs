//! A sheet of an .xlsx or .ods file as the text of a CSV file: a line for each row, cells as a spreadsheet shows them.
//!
//! The file is kept in memory packed, and with it the strings that cells of an .xlsx share; the rows themselves are read one by
//! one, by a thread of its own that is never far ahead. calamine reads .xlsx. It would have all of an .ods in memory, and without
//! what is shown, so that this is read here.

mod number_format;
mod ods;
mod xlsx;

use crate::words::BadValue;
use std::fmt::Write as _;
use std::io::{Cursor, Read};
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};
use zip::ZipArchive;

use super::{Format, SourceError};

/// Octets of a spreadsheet's file.
const FILE_OCTETS_MAX: u64 = 256 * 1024 * 1024;
/// Octets that its parts other than the sheets may have when they are unpacked: shared strings and styles, all of which are
/// kept.
const STRINGS_OCTETS_MAX: u64 = 512 * 1024 * 1024;
/// Octets that one text of it may have: a cell of Excel has up to 32,767 characters.
const TEXT_OCTETS_MAX: u64 = 1024 * 1024;
/// Octets that all cells of a row may have.
const ROW_OCTETS_MAX: usize = 16 * 1024 * 1024;
/// What DEFLATE makes of one octet at most.
const DEFLATE_RATIO_MAX: u64 = 1_032;
/// Columns of a sheet that are read.
const COLUMNS_MAX: usize = 1_024;
/// Octets of text that are handed over at a time.
const PIECE_OCTETS: usize = 64 * 1024;
/// Pieces that may wait.
const PIECES: usize = 4;

/// Which sheet is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sheet {
    /// Its name.
    pub name: String,
    /// All that there are, where there is more than one.
    pub others: Vec<String>,
}

/// What comes from the thread that reads a sheet. Its end is said: a thread that only breaks off has not read all.
enum Piece {
    Text(String),
    End,
    Failed(String),
}

/// The text of a sheet.
pub(super) struct SheetText {
    pieces: Receiver<Piece>,
    piece: String,
    given: usize,
    is_ended: bool,
    pub format: Format,
    pub sheet: Sheet,
}

impl SheetText {
    /// Opens a spreadsheet. `wanted`: the name of the sheet, or its place from 1.
    pub(super) fn open(file: impl Read, wanted: Option<&str>) -> Result<SheetText, SourceError> {
        let mut octets = Vec::new();
        file.take(FILE_OCTETS_MAX + 1).read_to_end(&mut octets).map_err(SourceError::Io)?;
        if octets.len() as u64 > FILE_OCTETS_MAX {
            return Err(SourceError::Sheet("it has more than 256 MiB: save it as CSV (UTF-8)".into()));
        }
        let mut archive = ZipArchive::new(Cursor::new(octets)).map_err(|error| damaged(&error))?;
        let format = format_of(&mut archive)?;
        let (send, pieces) = bounded(PIECES);
        let out = Rows { send, piece: String::new(), row: 0, columns: 0 };
        let sheet = match format {
            Format::Xlsx => {
                refuse_bomb(&mut archive, STRINGS_OCTETS_MAX)?;
                xlsx::open(archive.into_inner(), wanted, out)?
            }
            _ => ods::open(archive, wanted, out)?,
        };
        Ok(SheetText { pieces, piece: String::new(), given: 0, is_ended: false, format, sheet })
    }

    pub(super) fn read(&mut self, out: &mut [u8]) -> Result<usize, SourceError> {
        while self.given == self.piece.len() {
            if self.is_ended {
                return Ok(0);
            }
            match self.pieces.recv() {
                Ok(Piece::Text(piece)) => (self.piece, self.given) = (piece, 0),
                Ok(Piece::End) => self.is_ended = true,
                Ok(Piece::Failed(words)) => return Err(SourceError::Sheet(words)),
                Err(_) => return Err(broke_off(&self.sheet.name)),
            }
        }
        let octets = out.len().min(self.piece.len() - self.given);
        out[..octets].copy_from_slice(&self.piece.as_bytes()[self.given..self.given + octets]);
        self.given += octets;
        Ok(octets)
    }
}

/// Whatever reads a sheet met something that it cannot stand.
fn broke_off(sheet: &str) -> SourceError {
    SourceError::Sheet(format!(
        "sheet `{}` cannot be read to its end, something in it is damaged: save the file anew, or as CSV (UTF-8)",
        crate::words::escape::name_value(sheet)
    ))
}

fn damaged(error: &dyn std::fmt::Display) -> SourceError {
    SourceError::Sheet(format!("it is damaged, or protected by a password ({error}): save it anew, or as CSV (UTF-8)"))
}

/// What kind of spreadsheet an archive is.
fn format_of(archive: &mut ZipArchive<Cursor<Vec<u8>>>) -> Result<Format, SourceError> {
    let mut mimetype = String::new();
    if let Ok(part) = archive.by_name("mimetype") {
        // Whatever else is in it is no mimetype.
        let _ = part.take(128).read_to_string(&mut mimetype);
    }
    let names: Vec<String> = archive.file_names().flatten().map(|name| name.into_owned()).collect();
    let has = |end: &str| names.iter().any(|name| name.to_ascii_lowercase().ends_with(end));
    if mimetype.starts_with("application/vnd.oasis.opendocument.spreadsheet") {
        return Ok(Format::Ods);
    }
    if has("workbook.xml") {
        return Ok(Format::Xlsx);
    }
    Err(match &names[..] {
        _ if has("workbook.bin") => {
            SourceError::Sheet("it is an .xlsb file: save it as .xlsx or as CSV (UTF-8)".into())
        }
        _ if has(".numbers") || has("document.iwa") => {
            SourceError::Sheet("it is a file of Numbers: export it as .xlsx or as CSV (UTF-8)".into())
        }
        _ if mimetype.starts_with("application/") || has("document.xml") || has("presentation.xml") => {
            SourceError::Sheet("it is a document and no spreadsheet".into())
        }
        [name] => SourceError::Sheet(format!(
            "it is a ZIP archive with `{}` in it: unpack it first, and give that file",
            crate::words::escape::name_value(name)
        )),
        _ => SourceError::Sheet(
            "it is a ZIP archive and no spreadsheet: unpack it first, and give the file that is meant".into(),
        ),
    })
}

/// Refuses a workbook that would take more memory than it may: what its parts say of their sizes may be wrong, so that those
/// which are packed to less than a lie could hide in are unpacked once, into nothing.
fn refuse_bomb(archive: &mut ZipArchive<Cursor<Vec<u8>>>, strings_max: u64) -> Result<(), SourceError> {
    let mut kept = 0_u64;
    for n in 0..archive.len() {
        let (is_sheet, is_small) = match archive.by_index_raw(n) {
            Ok(part) => {
                let name = part.name().map(|name| name.to_ascii_lowercase()).unwrap_or_default();
                if !name.ends_with(".xml") && !name.ends_with(".rels") {
                    continue;
                }
                (
                    name.contains("worksheets/"),
                    part.compressed_size().saturating_mul(DEFLATE_RATIO_MAX) <= TEXT_OCTETS_MAX,
                )
            }
            Err(_) => continue,
        };
        if is_small {
            continue;
        }
        let Ok(part) = archive.by_index(n) else { continue };
        let (octets, longest) = measured(part, if is_sheet { u64::MAX } else { strings_max.saturating_sub(kept) });
        if longest > TEXT_OCTETS_MAX {
            return Err(SourceError::Sheet(text_too_long()));
        }
        kept = if is_sheet { kept } else { kept.saturating_add(octets) };
        if kept > strings_max {
            return Err(SourceError::Sheet("its texts have more than 512 MiB: save it as CSV (UTF-8)".into()));
        }
    }
    Ok(())
}

/// How many octets there are, up to one more than `max`, and the most between two tags. What cannot be unpacked is found out about
/// when it is read.
fn measured(mut part: impl Read, max: u64) -> (u64, u64) {
    let mut chunk = vec![0; 64 * 1024];
    let (mut octets, mut longest, mut since_tag) = (0_u64, 0_u64, 0_u64);
    while octets <= max && longest <= TEXT_OCTETS_MAX {
        let count = match part.read(&mut chunk) {
            Ok(0) | Err(_) => break,
            Ok(count) => count,
        };
        octets += count as u64;
        let piece = &chunk[..count];
        match (piece.iter().position(|&octet| octet == b'<'), piece.iter().rposition(|&octet| octet == b'<')) {
            (Some(first), Some(last)) => {
                longest = longest.max(since_tag + first as u64);
                since_tag = (count - last) as u64;
            }
            _ => since_tag += count as u64,
        }
        longest = longest.max(since_tag);
    }
    (octets, longest)
}

/// What is said of a text that no spreadsheet writes.
fn text_too_long() -> String {
    "a cell or a row of it has more text than spreadsheets can have: it is damaged or made up; save it anew, or as CSV (UTF-8)".to_owned()
}

/// Chooses the sheet: the one asked for, else the first that is shown. `sheets`: names, and whether they are shown.
fn choose(sheets: &[(String, bool)], wanted: Option<&str>) -> Result<usize, SourceError> {
    let names = || {
        let names: Vec<String> =
            sheets.iter().map(|(name, _)| format!("`{}`", crate::words::escape::name_value(name))).collect();
        names.join(", ")
    };
    match wanted {
        None => sheets
            .iter()
            .position(|(_, is_shown)| *is_shown)
            .or_else(|| (!sheets.is_empty()).then_some(0))
            .ok_or_else(|| SourceError::Sheet("it has no sheet".into())),
        Some(wanted) => {
            let same = |form: fn(&str) -> String| sheets.iter().position(|(name, _)| form(name) == form(wanted));
            let place = wanted.parse::<usize>().ok().filter(|place| (1..=sheets.len()).contains(place));
            same(str::to_owned)
                .or_else(|| same(crate::words::names::folded))
                .or(place.map(|place| place - 1))
                .ok_or_else(|| {
                    SourceError::Sheet(format!(
                        "it has no sheet `{}`; there are: {}",
                        crate::words::escape::name_value(wanted),
                        names()
                    ))
                })
        }
    }
}

fn chosen(sheets: &[(String, bool)], n: usize) -> Sheet {
    let name = sheets.get(n).map(|(name, _)| name.clone()).unwrap_or_default();
    let others = if sheets.len() > 1 { sheets.iter().map(|(name, _)| name.clone()).collect() } else { Vec::new() };
    Sheet { name, others }
}

/// Runs what reads a sheet on its own thread.
fn in_thread(
    work: impl FnOnce(&mut Rows) -> Result<(), BadValue> + Send + 'static,
    mut out: Rows,
) -> Result<(), SourceError> {
    let run = move || {
        let outcome = work(&mut out).and_then(|()| out.finish());
        // Whoever does not read on does not want to know.
        let _ = out.send.send(outcome.map_or_else(|error| Piece::Failed(error.into()), |()| Piece::End));
    };
    thread::Builder::new().name("sheet".into()).spawn(run).map(|_| ()).map_err(SourceError::Io)
}

/// Why a sheet's thread ends when nobody reads on.
const NOBODY: &str = "nobody reads on";

/// Writes rows.
struct Rows {
    send: Sender<Piece>,
    piece: String,
    /// The row that is written next, from 0.
    row: u32,
    /// Columns of the widest row so far: shorter ones are filled up.
    columns: usize,
}

impl Rows {
    /// Writes a row, with empty lines for those that were left out before it, so that a line's number is the row's.
    fn write(&mut self, row: u32, cells: &mut Vec<String>) -> Result<(), BadValue> {
        while self.row < row {
            self.row += 1;
            self.piece.push('\n');
            self.send_full()?;
        }
        while cells.last().is_some_and(String::is_empty) {
            cells.pop();
        }
        self.columns = self.columns.max(cells.len());
        if !cells.is_empty() {
            for column in 0..self.columns {
                if column > 0 {
                    self.piece.push(',');
                }
                quote(cells.get(column).map_or("", String::as_str), &mut self.piece);
            }
        }
        self.piece.push('\n');
        self.row += 1;
        self.send_full()
    }

    fn send_full(&mut self) -> Result<(), BadValue> {
        if self.piece.len() < PIECE_OCTETS {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.piece, String::with_capacity(PIECE_OCTETS + 1024));
        self.send.send(Piece::Text(piece)).map_err(|_| NOBODY.into())
    }

    fn finish(&mut self) -> Result<(), BadValue> {
        self.send.send(Piece::Text(std::mem::take(&mut self.piece))).map_err(|_| NOBODY.into())
    }
}

/// Writes a cell, in quotes where it needs them.
fn quote(cell: &str, out: &mut String) {
    let needs =
        cell.contains([',', '"', '\n', '\r']) || cell.starts_with([' ', '\t']) || cell.ends_with([' ', '\t', '\u{1a}']);
    if needs {
        // A String takes whatever is written.
        let _ = write!(out, "\"{}\"", cell.replace('"', "\"\""));
    } else {
        out.push_str(cell);
    }
}

#[cfg(test)]
mod tests;
