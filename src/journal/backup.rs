//! A journal's state at one moment, in a file of its own.

use super::beside::{self, beside};
use super::error::JournalError;
use super::files::copying::{at, fill, free, octets};
use super::store::identity::{self, FileMark};
use super::store::notes::note;
use super::{open_read_only, open_untouched, verify};
use rusqlite::{Connection, OpenFlags};
use rustix::fs::FlockOperation;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// What a backup may not be called: SQLite and the program take files of these names for the journal's own.
const BESIDE: [&str; 10] =
    ["", "-wal", "-shm", "-journal", "-lock", "-import-lock", "-marks", "-answers", "-reserve", "-pseudonym-key"];

/// Why no backup was written.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// Something of the journal, or of the disk.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The name is taken.
    #[error("{} is there already: choose another name, or replace an earlier backup of this journal with --replace", .0.display())]
    Exists(PathBuf),
    /// The name is taken by something that --replace leaves alone.
    #[error("{} is {what}: only an earlier backup of this journal is replaced; choose another name", .path.display())]
    NoBackup {
        /// The file.
        path: PathBuf,
        /// What it is.
        what: String,
    },
    /// The name is the journal's, or one of the files beside it.
    #[error("{} is a name of the journal itself or of a file beside it: choose another one", .0.display())]
    Own(PathBuf),
    /// What lies beside it would be taken for a part of it.
    #[error(
        "{} lies where SQLite would take it for a part of the backup: remove it, if nothing uses it, or choose another name",
        .0.display()
    )]
    Beside(PathBuf),
    /// Another one is written to that name.
    #[error("another backup is being written to {}: wait for it, or choose another name", .0.display())]
    Busy(PathBuf),
    /// There is too little room.
    #[error("{} octets are needed for the backup in {}, and {free} are free", .needed, .folder.display())]
    NoRoom {
        /// Where.
        folder: PathBuf,
        /// The octets of the journal.
        needed: u64,
        /// Those that are free.
        free: u64,
    },
}

/// A backup that was written.
#[derive(Debug)]
pub struct Backup {
    /// How many octets it has.
    pub octets: u64,
    /// How many campaigns it holds.
    pub campaigns: i64,
    /// What was checked in it.
    pub report: verify::Report,
}

/// Writes the journal at `path`, as its last commit left it, to the file `to`: whole under that name or not at all, mode 600,
/// on disk, and checked. It is a copy like any other: it knows that it is not the file that is sent from. A sender may be at work.
///
/// # Errors
///
/// [`BackupError`], and nothing is left then. What the check finds is no error.
pub fn backup(path: &Path, to: &Path, replace: bool) -> Result<Backup, BackupError> {
    let journal = open_read_only(path)?;
    let to = &beside::resolved(to);
    if BESIDE.iter().any(|suffix| beside(path, suffix) == *to) {
        return Err(BackupError::Own(to.clone()));
    }
    if fs::symlink_metadata(to).is_ok() {
        if !replace {
            return Err(BackupError::Exists(to.clone()));
        }
        refuse_to_replace(to, identity::id_so_far(&journal)?)?;
    }
    if let Some(left) = ["-wal", "-shm", "-journal"].iter().map(|suffix| beside(to, suffix)).find(|file| file.exists())
    {
        return Err(BackupError::Beside(left));
    }
    let folder = to.parent().unwrap_or(Path::new("/"));
    let needed = octets(journal.connection())?;
    if let Some(free) = free(folder)
        && free < needed
    {
        return Err(BackupError::NoRoom { folder: folder.into(), needed, free });
    }
    let part = beside(to, ".part");
    let file = claim(&part, to)?;
    let written = write(journal.connection(), path, &file, &part).and_then(|backup| {
        crate::platform::failpoint::reach("backup")?;
        let put = if replace { fs::rename(&part, to) } else { put_new(&part, to) };
        put.and_then(|()| File::open(folder)?.sync_all()).map_err(|error| at(to, error))?;
        Ok(backup)
    });
    if written.is_err() {
        let _ = fs::remove_file(&part);
    }
    written.map_err(|error| match error.is_full() {
        true => BackupError::NoRoom { folder: folder.into(), needed, free: free(folder).unwrap_or_default() },
        false => error.into(),
    })
}

/// The file that becomes the backup, empty, and for this process alone: what a killed one has left is written anew.
fn claim(part: &Path, to: &Path) -> Result<File, BackupError> {
    let failed = |error| BackupError::Journal(at(part, error));
    let opened = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(part);
    let file = opened.map_err(failed)?;
    rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|_| BackupError::Busy(to.into()))?;
    // Who held it may just have put it in its place.
    let is_still_there =
        fs::metadata(part).is_ok_and(|there| file.metadata().is_ok_and(|meta| meta.ino() == there.ino()));
    if !is_still_there {
        return Err(BackupError::Busy(to.into()));
    }
    file.set_len(0).map_err(failed)?;
    Ok(file)
}

fn write(journal: &Connection, path: &Path, file: &File, part: &Path) -> Result<Backup, JournalError> {
    fill(journal, file, part)?;
    let copied = Connection::open_with_flags(part, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // A journal from which nothing was sent may not know yet which file it is, and its copy would not know that it is another.
    copied.execute_batch("PRAGMA journal_mode = MEMORY; PRAGMA synchronous = FULL")?;
    if note(&copied, identity::FILE)?.is_none() {
        identity::set_file(&copied, FileMark::of(path)?)?;
    }
    let report = verify::verify(&copied)?;
    let campaigns = copied.query_row("SELECT count(*) FROM campaign", [], |row| row.get(0))?;
    drop(copied);
    file.sync_all().map_err(|error| at(part, error))?;
    let octets = file.metadata().map_err(|error| at(part, error))?.len();
    Ok(Backup { octets, campaigns, report })
}

/// Puts the file where none is: what another process has put there meanwhile stays.
fn put_new(part: &Path, to: &Path) -> io::Result<()> {
    fs::hard_link(part, to).and_then(|()| fs::remove_file(part)).or_else(|error| match error.kind() {
        // A file system without hard links.
        io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported if !to.exists() => fs::rename(part, to),
        _ => Err(error),
    })
}

/// Replaces nothing but an earlier backup of the same journal.
fn refuse_to_replace(to: &Path, journal: Option<String>) -> Result<(), BackupError> {
    let refused = |what: String| Err(BackupError::NoBackup { path: to.into(), what });
    if !fs::symlink_metadata(to).is_ok_and(|meta| meta.is_file()) {
        return refused("no file, or a link to one".into());
    }
    let there = match open_untouched(to) {
        Ok(there) => there,
        Err(error) => return refused(format!("nothing that can be read as one ({error})")),
    };
    if journal.is_none() || identity::id_so_far(&there)? != journal {
        return refused("another journal, or a backup of another".into());
    }
    match identity::standing(&there, FileMark::of(to)?, None)? {
        Some(identity::Strange::Copy) => Ok(()),
        _ => refused("a journal that is sent from".into()),
    }
}
