//! Terminals, signals, outputs that block, and paths.

mod outputs;
mod paths;
mod signals;
mod words;
