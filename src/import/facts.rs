//! What was found out about a file while it was read, as far as somebody should know: how it was taken, and what in it is
//! doubtful.

use super::doubts::Doubts;
use super::numbers::NumberCounts;
use super::rows::Rows;
use super::source::{Format, Reading, Sheet};
use crate::words::escape::name_value;
use crate::words::format::count;

/// Sheets of a spreadsheet that are named besides the one that was read.
const SHEETS_SHOWN: usize = 10;

/// What was found out about a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// What it is packed in.
    pub format: Option<Format>,
    /// The sheet that was read, where it is a spreadsheet.
    pub sheet: Option<Sheet>,
    /// The encoding that it was taken for, where it neither was said nor shows.
    pub guessed: Option<Reading>,
    /// The line of the header, where something stands above it.
    pub header_line: Option<u64>,
    /// The column of the numbers, where its name is not the one asked for.
    pub to_column: Option<String>,
    /// The column of the texts, where its name is not the one asked for.
    pub text_column: Option<String>,
    /// Columns that are not used and whose names stand in the text.
    pub mentioned: Vec<String>,
    /// Rows that end before the last column.
    pub short_rows: Rows,
    /// Texts that may not be meant.
    pub doubts: Doubts,
    /// Its numbers, by what they look like.
    pub numbers: NumberCounts,
}

impl Facts {
    /// How the file was taken, a line for each thing that somebody may want to know.
    pub fn taken(&self) -> Vec<String> {
        let mut said = Vec::new();
        if let Some(sheet) = &self.sheet {
            let name = name_value(&sheet.name);
            let others = sheet.others.iter().filter(|other| **other != sheet.name);
            let others: Vec<String> =
                others.take(SHEETS_SHOWN).map(|other| format!("`{}`", name_value(other))).collect();
            said.push(match others.is_empty() {
                true => format!("a spreadsheet; lines are the rows of its sheet `{name}`"),
                false => format!(
                    "a spreadsheet; lines are the rows of its sheet `{name}`; --sheet names another: {}",
                    others.join(", ")
                ),
            });
        } else if let Some(format) = self.format {
            said.push(format!("unpacked: {}", format.name()));
        }
        if let Some(reading) = &self.guessed {
            let name = reading.encoding.name();
            said.push(format!("taken for {name}: it reads {}; if that is not right, give --encoding", reading.shown()));
        }
        if let Some(line) = self.header_line {
            said.push(format!("the header is in line {line}; what stands above it is passed over"));
        }
        let columns: Vec<String> = [("numbers", &self.to_column), ("texts", &self.text_column)]
            .into_iter()
            .filter_map(|(what, column)| Some(format!("the {what} from column `{}`", name_value(column.as_ref()?))))
            .collect();
        if !columns.is_empty() {
            said.push(format!("taken: {}", columns.join(", ")));
        }
        for column in &self.mentioned {
            let column = name_value(column);
            said.push(format!("the text has the word `{column}` in it, and the column `{column}` is not used: write {{{column}}} for its value"));
        }
        if self.short_rows.count > 0 {
            let ends = if self.short_rows.count == 1 { "ends" } else { "end" };
            said.push(format!(
                "{} {ends} before the last column ({}); what is missing there is taken as empty",
                count(self.short_rows.count as i64, "row"),
                self.short_rows.shown()
            ));
        }
        said
    }
}
