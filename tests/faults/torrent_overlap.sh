#!/bin/bash
# Fault: two extents of the .torrent overlap
# Required: exit status 4 with both offsets; nothing is written
# Labels: quick
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

/usr/bin/python3 -c 'import libtorrent' 2>/dev/null || skip "python3-libtorrent is not installed"
make_image sda1
cp sda1.torrent good.torrent
/usr/bin/python3 "$faults/bencode.py" good.torrent sda1.torrent 'info[b"files"][1][b"path"] = [b"%032x" % 0x5ffe00]'
deploy 4 sda1 sda1.img
says sda1 'overlaps the one before it, which ends at'
untouched sda1.img
pass
