//! The program as its users run it: one binary for all such tests, a module for each area.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A helper that fails fails its test.

#[path = "../common/mod.rs"]
mod common;

mod addresses;
mod hosts;
mod listening;
mod lists;
mod numbers;
mod patterns;
mod place;
mod presets;
mod probe_more;
mod receipts_rules;
mod receiver;
mod record;
mod restraint;
mod said;
mod sessions;
mod simulator;
mod states;
mod terminal;
mod tlvs;
mod zones;
