#!/usr/bin/env bash
# What requirements.txt beside the Python programs pins, in an environment of its own.
. "$(dirname "$0")/lib.sh"
is_ready && exit 0
command -v python3 >/dev/null || { echo "there is no python3 here" >&2; exit 1; }
rm -rf "$folder/venv"
# Debian has the module that makes environments in a package of its own.
python3 -m venv "$folder/venv" 2>/dev/null || { echo "python3 has no venv here (Debian: python3-venv)" >&2; exit 1; }
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps -r "$here/../python/requirements.txt"
ready
