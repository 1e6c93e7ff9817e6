//! The one door to SQLite: the journal's file, its tables and everything that reads or writes them.
//!
//! | module | what | leans on |
//! |---|---|---|
//! | [`model`] | keys, the rule that turns facts into a state, spellings of ids, options of a campaign, events | nothing here |
//! | [`files`] | the files beside the journal: locks, write marks, noted answers, room for a full disk | model |
//! | [`store`] | SQL, a file for each family of tables; no memory of its own | model |
//! | [`matcher`] | whose a receipt is | model, store |
//! | [`writer`] | the journal thread, the only writer while it sends: recovery, claims, what came, retries | all of these |
//! | [`query`], [`verify`] | what reports read; whether the journal agrees with itself | model, store |
//! | [`migrate`] | what brings the journal of an older program up to date | |
//! | `testkit` | fixtures of tests | |

use crate::platform::failpoint;
use crate::words::escape::escape_terminal;
use crate::words::format::path_argument;
use crate::words::trouble;
use crate::words::trouble::shown;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior};
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::words::format::journal_option;
use migrate::Age;

pub mod migrate;
pub mod query;
pub mod verify;
pub mod writer;

pub use crate::journal::writer::incoming::words;

/// The schema, as in `schema.sql`.
pub const SCHEMA: &str = include_str!("../../schema.sql");
/// `PRAGMA application_id` of a journal: "SMPP".
const APPLICATION_ID: i64 = 0x534D_5050;
/// `PRAGMA user_version` that this program writes and reads.
pub const VERSION: i64 = 2;
/// Older SQLite can lose commits when two connections write a WAL.
const SQLITE_VERSION_MIN: i32 = 3_051_003;
/// How long a statement waits for another process's transaction, about. An import's chunks are far shorter.
const BUSY_TIMEOUT: Duration = Duration::from_secs(20);
/// How often it looks whether that has ended. SQLite's own waiting looks less and less often, and would as a rule miss the
/// pauses that an import makes.
const BUSY_LOOK: Duration = Duration::from_micros(500);
/// WAL pages after which a commit checkpoints: rarer than SQLite's 1,000, since each one syncs two files.
const CHECKPOINT_PAGES: i64 = 8_000;
/// Page cache of a connection, in KiB.
const CACHE_KIB: i64 = 16_384;

impl From<failpoint::Failed> for JournalError {
    /// As the disk fails.
    fn from(_: failpoint::Failed) -> Self {
        rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR), None).into()
    }
}

impl From<failpoint::Failed> for rusqlite::Error {
    fn from(_: failpoint::Failed) -> Self {
        Self::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR), None)
    }
}

/// What can go wrong with a journal.
#[derive(Debug)]
pub enum JournalError {
    /// There is no such file, and it was not to be made.
    Missing(PathBuf),
    /// The file could not be made, opened or read.
    Io(PathBuf, io::Error),
    /// It is no file, or no file's name, and what it is.
    NotAFile(PathBuf, String),
    /// The file is something else than a journal.
    Foreign(PathBuf),
    /// A newer version of the program made it.
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
    },
    /// An older version of the program made it.
    Older {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
    },
    /// It is of an older version, and a copy to read cannot be had.
    Unread {
        /// The file.
        path: PathBuf,
        /// Why not.
        words: String,
    },
    /// The disk has no room for the backup that is written before an upgrade.
    NoRoomToUpgrade {
        /// The file.
        path: PathBuf,
        /// The octets that are needed.
        needed: u64,
        /// Those that are free.
        free: u64,
    },
    /// SQLite finds the file damaged.
    Damaged(PathBuf, String),
    /// The disk, or the space allowed, is full.
    Full(PathBuf),
    /// The disk failed to read, write or sync.
    Disk(PathBuf, String),
    /// The file or its folder cannot be written.
    ReadOnly(PathBuf),
    /// Another sender holds the journal.
    Held(crate::journal::files::lock::HeldBy),
    /// Another import is running on the journal.
    ImportHeld(PathBuf),
    /// The journal belongs to another account.
    OtherAccount {
        /// The file.
        path: PathBuf,
        /// The account that it records.
        recorded: String,
        /// The account of this run.
        wanted: String,
    },
    /// No campaign has that name.
    NoCampaign {
        /// The name asked for.
        name: String,
        /// The names that there are.
        known: Vec<String>,
    },
    /// The file, or one of those beside it, vanished or was replaced while it was in use.
    Replaced {
        /// The journal.
        path: PathBuf,
        /// What is not what it was.
        gone: PathBuf,
    },
    /// The file has several names.
    Linked {
        /// The name that was given.
        path: PathBuf,
        /// How many names there are.
        names: u64,
    },
    /// A campaign was stopped by a rule, and nobody has said that it goes on.
    Stopped {
        /// Its name.
        name: String,
        /// When, in milliseconds since 1970.
        at: i64,
        /// Why.
        words: String,
    },
    /// More was written to an SMSC than the journal knows of.
    Behind {
        /// The file.
        path: PathBuf,
        /// What the write mark has that the journal lacks.
        words: String,
    },
    /// Another process kept the journal from being written.
    Busy {
        /// The file.
        path: PathBuf,
        /// Which, and what to do about it.
        holder: Option<String>,
    },
    /// SQLite is older than what the journal's promises need.
    OldSqlite(String),
    /// A setting that the promises rest on did not take.
    Pragma {
        /// The setting.
        name: &'static str,
        /// What was wanted.
        wanted: String,
        /// What it is.
        found: String,
    },
    /// The journal contradicts itself.
    Inconsistent(String),
    /// Anything else that SQLite says.
    Sqlite(rusqlite::Error),
}

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(path) => write!(
                f,
                "no journal at {}: import or send a campaign first, or name another file with --journal",
                shown(path)
            ),
            Self::Io(path, error) => {
                write!(f, "journal {}: {}; then run the same command again", shown(path), trouble::words(error))
            }
            Self::NotAFile(path, what) => write!(
                f,
                "{} is no journal: {what}. A journal is a file of its own; name one with --journal (nothing was made or changed)",
                shown(path)
            ),
            Self::Foreign(path) => write!(
                f,
                "{} is not a journal of smppost; it was left untouched (name another file with --journal)",
                shown(path)
            ),
            Self::Newer { path, found } => write!(
                f,
                "journal {} was made by a newer smppost (version {found} of the file, this program knows up to {VERSION}); \
                 it was left untouched: use the newer program",
                shown(path)
            ),
            Self::Older { path, found } => write!(
                f,
                "journal {0} was made by an older smppost (version {found} of the file, this program writes {VERSION}): \
                 `smppost upgrade{1}` brings it up to date",
                shown(path),
                journal_option(path)
            ),
            Self::Unread { path, words } => write!(
                f,
                "journal {0} was made by an older smppost, and the copy that would be shown cannot be made ({words}): \
                 `smppost upgrade{1}` brings the journal itself up to date; another folder for the copy: TMPDIR",
                shown(path),
                journal_option(path)
            ),
            Self::NoRoomToUpgrade { path, needed, free } => write!(
                f,
                "journal {0} has to be upgraded, and the disk has no room for the backup that is written beside it before: \
                 {1} MB are needed and {2} MB free. Nothing was changed. Make space, or upgrade without a backup: \
                 `smppost upgrade --no-backup{3}`",
                shown(path),
                needed.div_ceil(1_000_000),
                free / 1_000_000,
                journal_option(path)
            ),
            Self::Damaged(path, words) => write!(
                f,
                "journal {0} is damaged ({words}). Nothing was sent and nothing changed. To recover: copy {0} and {0}-wal \
                 to a safe place, run `sqlite3 {1} .recover | sqlite3 recovered.db`, check it with `smppost verify \
                 --journal recovered.db`, and go on with that file",
                shown(path),
                path_argument(path)
            ),
            Self::Full(path) => write!(
                f,
                "no space left for journal {}: nothing that was recorded is lost; make space and run the same command again",
                shown(path)
            ),
            Self::Disk(path, words) => write!(
                f,
                "the disk failed under journal {0} ({words}): the command stopped, and what was recorded before stays \
                 recorded. Look at the disk and the system's log (`dmesg`); if the disk is at fault, copy {0} and {0}-wal \
                 to another one and check the copy with `smppost verify --journal COPY`. Then run the same command again",
                shown(path)
            ),
            Self::ReadOnly(path) => write!(
                f,
                "journal {} cannot be written: check the permissions of the file and its folder (reports still work)",
                shown(path)
            ),
            Self::Held(crate::journal::files::lock::HeldBy { journal, by }) => write!(
                f,
                "another smppost is sending or listening with journal {}{}: wait for it, stop it, or use another journal",
                shown(journal),
                by.as_deref().map_or_else(String::new, |by| format!(" ({by})"))
            ),
            Self::ImportHeld(path) => {
                write!(f, "another import into journal {} is running: wait for it to end", shown(path))
            }
            Self::OtherAccount { path, recorded, .. } if recorded == crate::journal::store::account::SIMULATOR => {
                write!(
                    f,
                    "journal {} is of a rehearsal (--simulate), and what was rehearsed is not sent to anybody: name another \
                 file with --journal, and import the campaign there",
                    path.display()
                )
            }
            Self::OtherAccount { path, recorded, wanted } if wanted == crate::journal::store::account::SIMULATOR => {
                write!(
                    f,
                    "journal {} has messages for the account {recorded}, which a rehearsal must not touch: name another file \
                 with --journal",
                    path.display()
                )
            }
            Self::OtherAccount { path, recorded, wanted } => write!(
                f,
                "journal {} has messages of the account {}, and this run is for {}: one journal serves one \
                 account. If --host or --system-id is mistyped, correct it. If it is the same account at a new address or with \
                 another login: the same command, once, with --same-account. For another account name another file with --journal",
                shown(path),
                escape_terminal(recorded),
                escape_terminal(wanted)
            ),
            Self::NoCampaign { name, known } if known.is_empty() => {
                write!(f, "no campaign {name:?}: the journal holds none yet")
            }
            Self::NoCampaign { name, known } => {
                write!(f, "no campaign {name:?} in the journal; there are: {}", escape_terminal(&known.join(", ")))
            }
            Self::Replaced { path, gone } if gone == path => write!(
                f,
                "journal {} was deleted or replaced while in use: sending stopped. Put the file back, then run \
                 `smppost resume`",
                shown(path)
            ),
            Self::Replaced { path, gone } => write!(
                f,
                "{} was deleted or replaced while journal {} was in use: sending stopped, since the journal keeps its word \
                 only together with the files beside it. Leave them alone, then run `smppost resume`",
                shown(gone),
                shown(path)
            ),
            Self::Linked { path, names } => write!(
                f,
                "journal {0} has {names} names (hard links): what is newest stands in a file beside the name that was used, \
                 so that under another name it is missing, and messages would go twice. Nothing was done. Remove the other \
                 names (`find / -xdev -samefile {1}` lists them) and run the same command again; to keep a copy, copy the \
                 file instead of linking it, while nothing uses it",
                shown(path),
                path_argument(path)
            ),
            Self::Stopped { name, at, words } => write!(
                f,
                "campaign {} was stopped at {}Z: {}. To go on all the same: --override-stop",
                crate::words::format::argument(name),
                crate::words::format::moment(query::Stamp(*at)),
                words
            ),
            Self::Behind { path, words } => write!(
                f,
                "journal {0} is older than what was sent: {words}. Its {0}-wal was removed, or another journal or an older \
                 copy has taken its place. Nothing was sent. Put the journal that was in use back, with its -wal, and run \
                 the same command again. If it is lost, or belonged to other messages, remove {0}-marks and {0}-answers: \
                 what this journal does not know to be sent is then sent, if need be a second time",
                shown(path)
            ),
            Self::Busy { path, holder } => {
                write!(
                    f,
                    "another process has kept journal {} from being written for {} s: ",
                    shown(path),
                    BUSY_TIMEOUT.as_secs()
                )?;
                match holder {
                    Some(holder) => f.write_str(holder)?,
                    None => f.write_str(
                        "an import that was stopped, or a tool with a transaction open? Let it go on or end it",
                    )?,
                }
                f.write_str(". What was recorded before stays recorded; then run the same command again")
            }
            Self::OldSqlite(found) => {
                write!(f, "SQLite {found} is too old: 3.51.3 or newer is needed for a journal that keeps its word")
            }
            Self::Pragma { name, wanted, found } => {
                write!(f, "SQLite did not take the setting {name}: wanted {wanted}, found {found}")
            }
            Self::Inconsistent(words) => write!(f, "the journal contradicts itself: {words}; run `smppost verify`"),
            Self::Sqlite(error) => write!(f, "journal: {error}"),
        }
    }
}

impl std::error::Error for JournalError {}

impl From<rusqlite::Error> for JournalError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl JournalError {
    /// Whether there is no room on the disk.
    pub fn is_full(&self) -> bool {
        match self {
            Self::Full(_) => true,
            Self::Sqlite(error) => error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull),
            _ => false,
        }
    }

    /// Whether another process holds the journal's write lock.
    pub fn is_busy(&self) -> bool {
        match self {
            Self::Busy { .. } => true,
            Self::Sqlite(error) => error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy),
            _ => false,
        }
    }

    /// A file beside the journal that could not be made, read or written.
    pub(crate) fn side_file(journal: &Path, suffix: &str, error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full(journal.into()),
            _ => Self::Io(beside(journal, suffix), error),
        }
    }

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

/// Milliseconds since 1970, UTC: the journal's clock.
pub fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_millis() as i64)
}

/// Opens the journal at `path` for writing, making it where there is none.
pub fn open_or_create(path: &Path) -> Result<Connection, JournalError> {
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
fn announce(path: &Path) {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.into());
    crate::platform::screen::say(&format!("new journal: {}", shown(&path)));
}

/// Opens the journal at `path` for writing; it must be there.
pub fn open_existing(path: &Path) -> Result<Connection, JournalError> {
    open_to_write(path).map_err(|error| error.at(path))
}

/// Opens the journal at `path` for reading only. One that an older program made is read from an upgraded copy.
pub fn open_read_only(path: &Path) -> Result<Connection, JournalError> {
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
fn connect_to_read(path: &Path) -> Result<Connection, JournalError> {
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

/// Opens the journal at `path` for reading only, and leaves no file beside it that was not there: SQLite makes an index of
/// the WAL even for a reader, and a reader cannot remove it.
pub fn open_untouched(path: &Path) -> Result<Connection, JournalError> {
    // One whose making was cut short holds nothing yet: it is made by the next that writes to it.
    if fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.len() == 0) && !beside(path, "-wal").exists() {
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
fn connect_folded(path: &Path) -> Result<Connection, JournalError> {
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
fn is_folded(path: &Path) -> bool {
    path.is_file() && fs::metadata(beside(path, "-wal")).map_or(true, |wal| wal.len() == 0)
}

/// A connection that can write, with all that the journal's promises rest on, whatever the version.
fn connect_to_write(path: &Path) -> Result<Connection, JournalError> {
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
    let pages = failpoint::number("SMPPOST_CHECKPOINT_PAGES").unwrap_or(CHECKPOINT_PAGES).to_string();
    set(&connection, "wal_autocheckpoint", &pages, &pages)?;
    crate::journal::files::reserve::limit(&connection, true)?;
    set(&connection, "cache_size", &format!("-{CACHE_KIB}"), &format!("-{CACHE_KIB}"))?;
    Ok(connection)
}

fn open_to_write(path: &Path) -> Result<Connection, JournalError> {
    let mut connection = connect_to_write(path)?;
    create_where_empty(&mut connection)?;
    match migrate::age(&connection)? {
        Age::Other => check_version(&connection, path, false)?,
        Age::Older(found) | Age::Midway(found) => return Err(JournalError::Older { path: path.into(), found }),
    }
    Ok(connection)
}

fn connect(path: &Path, mode: OpenFlags) -> Result<Connection, JournalError> {
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
fn create_where_empty(connection: &mut Connection) -> Result<(), JournalError> {
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
fn insert_names(connection: &Connection) -> Result<(), JournalError> {
    crate::journal::store::names::insert_tags(connection)?;
    let mut insert = connection.prepare("INSERT INTO status_name (command_status, name) VALUES (?1, ?2)")?;
    for status in crate::wire::status::CommandStatus::all() {
        insert.execute((status.0, status.name()))?;
    }
    Ok(())
}

/// Refuses what is not a journal of a version that this program knows. An `empty` file may be let through, to be filled.
fn check_version(connection: &Connection, path: &Path, empty: bool) -> Result<(), JournalError> {
    let id: i64 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
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
fn set(connection: &Connection, name: &'static str, value: &str, expected: &str) -> Result<(), JournalError> {
    connection.execute_batch(&format!("PRAGMA {name} = {value}"))?;
    let found = pragma(connection, name)?;
    if found == expected { Ok(()) } else { Err(JournalError::Pragma { name, wanted: expected.into(), found }) }
}

fn pragma(connection: &Connection, name: &str) -> Result<String, JournalError> {
    let value = connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, rusqlite::types::Value>(0))?;
    Ok(match value {
        rusqlite::types::Value::Integer(number) => number.to_string(),
        rusqlite::types::Value::Text(text) => text,
        other => format!("{other:?}"),
    })
}

/// Changes all of something or nothing.
fn in_transaction<T>(
    connection: &Connection,
    change: impl FnOnce() -> Result<T, JournalError>,
) -> Result<T, JournalError> {
    // Rolled back where it is dropped.
    let transaction = rusqlite::Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    let changed = change()?;
    transaction.commit()?;
    Ok(changed)
}

/// The number of the campaign of that name.
pub fn campaign_id(connection: &Connection, name: &str) -> Result<i64, JournalError> {
    let found = connection
        .query_row("SELECT id FROM campaign WHERE name = ?1 AND imported_at IS NOT NULL", [name], |row| row.get(0))
        .optional()?;
    match found {
        Some(id) => Ok(id),
        None => {
            let mut statement = connection
                .prepare("SELECT name FROM campaign WHERE imported_at IS NOT NULL ORDER BY id DESC LIMIT 20")?;
            let known = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
            Err(JournalError::NoCampaign { name: name.into(), known })
        }
    }
}

/// Whether the journal is one for real messages; `None`: it has something in it, and does not say for what account.
pub fn is_real(connection: &Connection) -> Result<Option<bool>, JournalError> {
    if let Some(recorded) = note(connection, "account")? {
        return Ok(Some(recorded != crate::journal::store::account::SIMULATOR));
    }
    let has_rows: bool = connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM campaign) OR EXISTS (SELECT 1 FROM suppression) OR EXISTS (SELECT 1 FROM session)",
        [],
        |row| row.get(0),
    )?;
    Ok(if has_rows { None } else { Some(false) })
}

/// A note that the journal keeps under a key.
pub fn note(connection: &Connection, key: &str) -> Result<Option<String>, JournalError> {
    Ok(connection.query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0)).optional()?)
}

/// Replaces a note; `None`: takes it away.
pub fn set_note(connection: &Connection, key: &str, value: Option<&str>) -> Result<(), JournalError> {
    match value {
        Some(value) => connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)", [key, value])?,
        None => connection.execute("DELETE FROM meta WHERE key = ?1", [key])?,
    };
    Ok(())
}

/// The file `<journal><suffix>` beside the journal: where SQLite has its own, so beside the file itself and not beside a
/// symbolic link to it.
pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = resolved(path).into_os_string();
    name.push(suffix);
    name.into()
}

/// The path without symbolic links, as far as it is there.
fn resolved(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = fs::canonicalize(folder.unwrap_or(Path::new(".")));
        match (folder, path.file_name()) {
            (Ok(folder), Some(name)) => folder.join(name),
            _ => path.into(),
        }
    })
}

/// Opens (making it, private, where needed) a side file for reading and writing.
pub(crate) fn open_side_file(path: &Path) -> io::Result<fs::File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

pub mod files;
pub mod matcher;
pub mod model;
pub mod store;
pub mod testkit;
#[cfg(test)]
mod tests;
