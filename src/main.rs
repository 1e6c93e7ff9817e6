//! The `smppost` program.
fn main() {}
