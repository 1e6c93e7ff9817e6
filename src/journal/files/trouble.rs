//! What SQLite's errors say of the file that they are about: what an operator can do something about has its name.

use crate::journal::error::JournalError;
use std::io;
use std::path::Path;

impl JournalError {
    /// Puts the file's name to the errors of SQLite that an operator can do something about.
    pub fn at(self, path: &Path) -> Self {
        use rusqlite::ErrorCode as Code;
        let Self::Sqlite(error) = self else { return self };
        match error.sqlite_error_code() {
            Some(Code::DiskFull) => Self::Full(path.into()),
            Some(Code::DatabaseBusy) => {
                Self::Busy { path: path.into(), holder: crate::journal::files::lock::writer(path) }
            }
            Some(Code::ReadOnly) => Self::ReadOnly(path.into()),
            Some(Code::SystemIoFailure) => match crate::journal::files::regular::why_failed(path) {
                Some(error) => Self::side_file(path, "", error),
                None => Self::Disk(path.into(), error.to_string()),
            },
            Some(Code::DatabaseCorrupt) => Self::Damaged(path.into(), error.to_string()),
            Some(Code::NotADatabase) => Self::Foreign(path.into()),
            Some(Code::CannotOpen) if is_forbidden(path) => {
                let words = "permission denied: it belongs to somebody else, or its mode does not let you read it";
                Self::Io(path.into(), io::Error::new(io::ErrorKind::PermissionDenied, words))
            }
            Some(Code::CannotOpen) => {
                let why = crate::journal::files::regular::why_not_opened(path);
                Self::Io(path.into(), why.unwrap_or_else(|| io::Error::other(error.to_string())))
            }
            _ => Self::Sqlite(error),
        }
    }
}

/// Whether this user may not read a file. Asked without opening it: to close it would cost the process its locks on it.
fn is_forbidden(path: &Path) -> bool {
    rustix::fs::access(path, rustix::fs::Access::READ_OK) == Err(rustix::io::Errno::ACCESS)
}
