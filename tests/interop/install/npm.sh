#!/usr/bin/env bash
# What package.json beside the Node programs names, as package-lock.json pins it.
. "$(dirname "$0")/lib.sh"
is_ready && exit 0
command -v npm >/dev/null || { echo "there is no npm here" >&2; exit 1; }
cp "$here"/../npm/package.json "$here"/../npm/package-lock.json "$folder"
(cd "$folder" && npm ci --silent --no-fund --no-audit --ignore-scripts)
ready
