//! What an operator reads: campaigns, messages, what went wrong and what to do about it.
//!
//! [`page`] the summary of a campaign in words, [`html`] for a browser, [`summary`] the words at the end of a
//! run; [`rows`] everything that is a list, as table, JSON or CSV; [`explain`] status codes; [`verify`] the journal's
//! health.
//!
//! stdout is data: what an SMSC or a campaign file supplied is escaped in tables and JSON, and its cells are neutralised
//! in CSV unless asked otherwise. A reader that goes away is no error. Everything is read through
//! [`crate::journal::query`].

pub mod explain;
pub mod explain_error;
pub mod html;
pub mod page;
pub mod progress_json;
pub mod repeats;
pub mod rows;
pub mod summary;
pub mod verify;

use crate::journal::JournalError;
use crate::journal::files::lock::SenderLock;
use std::io;
use std::path::Path;

pub use crate::words::format::width;
pub use summary::{RunFacts, SendSummary};

/// How a command ended, as the exit code says it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// 0: all is well.
    Done,
    /// 1: something that was to be shown is wrong.
    Failed,
    /// 3: finished, but some messages were rejected, failed, partly delivered, went out only in part or are in doubt.
    Unfinished,
}

impl Exit {
    /// The exit code.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Unfinished => 3,
        }
    }
}

/// Why nothing, or not all, was shown.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The journal cannot be read.
    #[error("{0}")]
    Journal(JournalError),
    /// What was found could not be written out.
    #[error("the output could not be written: {0}")]
    Output(io::Error),
    /// The arguments ask for something that there is not.
    #[error("{0}")]
    Usage(String),
}

impl From<JournalError> for ReportError {
    fn from(error: JournalError) -> Self {
        Self::Journal(error)
    }
}

impl From<io::Error> for ReportError {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl From<csv::Error> for ReportError {
    fn from(error: csv::Error) -> Self {
        // Its own way to an io::Error forgets that the reader went away.
        Self::Output(match error.into_kind() {
            csv::ErrorKind::Io(error) => error,
            other => io::Error::other(format!("{other:?}")),
        })
    }
}

impl From<serde_json::Error> for ReportError {
    fn from(error: serde_json::Error) -> Self {
        Self::Output(error.into())
    }
}

/// A reader that has seen enough (`| head`) ends a command quietly.
pub(crate) fn quiet(result: Result<Exit, ReportError>) -> Result<Exit, ReportError> {
    match result {
        Err(ReportError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Exit::Done),
        other => other,
    }
}

/// Whether a sender holds the journal; `None` where that cannot be found out.
pub(crate) fn is_sender_running(journal: &Path) -> Option<bool> {
    if !crate::journal::beside(journal, "-lock").exists() {
        return Some(false);
    }
    match SenderLock::take(journal) {
        Ok(_released_at_once) => Some(false),
        Err(JournalError::Held(_)) => Some(true),
        Err(_) => None,
    }
}

pub mod progress;
