//! Tables, one file for each family. No memory of their own.

pub mod account;
pub mod added_fields;
pub(in crate::journal) mod answer_tlvs;
pub mod counts;
pub mod decisions;
pub mod history;
pub mod identity;
pub(in crate::journal) mod inbound;
pub mod intake;
pub mod known;
pub mod lately;
pub mod lines;
pub mod names;
pub mod notes;
pub mod number_index;
pub mod operations;
pub mod restraint;
pub mod runs;
pub mod suppression;
pub mod test_message;
pub mod twins;
pub mod verdicts;
