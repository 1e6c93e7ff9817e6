//! Campaign files through the program itself: what is refused and in which words, what is kept, and that a refusal leaves
//! nothing behind. Tests are named after the fault that they show.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod cancelled;
mod desk;
mod kept;
mod preview;
mod refused;
mod torn;
