//! What an account's profile says about its SMSC in words: what the errors of receipts mean, and the names of its optional
//! parameters. Kept in the journal, so that reports and views tell it whoever reads them.

use crate::journal::error::JournalError;
use crate::journal::handle::Sql;
use crate::journal::store::notes::in_transaction;
use crate::message::tlv_words::{TlvShape, tlv_words};
use crate::wire::{Tag, Tlvs};
use hashbrown::HashMap;
use rusqlite::Connection;

/// The names of the specification's tags.
pub(in crate::journal) fn insert_tags(connection: &Connection) -> Result<(), JournalError> {
    let mut insert = connection.prepare("INSERT INTO tlv_name (tag, name, kind) VALUES (?1, ?2, ?3)")?;
    for &tag in Tag::ALL {
        insert.execute((shown(tag), tag.name(), TlvShape::of(tag).number()))?;
    }
    Ok(())
}

/// A tag as the journal writes it.
fn shown(tag: Tag) -> String {
    format!("0x{:04X}", tag.0)
}

/// The form in which a receipt's error is looked up: its last word, in capitals, without leading zeros. Before it may stand
/// a state that is not SMPP's.
pub fn code_of(error: &str) -> String {
    let last = error.rsplit(' ').next().unwrap_or_default().to_ascii_uppercase();
    match last.trim_start_matches('0') {
        "" => "0".into(),
        code => code.into(),
    }
}

/// What a profile says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProfileNames {
    /// Codes of errors as [`code_of`] makes them, and what they mean.
    pub errors: Vec<(String, String)>,
    /// Tags, and their names.
    pub tags: Vec<(Tag, String)>,
}

impl ProfileNames {
    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.errors.is_empty() && self.tags.is_empty()
    }

    /// Puts it into a journal, in place of what was said before of the same codes and tags. Nothing is written where all of
    /// it is there.
    pub fn keep(&self, journal: &dyn Sql) -> Result<(), JournalError> {
        let connection = journal.connection();
        let known = Names::load(connection)?;
        let has_error = |(code, meaning): &(String, String)| known.errors.get(code) == Some(meaning);
        let has_tag = |(tag, name): &(Tag, String)| known.tags.get(&tag.0).is_some_and(|(known, _)| known == name);
        if self.errors.iter().all(has_error) && self.tags.iter().all(has_tag) {
            return Ok(());
        }
        in_transaction(connection, || {
            let mut error = connection.prepare("INSERT OR REPLACE INTO error_name (code, meaning) VALUES (?1, ?2)")?;
            for names in &self.errors {
                error.execute((&names.0, &names.1))?;
            }
            let mut tag = connection.prepare(
                "INSERT INTO tlv_name (tag, name, kind) VALUES (?1, ?2, 0)
                     ON CONFLICT (tag) DO UPDATE SET name = excluded.name",
            )?;
            for names in &self.tags {
                tag.execute((shown(names.0), &names.1))?;
            }
            Ok(())
        })
    }
}

/// All names that a journal knows.
#[derive(Clone, Debug, Default)]
pub struct Names {
    errors: HashMap<String, String>,
    tags: HashMap<u16, (String, TlvShape)>,
}

impl Names {
    /// Reads them.
    pub fn load(connection: &Connection) -> Result<Self, JournalError> {
        let mut names = Self::default();
        let mut statement = connection.prepare("SELECT code, meaning FROM error_name")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            names.errors.insert(row.get(0)?, row.get(1)?);
        }
        let mut statement = connection.prepare("SELECT tag, name, kind FROM tlv_name")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let tag: String = row.get(0)?;
            if let Some(tag) = tag.strip_prefix("0x").and_then(|digits| u16::from_str_radix(digits, 16).ok()) {
                names.tags.insert(tag, (row.get(1)?, TlvShape::from_number(row.get(2)?)));
            }
        }
        Ok(names)
    }

    /// What an error of a receipt means, by the profile.
    pub fn meaning(&self, error: &str) -> Option<&str> {
        // As a rule there is no table.
        if self.errors.is_empty() { None } else { self.errors.get(&code_of(error)).map(String::as_str) }
    }

    /// Optional parameters in words; `None`: there are none.
    pub fn words(&self, octets: &[u8]) -> Option<String> {
        let known = |tag: Tag| match self.tags.get(&tag.0) {
            Some((name, shape)) => (Some(name.clone()), *shape),
            None => (None, TlvShape::AsItLooks),
        };
        Some(tlv_words(Tlvs(octets), known)).filter(|words| !words.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_found_however_they_are_padded() {
        for (error, code) in [
            ("303", "303"),
            ("00303", "303"),
            ("000", "0"),
            ("0", "0"),
            ("0x1f", "X1F"),
            ("BLACKLST 042", "42"),
            ("10 1B", "1B"),
            ("1b", "1B"),
            ("", "0"),
        ] {
            assert_eq!(code_of(error), code, "{error:?}");
        }
    }
}
