#![no_main]
#[allow(dead_code, reason = "each target runs one of the bodies")]
#[path = "../../tests/pure/import_bodies/mod.rs"]
mod import_bodies;

libfuzzer_sys::fuzz_target!(|data: &[u8]| import_bodies::csv_import(data));
