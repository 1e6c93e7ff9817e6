//! The files beside the journal: lock, write marks, noted answers, reserve. No SQL.

pub mod answer_log;
pub mod copying;
pub mod lock;
pub mod regular;
pub mod reserve;
mod trouble;
pub mod wal;
pub mod write_marks;
