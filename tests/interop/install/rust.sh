#!/usr/bin/env bash
# The client and the server that are made of rusmppc and rusmpp, as Cargo.lock beside them pins these.
. "$(dirname "$0")/lib.sh"
is_ready && exit 0
command -v cargo >/dev/null || { echo "there is no cargo here" >&2; exit 1; }
cargo build --quiet --locked --manifest-path "$here/../rust/Cargo.toml" --target-dir "$folder/target"
ready
