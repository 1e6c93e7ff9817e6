//! Numbers, durations, lists, paths and foreign text, as people read them.

mod bad_value;
pub mod clock;
pub mod commands;
pub mod escape;
pub mod format;
pub mod names;
pub mod near;
pub mod shell_words;
pub mod stamp;
pub mod trouble;
pub mod typed;

pub use bad_value::BadValue;
pub(crate) use bad_value::bad;
