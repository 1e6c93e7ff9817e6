#!/usr/bin/env bash
# Perl's Net::SMPP, of Debian's package.
. "$(dirname "$0")/lib.sh"
is_ready && exit 0
command -v perl >/dev/null || { echo "there is no perl here" >&2; exit 1; }
unpack libnet-smpp-perl
ready
