#!/bin/bash
# Fault: the .torrent has one piece hash too few
# Required: exit status 4; nothing is written
# Labels: quick
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

/usr/bin/python3 -c 'import libtorrent' 2>/dev/null || skip "python3-libtorrent is not installed"
make_image sda1
cp sda1.torrent good.torrent
/usr/bin/python3 "$faults/bencode.py" good.torrent sda1.torrent 'info[b"pieces"] = info[b"pieces"][:-20]'
deploy 4 sda1 sda1.img
says sda1 'sda1.torrent: not a usable torrent'
untouched sda1.img
pass
