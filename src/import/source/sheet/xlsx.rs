//! Rows of an .xlsx file.

use crate::words::{BadValue, bad};
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use calamine::{DataRef, Reader, SheetType, SheetVisible, Xlsx};

use super::number_format::{NumberFormat, plain};
use super::{COLUMNS_MAX, ROW_OCTETS_MAX, Rows, Sheet, SourceError, choose, chosen, damaged, in_thread, text_too_long};

/// Opens the workbook, and begins to read the sheet.
pub(super) fn open(file: Cursor<Vec<u8>>, wanted: Option<&str>, out: Rows) -> Result<Sheet, SourceError> {
    let opened = catch_unwind(AssertUnwindSafe(|| Xlsx::new(file)));
    // The library may take a damaged file for its own fault.
    let mut workbook = opened.map_err(|_| damaged(&"it cannot be read"))?.map_err(|error| damaged(&error))?;
    let sheets: Vec<(String, bool)> = workbook
        .sheets_metadata()
        .iter()
        .filter(|sheet| sheet.typ == SheetType::WorkSheet)
        .map(|sheet| (sheet.name.clone(), sheet.visible == SheetVisible::Visible))
        .collect();
    let sheet = chosen(&sheets, choose(&sheets, wanted)?);
    let name = sheet.name.clone();
    in_thread(move |out| read(&mut workbook, &name, out), out)?;
    Ok(sheet)
}

fn read(workbook: &mut Xlsx<Cursor<Vec<u8>>>, name: &str, out: &mut Rows) -> Result<(), BadValue> {
    let is_1904 = workbook.has_1904_epoch();
    let failed = |error: calamine::XlsxError| {
        format!("sheet `{name}` is damaged ({error}): save the file anew, or as CSV (UTF-8)")
    };
    let mut reader = workbook.worksheet_cells_reader(name).map_err(failed)?;
    let formats: Vec<NumberFormat> = reader
        .styles()
        .iter()
        .map(|style| match &style.number_format {
            Some(format) => NumberFormat::read(&format.format_code, format.format_id),
            None => NumberFormat::General,
        })
        .collect();
    let mut cells: Vec<String> = Vec::new();
    let (mut row, mut octets) = (0, 0);
    while let Some((cell, style)) = reader.next_cell_with_style_id().map_err(failed)? {
        let (at, column) = cell.get_position();
        if at != row {
            if at < row {
                return Err(bad!("sheet `{name}` is damaged: its rows are out of order"));
            }
            out.write(row, &mut cells)?;
            cells.clear();
            (row, octets) = (at, 0);
        }
        let column = column as usize;
        if column >= COLUMNS_MAX || matches!(cell.get_value(), DataRef::Empty) {
            continue;
        }
        if cells.len() <= column {
            cells.resize(column + 1, String::new());
        }
        let format = formats.get(style).unwrap_or(&NumberFormat::General);
        cells[column] = match cell.get_value() {
            DataRef::Empty => String::new(),
            DataRef::Int(value) => format.show(*value as f64, is_1904),
            DataRef::Float(value) => format.show(*value, is_1904),
            DataRef::DateTime(moment) => match format {
                NumberFormat::General => plain(moment.as_f64()),
                format => format.show(moment.as_f64(), is_1904),
            },
            DataRef::String(text) => without_escapes(text),
            DataRef::SharedString(text) => without_escapes(text),
            DataRef::Bool(value) => if *value { "TRUE" } else { "FALSE" }.to_owned(),
            DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => text.clone(),
            DataRef::Error(error) => error.to_string(),
        };
        octets += cells[column].len();
        if octets > ROW_OCTETS_MAX {
            return Err(text_too_long().into());
        }
    }
    out.write(row, &mut cells)
}

/// A text without what Excel writes for a carriage return in it.
fn without_escapes(text: &str) -> String {
    match text.contains("_x000D_") {
        true => text.replace("_x000D_\n", "\n").replace("_x000D_", ""),
        false => text.to_owned(),
    }
}
