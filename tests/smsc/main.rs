//! The simulator over real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking, helpers too")]
mod behaviour;
mod client;
mod faults;
mod receipts;
mod throughput;
