//! What can go wrong with a journal, each with what to do about it.

use crate::journal::beside::beside;
use crate::journal::model::{BUSY_TIMEOUT, VERSION};
use crate::platform::failpoint;
use crate::words::escape::escape_terminal;
use crate::words::format::{journal_option, path_argument};
use crate::words::trouble::{self, shown};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

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
                crate::words::format::moment(crate::words::stamp::Stamp(*at)),
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
