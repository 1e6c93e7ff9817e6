//! Rows of an .ods file, read as they stand in it: with the text that is shown for each cell.

use crate::words::{BadValue, bad};
use std::io::{self, BufRead, BufReader, Cursor, Read};

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use zip::ZipArchive;

use super::number_format::plain;
use super::{
    COLUMNS_MAX, ROW_OCTETS_MAX, Rows, Sheet, SourceError, TEXT_OCTETS_MAX, choose, chosen, damaged, in_thread,
    text_too_long,
};

/// Rows that one row may stand for, if it has something in it.
const REPEATS_MAX: u32 = 1_048_576;
const CONTENT: &str = "content.xml";

type Archive = ZipArchive<Cursor<Vec<u8>>>;

/// Opens the document, and begins to read the sheet.
pub(super) fn open(mut archive: Archive, wanted: Option<&str>, out: Rows) -> Result<Sheet, SourceError> {
    let sheets = sheets(&mut archive)?;
    let n = choose(&sheets, wanted)?;
    let sheet = chosen(&sheets, n);
    let words = format!("sheet `{}` is damaged", sheet.name);
    in_thread(
        move |out| {
            read(&mut archive, n, out).map_err(|error| bad!("{words} ({error}): save the file anew, or as CSV (UTF-8)"))
        },
        out,
    )?;
    Ok(sheet)
}

/// Gives what is between two tags no more room than it may have: all of it would be kept.
struct Measured<R> {
    input: BufReader<R>,
    since_tag: u64,
}

impl<R: Read> Read for Measured<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let some = self.fill_buf()?;
        let octets = some.len().min(out.len());
        out[..octets].copy_from_slice(&some[..octets]);
        self.consume(octets);
        Ok(octets)
    }
}

impl<R: Read> BufRead for Measured<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.since_tag > TEXT_OCTETS_MAX {
            return Err(io::Error::other(text_too_long()));
        }
        self.input.fill_buf()
    }

    fn consume(&mut self, octets: usize) {
        let taken = &self.input.buffer()[..octets.min(self.input.buffer().len())];
        match taken.iter().rposition(|&octet| octet == b'<') {
            Some(last) => self.since_tag = (octets - last) as u64,
            None => self.since_tag += octets as u64,
        }
        self.input.consume(octets);
    }
}

fn reader(archive: &mut Archive) -> Result<Reader<Measured<impl Read + '_>>, BadValue> {
    let part = archive.by_name(CONTENT).map_err(|error| error.to_string())?;
    Ok(Reader::from_reader(Measured { input: BufReader::new(part), since_tag: 0 }))
}

fn attribute(element: &BytesStart<'_>, name: &str) -> Option<String> {
    element
        .attributes()
        .flatten()
        .find(|attribute| attribute.key.as_ref() == name)
        .and_then(|attribute| quick_xml::escape::unescape(&attribute.value).ok().map(|value| value.into_owned()))
}

fn repeats(element: &BytesStart<'_>, name: &str) -> u32 {
    attribute(element, name).and_then(|value| value.parse().ok()).unwrap_or(1)
}

/// The names of the sheets. Whether one is shown is said by its style.
fn sheets(archive: &mut Archive) -> Result<Vec<(String, bool)>, SourceError> {
    let mut reader = reader(archive).map_err(|error| damaged(&error))?;
    let (mut sheets, mut hidden, mut style) = (Vec::new(), Vec::new(), String::new());
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        match reader.read_event_into(&mut buffer).map_err(|error| damaged(&error))? {
            Event::Start(element) | Event::Empty(element) => match element.name().as_ref() {
                "style:style" => style = attribute(&element, "style:name").unwrap_or_default(),
                "style:table-properties" if attribute(&element, "table:display").as_deref() == Some("false") => {
                    hidden.push(std::mem::take(&mut style));
                }
                "table:table" => {
                    let name = attribute(&element, "table:name").unwrap_or_default();
                    let style = attribute(&element, "table:style-name");
                    sheets.push((name, !style.is_some_and(|style| hidden.contains(&style))));
                }
                _ => {}
            },
            Event::Eof => return Ok(sheets),
            _ => {}
        }
    }
}

fn read(archive: &mut Archive, sheet: usize, out: &mut Rows) -> Result<(), BadValue> {
    let mut reader = reader(archive)?;
    let mut buffer = Vec::new();
    let mut tables = 0;
    let mut row = 0_u32;
    let mut cells: Vec<String> = Vec::new();
    let (mut times, mut within_row) = (1, false);
    loop {
        buffer.clear();
        let event = reader.read_event_into(&mut buffer).map_err(|error| error.to_string())?;
        match event {
            Event::Start(element) if element.name().as_ref() == "table:table" => {
                tables += 1;
                if tables != sheet + 1 {
                    let end = element.to_end().into_owned();
                    let mut skipped = Vec::new();
                    reader.read_to_end_into(end.name(), &mut skipped).map_err(|error| error.to_string())?;
                }
            }
            Event::End(element) if element.name().as_ref() == "table:table" && tables == sheet + 1 => return Ok(()),
            Event::Start(element) if element.name().as_ref() == "table:table-row" => {
                cells.clear();
                times = repeats(&element, "table:number-rows-repeated").min(REPEATS_MAX);
                within_row = true;
            }
            Event::Empty(element) if element.name().as_ref() == "table:table-row" => {
                row = row.saturating_add(repeats(&element, "table:number-rows-repeated"));
            }
            Event::End(element) if element.name().as_ref() == "table:table-row" && within_row => {
                within_row = false;
                let is_empty = cells.iter().all(String::is_empty);
                for _ in 0..if is_empty { 0 } else { times } {
                    out.write(row, &mut cells)?;
                    row = row.saturating_add(1);
                }
                if is_empty {
                    row = row.saturating_add(times);
                }
            }
            Event::Empty(element) if is_cell(&element) && within_row => {
                push(&mut cells, "", repeats(&element, "table:number-columns-repeated"))?;
            }
            Event::Start(element) if is_cell(&element) && within_row => {
                let (times, value) = (repeats(&element, "table:number-columns-repeated"), value(&element));
                let shown = shown(&mut reader, &mut buffer)?;
                push(&mut cells, &as_shown(shown, value), times)?;
            }
            Event::Eof => return Err("it ends within the sheet".into()),
            _ => {}
        }
    }
}

fn is_cell(element: &BytesStart<'_>) -> bool {
    matches!(element.name().as_ref(), "table:table-cell" | "table:covered-table-cell")
}

/// Adds a cell so many times; the empty ones at a row's end are taken off again when it is written.
fn push(cells: &mut Vec<String>, text: &str, times: u32) -> Result<(), BadValue> {
    let room = COLUMNS_MAX.saturating_sub(cells.len());
    let times = room.min(times as usize);
    let before: usize = if text.is_empty() { 0 } else { cells.iter().map(String::len).sum() };
    if text.len().saturating_mul(times).saturating_add(before) > ROW_OCTETS_MAX {
        return Err(text_too_long().into());
    }
    cells.resize(cells.len() + times, text.to_owned());
    Ok(())
}

/// A number's value.
fn value(element: &BytesStart<'_>) -> Option<f64> {
    let is_number = attribute(element, "office:value-type").as_deref() == Some("float");
    if is_number { attribute(element, "office:value")?.parse().ok() } else { None }
}

/// What is shown, but for digits that are left out where a number is long.
fn as_shown(shown: String, value: Option<f64>) -> String {
    match value {
        Some(value) if shown.contains(['E', 'e']) || shown.is_empty() || shown.starts_with("##") => plain(value),
        _ => shown,
    }
}

/// The text of a cell whose start was read, up to its end.
fn shown(reader: &mut Reader<impl BufRead>, buffer: &mut Vec<u8>) -> Result<String, BadValue> {
    let (mut text, mut paragraphs, mut depth) = (String::new(), 0, 1);
    // A note of the cell is none of its text.
    let mut within_note = 0;
    loop {
        buffer.clear();
        if text.len() > ROW_OCTETS_MAX {
            return Err(text_too_long().into());
        }
        match reader.read_event_into(buffer).map_err(|error| error.to_string())? {
            Event::Start(element) => {
                depth += 1;
                match element.name().as_ref() {
                    "office:annotation" => within_note = depth,
                    "text:p" if within_note == 0 => {
                        if paragraphs > 0 {
                            text.push('\n');
                        }
                        paragraphs += 1;
                    }
                    name if within_note == 0 => special(name, &element, &mut text),
                    _ => {}
                }
            }
            Event::Empty(element) if within_note == 0 => match element.name().as_ref() {
                "text:p" => {
                    if paragraphs > 0 {
                        text.push('\n');
                    }
                    paragraphs += 1;
                }
                name => special(name, &element, &mut text),
            },
            Event::Text(part) if within_note == 0 && paragraphs > 0 => text.push_str(&part.xml10_content()),
            Event::CData(part) if within_note == 0 && paragraphs > 0 => text.push_str(&part),
            Event::GeneralRef(part) if within_note == 0 && paragraphs > 0 => {
                let name: &str = &part;
                match part.resolve_char_ref() {
                    Ok(Some(c)) => text.push(c),
                    _ => text.push_str(quick_xml::escape::resolve_predefined_entity(name).unwrap_or_default()),
                }
            }
            Event::End(_) => {
                if depth == within_note {
                    within_note = 0;
                }
                depth -= 1;
                if depth == 0 {
                    return Ok(text);
                }
            }
            Event::Eof => return Err("it ends within a cell".into()),
            _ => {}
        }
    }
}

/// Spaces and line breaks that are elements.
fn special(name: &str, element: &BytesStart<'_>, text: &mut String) {
    match name {
        "text:s" => text.extend(std::iter::repeat_n(' ', repeats(element, "text:c").min(1_000) as usize)),
        "text:tab" => text.push('\t'),
        "text:line-break" => text.push('\n'),
        _ => {}
    }
}
