//! Whose a receipt is.

pub(in crate::journal) mod alternatives;
pub(in crate::journal) mod candidates;
pub mod doubts;
pub mod id_archive;
pub mod id_index;
pub(in crate::journal) mod id_load;
pub mod id_recall;
pub(in crate::journal) mod id_reuse;
pub(in crate::journal) mod judging;
pub mod manual;
pub(in crate::journal) mod number_evidence;
pub(crate) mod parties;
pub(in crate::journal) mod reread;
pub(in crate::journal) mod rules;
pub mod unmatched;
pub(in crate::journal) mod unmatched_overflow;
