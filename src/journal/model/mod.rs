//! What the journal is about: keys, the state rule, spellings of ids, the options of a campaign, events. No I/O.

pub mod campaign;
pub mod command;
pub mod events;
pub mod id_spelling;
pub mod key;
pub mod operation;
pub mod outstanding;
pub mod retry_rules;
pub mod rule;
pub mod sequence;
pub mod state;

/// `PRAGMA user_version` that this program writes and reads.
pub const VERSION: i64 = 2;
/// How long a statement waits for another process's transaction, about. An import's chunks are far shorter.
pub(in crate::journal) const BUSY_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(20);
/// In place of an account's address, in a journal of rehearsals.
pub const SIMULATOR: &str = "the built-in simulator";
