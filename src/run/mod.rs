//! A run from the lock to the last unbind; operations at the SMSC; the test messages of `probe`.

pub mod operations;
pub mod pipeline;
pub mod probe;
