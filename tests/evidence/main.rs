//! Evidence for the promise: crashes, full and failing disks, power cuts, hostile peers. The page of each module has its long form.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A helper that fails fails its test.

#[path = "../common/mod.rs"]
mod common;
mod lab;

mod clock;
mod disk;
mod failpoints;
mod hostile;
mod io;
mod journal_file;
mod kills;
mod operator;
mod order;
mod peer;
mod recovery;
mod restarts;
mod soak;
