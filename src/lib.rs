//! Bulk SMS over SMPP with a journal.
pub mod address;
pub mod escape;
pub mod fields;
pub mod import;
pub mod journal;
pub mod link;
pub mod pacer;
pub mod report;
pub mod session;
pub mod smsc;
pub mod template;
pub mod text;
pub mod window;
pub mod wire;
