//! What can go wrong with a journal, each with what to do about it.

use crate::journal::beside::beside;
use crate::journal::model::{BUSY_TIMEOUT, SIMULATOR, VERSION};
use crate::platform::failpoint;
use crate::words::escape::escape_terminal;
use crate::words::format::{journal_option, path_argument};
use crate::words::trouble::{self, shown};
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

/// Who holds a journal, as far as that is known.
#[derive(Debug)]
pub struct HeldBy {
    /// The journal.
    pub journal: PathBuf,
    /// Which process, and since when: what it noted in its lock.
    pub by: Option<String>,
    /// It is a service (`smppost run`), to which commands hand over.
    pub is_service: bool,
}

/// What can go wrong with a journal.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// There is no such file, and it was not to be made.
    #[error("no journal at {}: import or send a campaign first, or name another file with --journal", shown(.0))]
    Missing(PathBuf),
    /// The file could not be made, opened or read.
    #[error("journal {}: {}; then run the same command again", shown(.0), trouble::words(.1))]
    Io(PathBuf, io::Error),
    /// It is no file, or no file's name, and what it is.
    #[error(
        "{} is no journal: {what}. A journal is a file of its own; name one with --journal (nothing was made or changed)",
        shown(.0),
        what = .1
    )]
    NotAFile(PathBuf, String),
    /// The file is something else than a journal.
    #[error("{} is not a journal of smppost; it was left untouched (name another file with --journal)", shown(.0))]
    Foreign(PathBuf),
    /// A newer version of the program made it.
    #[error(
        "journal {} was made by a newer smppost (version {found} of the file, this program knows up to {VERSION}); \
         it was left untouched: use the newer program",
        shown(path)
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
    },
    /// An older version of the program made it.
    #[error(
        "journal {0} was made by an older smppost (version {found} of the file, this program writes {VERSION}): \
         `smppost upgrade{1}` brings it up to date",
        shown(path),
        journal_option(path)
    )]
    Older {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
    },
    /// It is of an older version, and a copy to read cannot be had.
    #[error(
        "journal {0} was made by an older smppost, and the copy that would be shown cannot be made ({words}): \
         `smppost upgrade{1}` brings the journal itself up to date; another folder for the copy: TMPDIR",
        shown(path),
        journal_option(path)
    )]
    Unread {
        /// The file.
        path: PathBuf,
        /// Why not.
        words: String,
    },
    /// The disk has no room for the backup that is written before an upgrade.
    #[error(
        "journal {0} has to be upgraded, and the disk has no room for the backup that is written beside it before: \
         {1} MB are needed and {2} MB free. Nothing was changed. Make space, or upgrade without a backup: \
         `smppost upgrade --no-backup{3}`",
        shown(path),
        needed.div_ceil(1_000_000),
        free / 1_000_000,
        journal_option(path)
    )]
    NoRoomToUpgrade {
        /// The file.
        path: PathBuf,
        /// The octets that are needed.
        needed: u64,
        /// Those that are free.
        free: u64,
    },
    /// SQLite finds the file damaged.
    #[error(
        "journal {shown} is damaged ({words}). Nothing was sent and nothing changed. To recover: copy {shown} and {shown}-wal \
         to a safe place, run `sqlite3 {} .recover | sqlite3 recovered.db`, check it with `smppost verify \
         --journal recovered.db`, and go on with that file",
        path_argument(.0),
        shown = shown(.0),
        words = .1
    )]
    Damaged(PathBuf, String),
    /// The disk, or the space allowed, is full.
    #[error(
        "no space left for journal {}: nothing that was recorded is lost; make space and run the same command again",
        shown(.0)
    )]
    Full(PathBuf),
    /// The disk failed to read, write or sync.
    #[error(
        "the disk failed under journal {shown} ({1}): the command stopped, and what was recorded before stays \
         recorded. Look at the disk and the system's log (`dmesg`); if the disk is at fault, copy {shown} and {shown}-wal \
         to another one and check the copy with `smppost verify --journal COPY`. Then run the same command again",
        shown = shown(.0)
    )]
    Disk(PathBuf, String),
    /// The file or its folder cannot be written.
    #[error(
        "journal {} cannot be written: check the permissions of the file and its folder (reports still work)",
        shown(.0)
    )]
    ReadOnly(PathBuf),
    /// Another sender holds the journal.
    #[error(
        "another smppost is sending or listening with journal {}{}: wait for it, stop it, or use another journal",
        shown(&.0.journal),
        .0.by.as_deref().map_or_else(String::new, |by| format!(" ({by})"))
    )]
    Held(HeldBy),
    /// Another import is running on the journal.
    #[error("another import into journal {} is running: wait for it to end", shown(.0))]
    ImportHeld(PathBuf),
    /// The journal belongs to another account.
    #[error("journal {}", other_account(path, recorded, wanted))]
    OtherAccount {
        /// The file.
        path: PathBuf,
        /// The account that it records.
        recorded: String,
        /// The account of this run.
        wanted: String,
    },
    /// No campaign has that name.
    #[error("no campaign {name:?}{}", there_are(known))]
    NoCampaign {
        /// The name asked for.
        name: String,
        /// The names that there are.
        known: Vec<String>,
    },
    /// The campaign's messages are deleted.
    #[error("campaign {} was purged: what is left of it are its totals, or messages without their numbers, and nothing of it can be sent", escape_terminal(.0))]
    Purged(String),
    /// The file, or one of those beside it, vanished or was replaced while it was in use.
    #[error("{}", replaced(path, gone))]
    Replaced {
        /// The journal.
        path: PathBuf,
        /// What is not what it was.
        gone: PathBuf,
    },
    /// The file has several names.
    #[error(
        "journal {0} has {names} names (hard links): what is newest stands in a file beside the name that was used, \
         so that under another name it is missing, and messages would go twice. Nothing was done. Remove the other \
         names (`find / -xdev -samefile {1}` lists them) and run the same command again; to keep a copy, copy the \
         file instead of linking it, while nothing uses it",
        shown(path),
        path_argument(path)
    )]
    Linked {
        /// The name that was given.
        path: PathBuf,
        /// How many names there are.
        names: u64,
    },
    /// A campaign was stopped by a rule, and nobody has said that it goes on.
    #[error(
        "campaign {} was stopped at {}Z: {words}. To go on all the same: --override-stop",
        crate::words::format::argument(name),
        crate::words::format::moment(crate::words::stamp::Stamp(*at))
    )]
    Stopped {
        /// Its name.
        name: String,
        /// When, in milliseconds since 1970.
        at: i64,
        /// Why.
        words: String,
    },
    /// More was written to an SMSC than the journal knows of.
    #[error(
        "journal {0} is older than what was sent: {words}. Its {0}-wal was removed, or another journal or an older \
         copy has taken its place. Nothing was sent. Put the journal that was in use back, with its -wal, and run \
         the same command again. If it is lost, or belonged to other messages, remove {0}-marks and {0}-answers: \
         what this journal does not know to be sent is then sent, if need be a second time",
        shown(path)
    )]
    Behind {
        /// The file.
        path: PathBuf,
        /// What the write mark has that the journal lacks.
        words: String,
    },
    /// Another process kept the journal from being written.
    #[error(
        "another process has kept journal {} from being written for {} s: {}. What was recorded before stays recorded; then \
         run the same command again",
        shown(path),
        BUSY_TIMEOUT.as_secs(),
        holder.as_deref().unwrap_or(NOBODY_KNOWN)
    )]
    Busy {
        /// The file.
        path: PathBuf,
        /// Which, and what to do about it.
        holder: Option<String>,
    },
    /// SQLite is older than what the journal's promises need.
    #[error("SQLite {0} is too old: 3.51.3 or newer is needed for a journal that keeps its word")]
    OldSqlite(String),
    /// A setting that the promises rest on did not take.
    #[error("SQLite did not take the setting {name}: wanted {wanted}, found {found}")]
    Pragma {
        /// The setting.
        name: &'static str,
        /// What was wanted.
        wanted: String,
        /// What it is.
        found: String,
    },
    /// The journal contradicts itself.
    #[error("the journal contradicts itself: {0}; run `smppost verify`")]
    Inconsistent(String),
    /// Anything else that SQLite says.
    #[error("journal: {0}")]
    Sqlite(#[from] rusqlite::Error),
}

/// Who keeps the journal from being written, where that is not known.
const NOBODY_KNOWN: &str = "an import that was stopped, or a tool with a transaction open? Let it go on or end it";

fn other_account(path: &Path, recorded: &str, wanted: &str) -> String {
    if recorded == SIMULATOR {
        return format!(
            "{} is of a rehearsal (--simulate), and what was rehearsed is not sent to anybody: name another \
                 file with --journal, and import the campaign there",
            path.display()
        );
    }
    if wanted == SIMULATOR {
        return format!(
            "{} has messages for the account {recorded}, which a rehearsal must not touch: name another file \
                 with --journal",
            path.display()
        );
    }
    format!(
        "{} has messages of the account {}, and this run is for {}: one journal serves one \
         account. If --host or --system-id is mistyped, correct it. If it is the same account at a new address or with \
         another login: the same command, once, with --same-account. For another account name another file with --journal",
        shown(path),
        escape_terminal(recorded),
        escape_terminal(wanted)
    )
}

fn there_are(campaigns: &[String]) -> String {
    match campaigns {
        [] => ": the journal holds none yet".into(),
        known => format!(" in the journal; there are: {}", escape_terminal(&known.join(", "))),
    }
}

fn replaced(path: &Path, gone: &Path) -> String {
    if gone == path {
        return format!(
            "journal {} was deleted or replaced while in use: sending stopped. Put the file back, then run \
             `smppost resume`",
            shown(path)
        );
    }
    format!(
        "{} was deleted or replaced while journal {} was in use: sending stopped, since the journal keeps its word \
         only together with the files beside it. Leave them alone, then run `smppost resume`",
        shown(gone),
        shown(path)
    )
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
}
