//! What the rooms outside hold of an open journal. They hand it back to this room's functions; SQL is run on it in here alone.

use super::error::JournalError;
use super::open::{self, Looked};
use rusqlite::{Connection, Transaction};
use std::path::Path;

/// An open journal.
///
/// ```no_run
/// let journal = smppost::testing::journal::open_existing(std::path::Path::new("smppost.db")).unwrap();
/// assert!(!journal.is_read_only().unwrap());
/// ```
///
/// Nobody outside comes to the connection in it:
///
/// ```compile_fail
/// let journal = smppost::testing::journal::open_existing(std::path::Path::new("smppost.db")).unwrap();
/// journal.connection().execute_batch("DELETE FROM message").unwrap();
/// ```
#[derive(Debug)]
pub struct Journal(Connection);

impl Journal {
    pub(in crate::journal) fn of(connection: Connection) -> Self {
        Self(connection)
    }

    pub(in crate::journal) fn connection(&self) -> &Connection {
        &self.0
    }

    pub(in crate::journal) fn into_connection(self) -> Connection {
        self.0
    }

    /// Whether it was opened to be read only.
    pub fn is_read_only(&self) -> Result<bool, JournalError> {
        Ok(self.0.is_readonly(rusqlite::MAIN_DB)?)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        Path::new(self.0.path().unwrap_or_default())
    }
}

/// What SQL is run on: the [`Journal`] of a room outside; in here a connection or a transaction as well. Only this room can
/// make one, and only this room can come to what is in it.
pub trait Sql: sealed::Held {}

impl<T: sealed::Held> Sql for T {}

impl dyn Sql + '_ {
    pub(in crate::journal) fn connection(&self) -> &Connection {
        self.held(sealed::Key)
    }
}

mod sealed {
    use rusqlite::Connection;

    /// Nobody outside this file has one.
    pub struct Key;

    pub trait Held {
        fn held(&self, _: Key) -> &Connection;
    }
}

impl sealed::Held for Journal {
    fn held(&self, _: sealed::Key) -> &Connection {
        &self.0
    }
}

impl sealed::Held for Connection {
    fn held(&self, _: sealed::Key) -> &Connection {
        self
    }
}

impl sealed::Held for Transaction<'_> {
    fn held(&self, _: sealed::Key) -> &Connection {
        self
    }
}

/// Opens the journal at `path` for writing, making it where there is none.
pub fn open_or_create(path: &Path) -> Result<Journal, JournalError> {
    open::open_or_create(path).map(Journal)
}

/// Opens the journal at `path` for writing; it must be there.
pub fn open_existing(path: &Path) -> Result<Journal, JournalError> {
    open::open_existing(path).map(Journal)
}

/// Opens the journal at `path` for reading only. One that an older program made is read from an upgraded copy.
pub fn open_read_only(path: &Path) -> Result<Journal, JournalError> {
    open::open_read_only(path).map(Journal)
}

/// Looks at what is at `path`, and leaves no file beside it that was not there.
pub fn look(path: &Path) -> Result<Looked<Journal>, JournalError> {
    Ok(match open::look(path)? {
        Looked::Nothing => Looked::Nothing,
        Looked::Older => Looked::Older,
        Looked::Current(connection) => Looked::Current(Journal(connection)),
    })
}

/// Opens the journal at `path` for reading only, and leaves no file beside it that was not there.
pub fn open_untouched(path: &Path) -> Result<Journal, JournalError> {
    open::open_untouched(path).map(Journal)
}
