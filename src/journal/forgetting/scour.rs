//! What is deleted is to be found in no file any more.
//!
//! `secure_delete` writes zeros over a row and over the pages that it leaves, the WAL is emptied, and where no sender runs
//! `VACUUM` writes the file anew: that alone gives its room back to the file system. (`auto_vacuum` is off: it would cost every
//! commit a page more. Beside a sender the free pages are used by what comes next.)

use crate::journal::beside::beside;
use crate::journal::error::JournalError;
use crate::journal::files::copying::{free, octets};
use crate::journal::handle::Journal;
use rusqlite::Connection;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, UNIX_EPOCH};

/// Readers of the old state are waited for so long.
const READERS_WAIT: Duration = Duration::from_secs(5);
/// How often it is tried meanwhile.
const TRY_EVERY: Duration = Duration::from_millis(50);

/// What became of the files.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Scoured {
    /// Octets that the file system has back.
    pub given_back: u64,
    /// Octets that are free in the file, for what comes.
    pub free_inside: u64,
    /// A reader keeps the old state alive in the WAL.
    pub is_kept_alive: bool,
    /// The file was written anew.
    pub is_rewritten: bool,
    /// It was to be, and there is no room for that: so many octets are needed.
    pub room_needed: Option<u64>,
}

/// Empties the WAL; `rewrite`: writes the file anew, before. To be done under the sender's lock.
pub fn scour(journal: &Journal, path: &Path, rewrite: bool) -> Result<Scoured, JournalError> {
    let connection = journal.connection();
    let mut scoured = Scoured::default();
    let before = fs::metadata(path).map_or(0, |meta| meta.len());
    if rewrite {
        // The new file is written beside the old one, and once more into the WAL.
        let needed = 2 * octets(connection)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        match free(folder) {
            Some(free) if free < needed => scoured.room_needed = Some(needed),
            _ => {
                crate::platform::failpoint::reach("purge-rewrite")?;
                connection.execute_batch("VACUUM")?;
                scoured.is_rewritten = true;
            }
        }
    }
    crate::platform::failpoint::reach("purge-checkpoint")?;
    scoured.is_kept_alive = !empty_wal(connection)?;
    let after = fs::metadata(path).map_or(0, |meta| meta.len());
    scoured.given_back = before.saturating_sub(after);
    let sql = "SELECT freelist_count * page_size FROM pragma_freelist_count, pragma_page_size";
    scoured.free_inside = connection.query_row(sql, [], |row| row.get::<_, i64>(0))?.try_into().unwrap_or_default();
    Ok(scoured)
}

/// Brings all into the file and empties the WAL; false: somebody reads an older state of it.
fn empty_wal(connection: &Connection) -> Result<bool, JournalError> {
    let until = Instant::now() + READERS_WAIT;
    // Without waiting inside, for nobody can write while it waits.
    connection.busy_timeout(Duration::ZERO)?;
    loop {
        let tried = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0));
        let busy = match tried.map_err(JournalError::from) {
            Ok(busy) => busy,
            Err(error) if error.is_busy() => true,
            Err(error) => return Err(error),
        };
        if !busy {
            return Ok(true);
        }
        if Instant::now() >= until {
            return Ok(false);
        }
        std::thread::sleep(TRY_EVERY);
    }
}

/// The backups that upgrades left beside the journal, as old as that at least.
pub fn backups(journal: &Path, up_to: i64) -> Result<Vec<PathBuf>, JournalError> {
    let resolved = beside(journal, "");
    let (Some(folder), Some(name)) = (resolved.parent(), resolved.file_name().and_then(|name| name.to_str())) else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| JournalError::Io(folder.into(), error))?.flatten() {
        let is_one = entry.file_name().to_str().and_then(|other| other.strip_prefix(name)).is_some_and(is_backup);
        let meta = entry.metadata().ok().filter(|meta| meta.is_file());
        let changed = meta.and_then(|meta| meta.modified().ok());
        let at = changed.and_then(|at| at.duration_since(UNIX_EPOCH).ok()).map_or(0, |age| age.as_millis());
        if is_one && i64::try_from(at).is_ok_and(|at| at <= up_to) {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// Whether a file is one by what follows the journal's name: `.v1-backup`, `.v1-backup-2`, `.v1-backup-part`.
fn is_backup(suffix: &str) -> bool {
    let Some((version, rest)) = suffix.strip_prefix(".v").and_then(|rest| rest.split_once("-backup")) else {
        return false;
    };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
    is_number(version)
        && match rest.strip_prefix('-') {
            Some(rest) => rest == "part" || is_number(rest),
            None => rest.is_empty(),
        }
}

/// Removes files; says how many were there.
pub fn remove(files: &[PathBuf]) -> Result<i64, JournalError> {
    let mut removed = 0;
    for file in files {
        match fs::remove_file(file) {
            Ok(()) => removed += 1,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(JournalError::Io(file.clone(), error)),
        }
    }
    Ok(removed)
}
