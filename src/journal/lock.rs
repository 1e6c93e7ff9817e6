//! One sender, and one import, at a time: advisory locks on files beside the journal. The operating system lets go of
//! them when the process ends, however it ends.

use super::{JournalError, beside, open_side_file};
use std::fs::{File, TryLockError};
use std::path::Path;

/// Held by whoever sends or listens: `<journal>-lock`.
#[derive(Debug)]
pub struct SenderLock(#[allow(dead_code, reason = "held, not used")] File);

/// Held by an import while it runs: `<journal>-import-lock`.
#[derive(Debug)]
pub struct ImportLock(#[allow(dead_code, reason = "held, not used")] File);

impl SenderLock {
    /// Takes the lock, or fails at once with [`JournalError::Held`].
    pub fn take(journal: &Path) -> Result<Self, JournalError> {
        take(journal, "-lock")?.map(Self).ok_or_else(|| JournalError::Held(journal.into()))
    }
}

impl ImportLock {
    /// Takes the lock, or fails at once with [`JournalError::ImportHeld`].
    pub fn take(journal: &Path) -> Result<Self, JournalError> {
        take(journal, "-import-lock")?.map(Self).ok_or_else(|| JournalError::ImportHeld(journal.into()))
    }
}

fn take(journal: &Path, suffix: &str) -> Result<Option<File>, JournalError> {
    let path = beside(journal, suffix);
    let file = open_side_file(&path).map_err(|error| match error.kind() {
        std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
            JournalError::ReadOnly(journal.into())
        }
        std::io::ErrorKind::NotFound => {
            JournalError::Io(journal.into(), std::io::Error::other("the folder that it is to be in does not exist"))
        }
        _ => JournalError::side_file(journal, suffix, error),
    })?;
    if crate::broken::is("no-lock") {
        return Ok(Some(file));
    }
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(JournalError::Io(path, error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f44_the_second_sender_is_refused_until_the_first_lets_go() {
        let folder = tempfile::tempdir().unwrap();
        let journal = folder.path().join("journal.db");
        let first = SenderLock::take(&journal).unwrap();
        assert!(matches!(SenderLock::take(&journal), Err(JournalError::Held(_))));
        // An import may run beside a sender.
        let _import = ImportLock::take(&journal).unwrap();
        assert!(matches!(ImportLock::take(&journal), Err(JournalError::ImportHeld(_))));
        drop(first);
        SenderLock::take(&journal).unwrap();
    }
}
