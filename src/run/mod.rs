//! A run from the lock to the last unbind; operations at the SMSC; the test messages of `probe`; which files of a watched folder are taken when.

pub mod operations;
pub mod pipeline;
pub mod probe;
pub mod watch;
