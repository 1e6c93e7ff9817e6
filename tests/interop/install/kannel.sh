#!/usr/bin/env bash
# Kannel's bearerbox and smsbox, of Debian's package.
. "$(dirname "$0")/lib.sh"
command -v python3 >/dev/null || { echo "there is no python3 here, in which what talks to Kannel is written" >&2; exit 1; }
is_ready && exit 0
unpack kannel
ready
