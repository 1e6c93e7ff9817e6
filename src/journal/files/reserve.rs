//! Room on the disk that is kept for what is owed: a file `<journal>-reserve`, taken away when the disk is full, so that
//! the answers to what was sent already can still be written down.

use crate::journal::beside::{beside, open_side_file};
use crate::journal::error::JournalError;
use crate::platform::failpoint;
use rusqlite::Connection;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Enough for the answers of full windows and the receipts that come until the sessions are unbound, in some hundred
/// commits.
const OCTETS: u64 = 4 * 1024 * 1024;

/// The file; gone when this is dropped.
#[derive(Debug)]
pub struct Reserve(PathBuf);

impl Reserve {
    /// Makes the file, or finds it where a run that died has left it.
    ///
    /// # Errors
    /// [`JournalError::Full`] where there is no room for it: then there is none for a run either.
    pub fn keep(journal: &Path) -> Result<Self, JournalError> {
        let path = beside(journal, "-reserve");
        fill(&path).map(|()| Self(path.clone())).map_err(|error| {
            let _ = std::fs::remove_file(&path);
            JournalError::side_file(journal, "-reserve", error)
        })
    }
}

/// Whether the disk of a journal has room for a reserve, and as much besides.
pub fn has_room(journal: &Path) -> bool {
    let folder = journal.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Where it cannot be told it is tried.
    rustix::fs::statvfs(folder).map_or(true, |disk| disk.f_bavail.saturating_mul(disk.f_frsize) >= 2 * OCTETS)
}

/// In a build for tests: what the journal may grow to, as a full disk would have it; when the reserve is given up, by as
/// much more.
pub fn limit(connection: &Connection, is_kept: bool) -> Result<(), JournalError> {
    if let Some(pages) = failpoint::number("SMPPOST_PAGES_MAX") {
        let more = if is_kept { 0 } else { OCTETS as i64 / 4_096 };
        connection.query_row(&format!("PRAGMA max_page_count = {}", pages + more), [], |_| Ok(()))?;
    }
    Ok(())
}

impl Drop for Reserve {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn fill(path: &Path) -> io::Result<()> {
    let mut file = open_side_file(path)?;
    if file.metadata()?.len() == OCTETS {
        return Ok(());
    }
    // Something that no file system stores for less than its length.
    let mut random = fastrand::Rng::with_seed(OCTETS);
    let mut octets = vec![0; 64 * 1024];
    for _ in 0..OCTETS / octets.len() as u64 {
        random.fill(&mut octets);
        file.write_all(&octets)?;
    }
    Ok(())
}
