//! The journal's file: made, opened, its PRAGMAs set and read back.

use super::beside::beside;
use super::error::JournalError;
use super::migrate;
use super::migrate::Age;
use super::model::{BUSY_TIMEOUT, VERSION};
use crate::platform::failpoint;
use crate::words::format::journal_option;
use crate::words::trouble::shown;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

/// The schema, as in `schema.sql`.
pub const SCHEMA: &str = include_str!("../../schema.sql");
/// `PRAGMA application_id` of a journal: "SMPP".
pub(in crate::journal) const APPLICATION_ID: i64 = 0x534D_5050;
/// Older SQLite can lose commits when two connections write a WAL.
pub(in crate::journal) const SQLITE_VERSION_MIN: i32 = 3_051_003;
/// How often it looks whether that has ended. SQLite's own waiting looks less and less often, and would as a rule miss the
/// pauses that an import makes.
pub(in crate::journal) const BUSY_LOOK: Duration = Duration::from_micros(500);
/// WAL pages after which a commit checkpoints: rarer than SQLite's 1,000, since each one syncs two files.
pub(in crate::journal) const CHECKPOINT_PAGES: i64 = 8_000;
/// Page cache of a connection, in KiB.
pub(in crate::journal) const CACHE_KIB: i64 = 16_384;

/// What is found where a journal is looked for, before anything is done with it.
#[derive(Debug)]
pub enum Looked<T> {
    /// Nothing, or what holds nothing yet.
    Nothing,
    /// A journal that has to be brought up to date.
    Older,
    /// A journal, open to be read.
    Current(T),
}

/// Opens the journal at `path` for writing, making it where there is none.
pub(in crate::journal) fn open_or_create(path: &Path) -> Result<Connection, JournalError> {
    crate::journal::files::regular::check(path)?;
    // Made by us, so that it is private from its first octet; SQLite gives its side files the same permissions.
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => announce(path),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(JournalError::side_file(path, "", error)),
    }
    open_existing(path)
}

/// Says that a journal is made anew, and where, before anything is put into it: who expected one that is there looks up.
pub(in crate::journal) fn announce(path: &Path) {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.into());
    crate::platform::screen::say(&format!("new journal: {}", shown(&path)));
}

/// Opens the journal at `path` for writing; it must be there.
pub(in crate::journal) fn open_existing(path: &Path) -> Result<Connection, JournalError> {
    open_to_write(path).map_err(|error| error.at(path))
}

/// Opens the journal at `path` for reading only. One that an older program made is read from an upgraded copy.
pub(in crate::journal) fn open_read_only(path: &Path) -> Result<Connection, JournalError> {
    let connection = connect_to_read(path)?;
    let at = |error: JournalError| error.at(path);
    match migrate::age(&connection).map_err(at)? {
        Age::Other => check_version(&connection, path, false).map_err(at)?,
        Age::Older(found) | Age::Midway(found) => {
            log::warn!(
                "journal {} was made by an older smppost (version {found}): shown from an upgraded copy; the next command \
                 that writes to it, or `smppost upgrade{}`, brings the journal itself up to date",
                path.display(),
                journal_option(path)
            );
            return migrate::copy_to_read(&connection, path);
        }
    }
    set(&connection, "cache_size", &format!("-{CACHE_KIB}"), &format!("-{CACHE_KIB}")).map_err(at)?;
    Ok(connection)
}

/// A connection that can only read, whatever the version.
pub(in crate::journal) fn connect_to_read(path: &Path) -> Result<Connection, JournalError> {
    let readable = |connection: Connection| -> Result<Connection, JournalError> {
        connection.query_row("PRAGMA schema_version", [], |_| Ok(()))?;
        Ok(connection)
    };
    match connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY).and_then(readable).map_err(|error| error.at(path)) {
        // In a folder that cannot be written SQLite has nowhere to put the index of the WAL. Where there is no WAL, none is
        // needed: nobody can be writing.
        Err(JournalError::ReadOnly(_) | JournalError::Io(..)) if is_folded(path) => {
            readable(connect_folded(path)?).map_err(|error| error.at(path))
        }
        other => other,
    }
}

/// Looks at what is at `path`, and leaves no file beside it that was not there.
pub(in crate::journal) fn look(path: &Path) -> Result<Looked<Connection>, JournalError> {
    if !path.is_file() || is_cut_short(path) {
        return Ok(Looked::Nothing);
    }
    let at = |error: JournalError| error.at(path);
    let is_alone = !beside(path, "-wal").exists();
    let connection = if is_alone { connect_folded(path).map_err(at)? } else { connect_to_read(path)? };
    match migrate::age(&connection).map_err(at)? {
        Age::Older(_) | Age::Midway(_) => Ok(Looked::Older),
        Age::Other => match check_version(&connection, path, false) {
            Ok(()) => Ok(Looked::Current(connection)),
            // Whoever opens it to write says what it is, if nobody is making it just now.
            Err(JournalError::Missing(_) | JournalError::Foreign(_)) => Ok(Looked::Nothing),
            Err(error) => Err(error.at(path)),
        },
    }
}

/// Whether its making was cut short: it holds nothing yet, and is made by the next that writes to it.
fn is_cut_short(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.len() == 0) && !beside(path, "-wal").exists()
}

/// Opens the journal at `path` for reading only, and leaves no file beside it that was not there: SQLite makes an index of
/// the WAL even for a reader, and a reader cannot remove it.
pub(in crate::journal) fn open_untouched(path: &Path) -> Result<Connection, JournalError> {
    if is_cut_short(path) {
        return Err(JournalError::Missing(path.into()));
    }
    if !path.is_file() || beside(path, "-wal").exists() {
        return open_read_only(path);
    }
    let at = |error: JournalError| error.at(path);
    let connection = connect_folded(path).map_err(at)?;
    match migrate::age(&connection).map_err(at)? {
        Age::Other => check_version(&connection, path, false).map_err(at)?,
        Age::Older(_) | Age::Midway(_) => return migrate::copy_to_read(&connection, path),
    }
    Ok(connection)
}

/// A connection to a journal that is all in its one file.
pub(in crate::journal) fn connect_folded(path: &Path) -> Result<Connection, JournalError> {
    let mut uri = String::from("file:");
    for octet in path.as_os_str().as_encoded_bytes() {
        match octet {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => uri.push(char::from(*octet)),
            octet => uri.push_str(&format!("%{octet:02x}")),
        }
    }
    uri.push_str("?immutable=1");
    let mode = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    Ok(Connection::open_with_flags(uri, mode | OpenFlags::SQLITE_OPEN_NO_MUTEX)?)
}

/// Whether all of the journal is in its one file.
pub(in crate::journal) fn is_folded(path: &Path) -> bool {
    path.is_file() && fs::metadata(beside(path, "-wal")).map_or(true, |wal| wal.len() == 0)
}

/// A connection that can write, with all that the journal's promises rest on, whatever the version.
pub(in crate::journal) fn connect_to_write(path: &Path) -> Result<Connection, JournalError> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // What is no journal is left untouched, and the first setting would change the file.
    if migrate::age(&connection)? == Age::Other {
        check_version(&connection, path, true)?;
    }
    if connection.is_readonly(rusqlite::MAIN_DB)? {
        return Err(JournalError::ReadOnly(path.into()));
    }
    set(&connection, "journal_mode", "wal", "wal")?;
    let (synchronous, found) =
        if crate::platform::sabotage::is("sync-normal") { ("NORMAL", "1") } else { ("FULL", "2") };
    set(&connection, "synchronous", synchronous, found)?;
    set(&connection, "foreign_keys", "ON", "1")?;
    // What is deleted is overwritten with zeros where it stood.
    set(&connection, "secure_delete", "ON", "1")?;
    let pages = failpoint::number("SMPPOST_CHECKPOINT_PAGES").unwrap_or(CHECKPOINT_PAGES).to_string();
    set(&connection, "wal_autocheckpoint", &pages, &pages)?;
    crate::journal::files::reserve::limit(&connection, true)?;
    set(&connection, "cache_size", &format!("-{CACHE_KIB}"), &format!("-{CACHE_KIB}"))?;
    Ok(connection)
}

pub(in crate::journal) fn open_to_write(path: &Path) -> Result<Connection, JournalError> {
    let mut connection = connect_to_write(path)?;
    create_where_empty(&mut connection)?;
    match migrate::age(&connection)? {
        Age::Other => check_version(&connection, path, false)?,
        Age::Older(found) | Age::Midway(found) => return Err(JournalError::Older { path: path.into(), found }),
    }
    Ok(connection)
}

pub(in crate::journal) fn connect(path: &Path, mode: OpenFlags) -> Result<Connection, JournalError> {
    if rusqlite::version_number() < SQLITE_VERSION_MIN {
        return Err(JournalError::OldSqlite(rusqlite::version().into()));
    }
    crate::journal::files::regular::check(path)?;
    match fs::metadata(path) {
        // Reports may still be read: a sender whose journal is linked meanwhile comes to its end.
        Ok(meta) if meta.nlink() > 1 && mode.contains(OpenFlags::SQLITE_OPEN_READ_WRITE) => {
            return Err(JournalError::Linked { path: path.into(), names: meta.nlink() });
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(JournalError::Missing(path.into())),
        Err(error) => return Err(JournalError::Io(path.into(), error)),
    }
    let mut connection = Connection::open_with_flags(path, mode | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_handler(Some(|looks| {
        std::thread::sleep(BUSY_LOOK);
        u128::from(looks as u32) < BUSY_TIMEOUT.as_micros() / BUSY_LOOK.as_micros()
    }))?;
    connection.set_prepared_statement_cache_capacity(64);
    // Otherwise a statement is planned anew, at ten times its own cost, each time it is run with another value.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(connection)
}

/// Makes the tables in an empty file. Two processes may try at once: the second finds them made.
pub(in crate::journal) fn create_where_empty(connection: &mut Connection) -> Result<(), JournalError> {
    if pragma(connection, "user_version")? != "0" {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if pragma(&transaction, "user_version")? == "0" {
        transaction.execute_batch(SCHEMA)?;
        insert_names(&transaction)?;
        transaction.commit()?;
    }
    Ok(())
}

/// Fills the tables of names that the specification gives.
pub(in crate::journal) fn insert_names(connection: &Connection) -> Result<(), JournalError> {
    crate::journal::store::names::insert_tags(connection)?;
    let mut insert = connection.prepare("INSERT INTO status_name (command_status, name) VALUES (?1, ?2)")?;
    for status in crate::wire::status::CommandStatus::all() {
        insert.execute((status.0, status.name()))?;
    }
    Ok(())
}

/// Refuses what is not a journal of a version that this program knows. An `empty` file may be let through, to be filled.
pub(in crate::journal) fn check_version(connection: &Connection, path: &Path, empty: bool) -> Result<(), JournalError> {
    // In one look: another process may be making it.
    let (id, version, tables): (i64, i64, i64) = connection.query_row(
        "SELECT (SELECT application_id FROM pragma_application_id), (SELECT user_version FROM pragma_user_version),
                (SELECT count(*) FROM sqlite_schema)",
        [],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )?;
    match (id, version) {
        (0, 0) if empty && tables == 0 => Ok(()),
        // Its making was cut short: it holds nothing yet.
        (0, 0) if tables == 0 => Err(JournalError::Missing(path.into())),
        (APPLICATION_ID, VERSION) => Ok(()),
        (APPLICATION_ID, found) if found > VERSION => Err(JournalError::Newer { path: path.into(), found }),
        _ => Err(JournalError::Foreign(path.into())),
    }
}

/// Sets a PRAGMA and reads it back: a promise must not rest on a setting that silently did not take.
pub(in crate::journal) fn set(
    connection: &Connection,
    name: &'static str,
    value: &str,
    expected: &str,
) -> Result<(), JournalError> {
    connection.execute_batch(&format!("PRAGMA {name} = {value}"))?;
    let found = pragma(connection, name)?;
    if found == expected { Ok(()) } else { Err(JournalError::Pragma { name, wanted: expected.into(), found }) }
}

pub(in crate::journal) fn pragma(connection: &Connection, name: &str) -> Result<String, JournalError> {
    let value = connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, rusqlite::types::Value>(0))?;
    Ok(match value {
        rusqlite::types::Value::Integer(number) => number.to_string(),
        rusqlite::types::Value::Text(text) => text,
        other => format!("{other:?}"),
    })
}
