//! Which file a journal is, so that a copy of it does not send what the original sends.
//!
//! A journal remembers its inode and when that was born. A file that is moved within its file system keeps both; a copy, also
//! one that takes the original's place, has others. Where a file system knows no births the inode alone has to do. An older
//! state in the very file (a backup written over it) is recognised by the note in the user's state folder
//! ([`super::known`]), which knows how often the journal was changed.

use super::known::Note;
use crate::journal::error::JournalError;
use crate::journal::files::write_marks::Extent;
use crate::journal::handle::Sql;
use crate::journal::store::notes::{in_transaction, note, set_note};
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::UNIX_EPOCH;

/// How far the journal has come.
pub(in crate::journal) fn extent(connection: &Connection) -> Result<Extent, JournalError> {
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    Ok(Extent {
        session: number("SELECT coalesce(max(id), 0) FROM session")?,
        serial: number(
            "SELECT coalesce(max(first_serial + parts - 1), 0) FROM claim
              WHERE first_serial = (SELECT max(first_serial) FROM claim)",
        )?,
    })
}

/// Key in `meta`: which file the journal is.
pub(in crate::journal) const FILE: &str = "file";
/// Key in `meta`: how often commands changed it.
const GENERATION: &str = "generation";

/// What tells a file from its copies.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FileMark {
    inode: u64,
    /// When it was made, in nanoseconds since 1970; `None`: the file system does not know.
    born: Option<u64>,
}

impl FileMark {
    /// That of the file at `path`.
    pub fn of(path: &Path) -> Result<Self, JournalError> {
        let meta = fs::metadata(path).map_err(|error| JournalError::Io(path.into(), error))?;
        let born = meta.created().ok().and_then(|born| born.duration_since(UNIX_EPOCH).ok());
        Ok(Self { inode: meta.ino(), born: born.and_then(|born| u64::try_from(born.as_nanos()).ok()) })
    }

    fn is_of_same_file(self, other: Self) -> bool {
        let births = (self.born, other.born);
        self.inode == other.inode && !matches!(births, (Some(one), Some(other)) if one != other)
    }

    fn text(self) -> String {
        self.born.map_or_else(|| self.inode.to_string(), |born| format!("{} {born}", self.inode))
    }

    fn parse(text: &str) -> Option<Self> {
        let (inode, born) = text.split_once(' ').map_or((text, None), |(inode, born)| (inode, Some(born)));
        Some(Self { inode: inode.parse().ok()?, born: born.and_then(|born| born.parse().ok()) })
    }
}

/// Why a journal must not send before somebody says that nothing else sends from it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Strange {
    /// It is another file than it says.
    Copy,
    /// It is the same file in an older state.
    Older,
}

/// A journal's own number, which its copies have as well; made where there is none yet.
pub fn id(connection: &Connection) -> Result<String, JournalError> {
    Ok(id_of(crate::journal::store::id_keys::hash_keys(connection)?))
}

/// As [`id`]; `None`: there is none yet, and so no copy that matters.
pub fn id_so_far(journal: &dyn Sql) -> Result<Option<String>, JournalError> {
    let connection = journal.connection();
    Ok(crate::journal::store::id_keys::hash_keys_so_far(connection)?.map(id_of))
}

fn id_of((first, second): (u64, u64)) -> String {
    let words = format!("smppost journal {first:016x}{second:016x}");
    crate::words::format::hex_digest(words.as_bytes())[..16].to_owned()
}

/// How the journal, being this file, stands to what it says and what was noted of it; `None`: it is what it was.
pub fn standing(journal: &dyn Sql, file: FileMark, noted: Option<&Note>) -> Result<Option<Strange>, JournalError> {
    let connection = journal.connection();
    let recorded = note(connection, FILE)?.and_then(|text| FileMark::parse(&text));
    if recorded.is_some_and(|recorded| !recorded.is_of_same_file(file)) {
        return Ok(Some(Strange::Copy));
    }
    let is_older = match noted {
        Some(noted) => {
            let extent = crate::journal::store::identity::extent(connection)?;
            generation(connection)? < noted.generation || extent.session < noted.session || extent.serial < noted.serial
        }
        None => false,
    };
    Ok(is_older.then_some(Strange::Older))
}

/// Whether the journal is as it was when it was noted last, and nobody was sending from it then: so that nothing of it can
/// have been sent since.
pub fn is_last_state(journal: &dyn Sql, noted: Option<&Note>) -> Result<bool, JournalError> {
    let connection = journal.connection();
    let Some(noted) = noted.filter(|noted| !noted.sending) else { return Ok(false) };
    let Extent { session, serial } = crate::journal::store::identity::extent(connection)?;
    Ok(generation(connection)? == noted.generation && (session, serial) == (noted.session, noted.serial))
}

/// What has to be typed to say that nothing else sends from the journal: another one for every copy and every older state.
pub fn code(journal: &dyn Sql, file: FileMark, noted: Option<&Note>) -> Result<String, JournalError> {
    let connection = journal.connection();
    let generation = noted.map_or(generation(connection)?, |noted| noted.generation);
    let words = format!("{} {} {generation}", id_so_far(connection)?.unwrap_or_default(), file.text());
    Ok(crate::words::format::hex_digest(words.as_bytes())[..8].to_owned())
}

/// Notes which file the journal is.
pub fn set_file(connection: &Connection, file: FileMark) -> Result<(), JournalError> {
    match note(connection, FILE)?.and_then(|text| FileMark::parse(&text)) {
        Some(recorded) if recorded == file => Ok(()),
        _ => set_note(connection, FILE, Some(&file.text())),
    }
}

/// How often commands changed the journal.
pub fn generation(connection: &Connection) -> Result<i64, JournalError> {
    Ok(note(connection, GENERATION)?.and_then(|count| count.parse().ok()).unwrap_or_default())
}

/// Counts a change.
pub fn count(connection: &Connection) -> Result<i64, JournalError> {
    let sql = "INSERT INTO meta (key, value) VALUES (?1, '1')
               ON CONFLICT (key) DO UPDATE SET value = CAST(value AS INTEGER) + 1";
    // Committed, and that seen, before the count is told: a row that a statement returns before it commits proves nothing.
    in_transaction(connection, || {
        connection.execute(sql, [GENERATION])?;
        generation(connection)
    })
}

/// Makes the count higher than any that was noted: what is said of the journal from now on is newer.
pub fn count_past(connection: &Connection, noted: Option<&Note>) -> Result<(), JournalError> {
    let next = generation(connection)?.max(noted.map_or(0, |noted| noted.generation)) + 1;
    set_note(connection, GENERATION, Some(&next.to_string()))
}
