//! What the program and its simulator say to programs that nobody here wrote, and what these make of it.
//!
//! Each peer is installed by a script below `install/`, pinned, into `target/interop`. One that cannot be had here is named
//! with `NOT CHECKED`, and `SMPPOST_PEERS_REQUIRED` makes that a failure. `docs/interop.md` has what was found.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking, helpers too")]

#[path = "../common/mod.rs"]
mod common;

mod clients;
mod control;
mod judge;
mod missing;
mod peers;
mod servers;
mod texts;
