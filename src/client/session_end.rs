//! Why sessions end.

use crate::journal::words;
use crate::wire::{CommandStatus, FrameError};
use std::io;
use std::time::Duration;

/// Why a session ends or never came about: in the words that the journal keeps and that the operator reads.
#[derive(Debug, thiserror::Error)]
pub enum SessionEnd {
    /// The socket cannot be set up.
    #[error("the socket: {0}")]
    Socket(io::Error),
    /// It broke while something was read or written.
    #[error("the connection broke: {0}")]
    Broken(io::Error),
    /// The same of what the link itself asks for.
    #[error("{0}")]
    Link(io::Error),
    /// The peer closed it.
    #[error("the SMSC closed the connection")]
    Closed,
    /// The peer unbound.
    #[error("the SMSC unbound")]
    Unbound,
    /// The peer refuses messages by a status that says so.
    #[error(
        "the SMSC says that this session is not bound ({}): what it refused so is sent again on another",
        words(*.0)
    )]
    NotBound(CommandStatus),
    /// The peer's generic_nack, of no request.
    #[error("the SMSC could not read what it got: {}", words(*.0))]
    Nack(CommandStatus),
    /// Every slot of the window waits for an answer that will not come.
    #[error("messages beyond a window of its own are never answered by the SMSC: bound anew")]
    Stuck,
    /// Neither anything else nor the answer to enquire_link came in time.
    #[error("the SMSC is silent: no answer to enquire_link within the response timeout ({0:?})")]
    Silent(Duration),
    /// A PDU began, and did not come to its end in time.
    #[error("a PDU did not arrive whole within the response timeout ({0:?})")]
    HalfPdu(Duration),
    /// What came is no SMPP.
    #[error("what the SMSC sends cannot be framed: {0}")]
    Unframed(FrameError),
    /// The same, before anything else was said of it.
    #[error("{0}")]
    Frame(FrameError),
    /// Nothing passed on it for so long as it may.
    #[error("nothing passed for the inactivity timeout ({0:?})")]
    Idle(Duration),
    /// Messages are tried on other sessions first.
    #[error("nothing was tried on this session")]
    Untried,
    /// The sending hours begin later.
    #[error("unbound until sending may begin")]
    Held,
    /// By another session, as other settings have it.
    #[error("unbound, to be bound by the settings that were reloaded")]
    Renewed,
    /// Our unbind was not answered.
    #[error("unbound without an answer")]
    UnbindUnanswered,
    /// SIGQUIT.
    #[error("left at once, as SIGQUIT asks")]
    AtOnce,
    /// What may have left cannot be noted.
    #[error("the file of write marks: {0}")]
    WriteMarks(io::Error),
    /// There is no thread for its reader.
    #[error("no thread for the reader: {0}")]
    NoThread(io::Error),
    /// Its reader died.
    #[error("the reader panicked")]
    ReaderPanicked,
    /// The journal thread has ended.
    #[error("the journal is gone")]
    JournalGone,
    /// Nobody is there any more for what came.
    #[error("the program stops")]
    Stopped,
}
