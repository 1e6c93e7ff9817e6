//! The copy of a journal that is written before it is upgraded, and the private one that is read where it is not.

use super::{MOVES, run};
use crate::journal::beside::beside;
use crate::journal::error::JournalError;
use crate::journal::files::copying::{copy, free, octets};
use rusqlite::{Connection, OpenFlags};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Room that is to be left for the upgrade itself, and for the reserve of the next run.
const ROOM_BESIDES: u64 = 8 * 1024 * 1024;
/// Backups of one version that may lie beside a journal.
const BACKUPS_MAX: usize = 100;

/// Writes the journal as it is to `<journal>.v<version>-backup`, whole under that name or not at all.
pub fn write(connection: &Connection, path: &Path, version: i64) -> Result<PathBuf, JournalError> {
    let suffix = format!(".v{version}-backup");
    let part = beside(path, &format!("{suffix}-part"));
    let needed = octets(connection)? + ROOM_BESIDES;
    let no_room = |free| JournalError::NoRoomToUpgrade { path: path.into(), needed, free };
    let folder = part.parent().unwrap_or(Path::new("/"));
    // Where it cannot be asked, the writing finds out.
    if let Some(free) = free(folder)
        && free < needed
    {
        return Err(no_room(free));
    }
    let written = copy(connection, &part).and_then(|()| {
        crate::platform::failpoint::reach("upgrade-backup")?;
        let name = (1..=BACKUPS_MAX)
            .map(|n| beside(path, &if n == 1 { suffix.clone() } else { format!("{suffix}-{n}") }))
            .find(|name| !name.exists())
            .ok_or_else(|| JournalError::Io(beside(path, &suffix), io::Error::other("there are too many backups")))?;
        let put = fs::rename(&part, &name).and_then(|()| File::open(folder)?.sync_all());
        put.map(|()| name).map_err(|error| JournalError::Io(part.clone(), error))
    });
    written.map_err(|error| {
        let _ = fs::remove_file(&part);
        let error = error.at(path);
        if error.is_full() { no_room(free(folder).unwrap_or_default()) } else { error }
    })
}

/// An upgraded copy of an older journal, that this process alone sees and that is gone with it: the journal itself is not
/// changed by who only reads it.
pub fn copy_to_read(connection: &Connection, path: &Path) -> Result<Connection, JournalError> {
    let name = format!("smppost-{}-{:08x}.db", std::process::id(), fastrand::u32(..));
    let to = std::env::temp_dir().join(name);
    let opened = copy(connection, &to).and_then(|()| {
        let copied = Connection::open_with_flags(&to, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        copied.execute_batch("PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF")?;
        run(&copied, MOVES)?;
        copied.execute_batch("PRAGMA query_only = ON")?;
        Ok(copied)
    });
    let _ = fs::remove_file(&to);
    opened.map_err(|error| JournalError::Unread { path: path.into(), words: error.at(&to).to_string() })
}
