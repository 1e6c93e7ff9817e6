//! Numbers, durations, lists, paths and foreign text, as people read them.

pub mod escape;
pub mod format;
pub mod near;
pub mod stamp;
pub mod trouble;
