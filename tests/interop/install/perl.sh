#!/usr/bin/env bash
# Perl's Net::SMPP, of Debian's package.
. "$(dirname "$0")/lib.sh"
command -v perl >/dev/null || { echo "there is no perl here" >&2; exit 1; }
# Debian's perl-base has a part of what belongs to Perl.
perl -MJSON::PP -MEncode -MData::Dumper -e 1 2>/dev/null || { echo "the perl here is not whole (Debian: perl)" >&2; exit 1; }
is_ready && exit 0
unpack libnet-smpp-perl
ready
