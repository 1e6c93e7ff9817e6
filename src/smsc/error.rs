//! Why a simulator cannot start or run.
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::inbound::InboundError;
use crate::words::trouble::{self, shown};

/// Why a simulator cannot start or run.
#[derive(Debug, thiserror::Error)]
pub enum SmscError {
    /// The address is reachable from outside, and nobody said that this is wanted.
    #[error(
        "{0} is reachable from outside, and anybody could bind there; listen on 127.0.0.1 or add --expose-to-network"
    )]
    NotLoopback(SocketAddr),
    /// The port cannot be had.
    #[error("cannot listen on {listen}: {source} (another --port, or 0 for any free one)")]
    Listen {
        /// Where it was to listen.
        listen: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The ledger cannot be opened.
    #[error("the ledger {}: {}", shown(path), trouble::words(source))]
    Ledger {
        /// Its file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The port for the control over HTTP cannot be had.
    #[error("--control {listen}: {reason} (another port, or 0 for any free one)")]
    Control {
        /// Where it was to listen.
        listen: SocketAddr,
        /// Why not.
        reason: String,
    },
    /// The file of messages from handsets cannot be used.
    #[error("--inbound: {0}")]
    Inbound(#[source] InboundError),
    /// A scenario cannot be used.
    #[error("{0}")]
    Scenario(String),
    /// The record cannot be written.
    #[error("{0}")]
    Record(String),
    /// The file with the password cannot be used.
    #[error("the password file {}: {reason}", shown(path))]
    PasswordFile {
        /// The file.
        path: PathBuf,
        /// Why not, and what to do.
        reason: String,
    },
    /// An option of the command has a value that cannot be used.
    #[error("{option}: {reason}")]
    Option {
        /// Which.
        option: &'static str,
        /// Why not.
        reason: String,
    },
    /// No thread can be started.
    #[error("cannot start a thread: {0}")]
    Thread(#[source] io::Error),
    /// Signals cannot be caught.
    #[error("cannot catch signals: {0}")]
    Signals(#[source] io::Error),
    /// stdout cannot be written.
    #[error("cannot write to stdout: {0}")]
    Output(#[source] io::Error),
}
