#!/usr/bin/env bash
# Kannel's bearerbox and smsbox, of Debian's package.
. "$(dirname "$0")/lib.sh"
is_ready && exit 0
unpack kannel
ready
