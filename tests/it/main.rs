//! The program as its users run it: one binary for all such tests, a module for each area.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A helper that fails fails its test.

#[path = "../common/mod.rs"]
mod common;

mod addresses;
mod carriage;
mod completions;
mod connections;
mod forgetting;
mod harness;
mod hosts;
mod import_cli;
mod layouts;
mod listening;
mod lists;
mod notice;
mod numbers;
mod operations;
mod over_tls;
mod pace;
mod packaging;
mod pages;
mod patterns;
mod place;
mod presets;
mod probe;
mod probe_more;
mod process_faults;
mod profiles;
mod random_stories;
mod readme;
mod receipts;
mod receipts_rules;
mod receiver;
mod record;
mod refused_parts;
mod restraint;
mod said;
mod service;
mod session_faults;
mod sessions;
mod simulator;
mod simulator_docs;
mod simulator_more;
mod smsc;
mod states;
mod terminal;
mod tls;
mod tlvs;
mod wire_judge;
mod withdrawn;
mod zones;
