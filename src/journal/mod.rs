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
//! | [`handle`] | an open journal as the rooms outside hold it: no SQL can be run on it there | |
//! | [`migrate`] | what brings the journal of an older program up to date | |
//! | [`backup`] | the state of one moment in a file of its own | query, verify |
//! | [`forgetting`] | what is purged, made pseudonymous or forgotten | files, store, query, writer |
//! | `testkit` | fixtures of tests | |

pub mod backup;
pub mod beside;
pub mod error;
pub mod files;
pub mod forgetting;
pub mod handle;
pub mod matcher;
pub mod migrate;
pub mod model;
pub mod open;
pub mod query;
pub mod store;
#[cfg(test)]
pub mod testkit;
#[cfg(test)]
mod tests;
pub mod verify;
pub mod writer;

pub use crate::platform::clock::now_ms;
pub use beside::beside;
pub use error::JournalError;
pub use handle::{Journal, look, open_existing, open_or_create, open_read_only, open_untouched};
pub use open::Looked;
pub use store::notes::{campaign_id, is_real, note, set_note};
pub use writer::incoming::words;
