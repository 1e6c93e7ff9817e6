#![no_main]
#[allow(dead_code, reason = "each target runs one of the bodies")]
#[path = "../../tests/pure/wire_bodies/mod.rs"]
mod wire_bodies;

libfuzzer_sys::fuzz_target!(|data: &[u8]| wire_bodies::tlvs(data));
