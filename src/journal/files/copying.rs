//! The state of a moment, copied into a file of its own: of a backup, and of an older journal that is read or upgraded.

use crate::journal::error::JournalError;
use rusqlite::Connection;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The octets that the journal's pages take.
pub fn octets(connection: &Connection) -> Result<u64, JournalError> {
    let sql = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size";
    Ok(u64::try_from(connection.query_row(sql, [], |row| row.get::<_, i64>(0))?).unwrap_or_default())
}

/// The octets that are free in that folder for this user.
pub fn free(folder: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(folder).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}

/// Copies the journal into a file of that name, private from its first octet and on disk at the end.
pub fn copy(connection: &Connection, to: &Path) -> Result<(), JournalError> {
    match fs::remove_file(to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at(to, error)),
        _ => {}
    }
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to).map_err(|error| at(to, error))?;
    fill(connection, &file, to)
}

/// Copies the journal into the file, which is empty, and syncs it.
pub fn fill(connection: &Connection, file: &File, to: &Path) -> Result<(), JournalError> {
    let name = to.to_str().ok_or_else(|| at(to, io::Error::other("the name is not UTF-8")))?;
    connection.execute("VACUUM INTO ?1", [name])?;
    file.sync_all().map_err(|error| at(to, error))
}

/// Names the file that could not be written.
pub fn at(path: &Path, error: io::Error) -> JournalError {
    match error.kind() {
        io::ErrorKind::StorageFull => JournalError::Full(path.into()),
        _ => JournalError::Io(path.into(), error),
    }
}
