#!/bin/bash
# Fault: the .torrent describes ordinary files
# Required: exit status 4 with the file's name; nothing is written
# Labels: quick
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

/usr/bin/python3 -c 'import libtorrent' 2>/dev/null || skip "python3-libtorrent is not installed"
make_image sda1
cp sda1.torrent good.torrent
/usr/bin/python3 "$faults/bencode.py" good.torrent sda1.torrent 'info[b"files"][1][b"path"] = [b"holiday.jpg"]'
deploy 4 sda1 sda1.img
untouched sda1.img
pass
