//! What the journal is about: keys, the state rule, spellings of ids, the options of a campaign, events. No I/O.

pub mod campaign;
pub mod events;
pub mod id_spelling;
pub mod key;
pub mod outstanding;
pub mod sequence;
pub mod state;
