//! Brings a journal that an older program made up to date.
//!
//! `shape` makes its tables what `schema.sql` says, in one short transaction, since tables are only ever widened: a new
//! table, new columns at the end of one, a CHECK that lets more through. What has to be computed from the rows that are
//! there is a `Move`, done in ranges of `ROWS_PER_RANGE` rows, a transaction each. How far it has come stands in `meta`,
//! in the same transaction, so that the next start goes on wherever this one was killed. Until the last transaction the note
//! is there, and nobody but the upgrade itself takes the journal for one that can be used; an older program refuses it from
//! the first on, since `user_version` is new from then on.
//!
//! Before anything is changed `backup` writes a copy beside the journal. The files beside a journal (write marks, noted
//! answers) stay as they are: recovery reads those that an older program left.
//!
//! A command that only reads does not change an old journal: it reads a private copy, which is upgraded (`copy_to_read`).

mod backup;
mod shape;
#[cfg(test)]
mod tests;

use crate::journal::error::JournalError;
use crate::journal::files::lock::{ImportLock, SenderLock};
use crate::journal::model::VERSION;
use crate::journal::open::APPLICATION_ID;
use crate::journal::store::notes::{in_transaction, note, set_note};
use rusqlite::{Connection, OptionalExtension};
use std::path::{Path, PathBuf};

pub use backup::copy_to_read;

/// Rows that one transaction of an upgrade goes through.
const ROWS_PER_RANGE: i64 = 20_000;
/// Key in `meta` of how far an upgrade has come; it is there only while one is under way.
const UNDER_WAY: &str = "upgrade";

/// What an upgrade computes from the rows of a table.
struct Move {
    /// Journals of an older version need it.
    to: i64,
    /// The table, and its key, a whole number.
    table: &'static str,
    key: &'static str,
    /// Does it for the rows from one key on and before another.
    run: fn(&Connection, i64, i64) -> rusqlite::Result<()>,
}

/// All there are, the oldest first. A later program may go on with an upgrade that this one began: none is ever removed.
const MOVES: &[Move] = &[];

/// What an upgrade did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Upgraded {
    /// The version that the journal had.
    pub from: i64,
    /// The copy of the journal as it was; `None`: none was asked for, or an upgrade that was cut short has gone on.
    pub backup: Option<PathBuf>,
}

/// How a journal stands to this program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Age {
    /// Up to date; or it is no journal, or a newer one, as [`crate::journal::open::check_version`] says.
    Other,
    /// An older version that this program can bring up to date.
    Older(i64),
    /// An upgrade from this version was cut short.
    Midway(i64),
}

/// How old the journal is.
pub(super) fn age(connection: &Connection) -> Result<Age, JournalError> {
    let pragma = |name: &str| connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0));
    if pragma("application_id")? != APPLICATION_ID {
        return Ok(Age::Other);
    }
    match pragma("user_version")? {
        version if (1..VERSION).contains(&version) => {
            Ok(progress(connection)?.map_or(Age::Older(version), |progress| Age::Midway(progress.from)))
        }
        VERSION => Ok(progress(connection)?.map_or(Age::Other, |progress| Age::Midway(progress.from))),
        _ => Ok(Age::Other),
    }
}

/// The version of the journal at `path`, where it has to be brought up to date before it can be used.
pub fn is_due(path: &Path) -> Result<Option<i64>, JournalError> {
    if !path.is_file() {
        return Ok(None);
    }
    // A reader would leave an index of the WAL beside it, where there is none.
    let is_folded = !crate::journal::beside::beside(path, "-wal").exists();
    let folded = || crate::journal::open::connect_folded(path).map_err(|error| error.at(path));
    let connection = if is_folded { folded()? } else { crate::journal::open::connect_to_read(path)? };
    match age(&connection).map_err(|error| error.at(path))? {
        Age::Other => Ok(None),
        Age::Older(from) | Age::Midway(from) => Ok(Some(from)),
    }
}

/// Brings the journal at `path` up to date, under the locks of sender and import; `None`: it is. `begin` is told the version
/// before anything is done, also before the locks are asked for.
///
/// # Errors
/// [`JournalError::Held`] while another program sends from it, and [`JournalError::NoRoomToUpgrade`] where a backup is wanted
/// and the disk has no room for it: then nothing was changed.
pub fn upgrade(path: &Path, with_backup: bool, begin: &mut dyn FnMut(i64)) -> Result<Option<Upgraded>, JournalError> {
    let Some(from) = is_due(path)? else { return Ok(None) };
    begin(from);
    let _sender = SenderLock::take(path)?;
    let _import = ImportLock::take(path)?;
    let at = |error: JournalError| error.at(path);
    let connection = crate::journal::open::connect_to_write(path).map_err(at)?;
    // Another process may have been faster.
    let (from, is_whole) = match age(&connection).map_err(at)? {
        Age::Other => return Ok(None),
        Age::Older(from) => (from, true),
        Age::Midway(from) => (from, false),
    };
    let backup = if with_backup && is_whole { Some(backup::write(&connection, path, from)?) } else { None };
    run(&connection, MOVES).map_err(at)?;
    Ok(Some(Upgraded { from, backup }))
}

/// Goes through an upgrade from wherever it stands to its end.
fn run(connection: &Connection, moves: &[Move]) -> Result<(), JournalError> {
    while step(connection, moves, ROWS_PER_RANGE)? {}
    Ok(())
}

/// How far an upgrade has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Progress {
    /// The version that the journal had.
    from: i64,
    /// The moves that are done, of all there are.
    done: usize,
    /// The first key that the next one has not been through.
    key: i64,
}

fn progress(connection: &Connection) -> Result<Option<Progress>, JournalError> {
    let Some(text) = note(connection, UNDER_WAY)? else { return Ok(None) };
    let mut numbers = text.split(' ').map(str::parse::<i64>);
    let (Some(Ok(from)), Some(Ok(done)), Some(Ok(key))) = (numbers.next(), numbers.next(), numbers.next()) else {
        return Err(JournalError::Inconsistent(format!("the upgrade's note is {text:?}")));
    };
    Ok(Some(Progress { from, done: usize::try_from(done).unwrap_or_default(), key }))
}

fn set_progress(connection: &Connection, progress: Progress) -> Result<(), JournalError> {
    set_note(connection, UNDER_WAY, Some(&format!("{} {} {}", progress.from, progress.done, progress.key)))
}

/// Does one transaction of an upgrade; false: that was the last.
fn step(connection: &Connection, moves: &[Move], rows: i64) -> Result<bool, JournalError> {
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let under_way = progress(connection)?;
    if version < VERSION {
        let progress = under_way.unwrap_or(Progress { from: version, done: 0, key: i64::MIN });
        shape::widen(connection, || set_progress(connection, progress))?;
        return Ok(true);
    }
    let Some(mut progress) = under_way else { return Ok(false) };
    while moves.get(progress.done).is_some_and(|next| next.to <= progress.from) {
        progress = Progress { done: progress.done + 1, key: i64::MIN, ..progress };
    }
    if let Some(next) = moves.get(progress.done) {
        in_transaction(connection, || {
            let progress = range(connection, next, progress, rows)?;
            set_progress(connection, progress)?;
            Ok(crate::platform::failpoint::reach("upgrade-range")?)
        })?;
        return Ok(true);
    }
    // An index is made in one go: SQLite has no other way.
    if shape::make_index(connection)? {
        return Ok(true);
    }
    in_transaction(connection, || {
        shape::finish(connection)?;
        set_note(connection, UNDER_WAY, None)?;
        Ok(crate::platform::failpoint::reach("upgrade-finish")?)
    })?;
    Ok(false)
}

/// Does a move for the next rows, and says how far it is then.
fn range(connection: &Connection, next: &Move, progress: Progress, rows: i64) -> Result<Progress, JournalError> {
    let Move { table, key, .. } = next;
    let sql = format!("SELECT {key} FROM {table} WHERE {key} >= ?1 ORDER BY {key} LIMIT 1 OFFSET ?2");
    let end: Option<i64> = connection.query_row(&sql, [progress.key, rows], |row| row.get(0)).optional()?;
    (next.run)(connection, progress.key, end.unwrap_or(i64::MAX))?;
    Ok(match end {
        Some(key) => Progress { key, ..progress },
        None => Progress { done: progress.done + 1, key: i64::MIN, ..progress },
    })
}
