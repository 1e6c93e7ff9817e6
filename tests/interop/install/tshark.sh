#!/usr/bin/env bash
# Wireshark's dissector on the command line. It needs half a desktop's libraries, and so is installed in the system.
. "$(dirname "$0")/lib.sh"
command -v tshark >/dev/null && exit 0
command -v apt-get >/dev/null || { echo "there is neither tshark nor apt-get here" >&2; exit 1; }
[ "$(id -u)" = 0 ] || { echo "there is no tshark here, and only root may install it" >&2; exit 1; }
apt-get -qq update
DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends tshark >/dev/null
