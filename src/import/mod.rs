//! A campaign's CSV file, read as a stream: each row checked, put into words, measured, and told from those before it.
//!
//! [`RowReader`] lends one [`Event`] at a time and keeps nothing of a row but its number, so ten million rows need
//! little more memory than [`KeySet`](crate::message::number_set::KeySet) does. A bad row is an event; only what makes the file as a whole doubtful is an
//! [`ImportError`], and then nothing of it is to be kept. [`Tally`] adds events up for `smppost check`.
//!
//! Nothing here knows the journal: its side of the import calls this one.

mod doubts;
mod error;
mod facts;
mod header;
mod list;
mod numbers;
mod reader;
mod records;
mod rows;
mod shown;
mod source;
mod tally;

pub use crate::journal::store::lately::SentBy;
pub use error::{ImportError, Reason, SAR_BESIDE_UDH};
pub use facts::Facts;
pub use list::{Entry, ListReader, ListSettings};
pub use numbers::{NumberCounts, NumberRules, Several, Strictness};
pub use reader::{Event, FieldColumn, RowReader, Settings, TextSource, is_delimiter};
pub use source::{FileEncoding, Format, digest_of};
pub use tally::{Saving, Tally};

pub mod campaign;
pub mod preview;
#[cfg(test)]
mod tests;
