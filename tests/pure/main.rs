//! What needs no process and no socket: the codec against another one, and octets, files and texts that nobody meant.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A helper that fails fails its test.

mod any_file;
mod documents;
mod import_bodies;
mod layering;
mod wire_bodies;
mod wire_oracle;
