//! Terminals, signals, outputs that block, and paths.

mod outputs;
mod paths;
mod questions;
mod signals;
mod words;
