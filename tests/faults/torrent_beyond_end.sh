#!/bin/bash
# Fault: an extent of the .torrent lies beyond the end of the target, or of any disk
# Required: exit status 3 with the size that the image needs, or 4; nothing is written
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

/usr/bin/python3 -c 'import libtorrent' 2>/dev/null || skip "python3-libtorrent is not installed"
make_image sda1
cp sda1.torrent good.torrent
for offset in 0x1800000:3 0x7ffffffffffff000:4 0xfffffffffffffe00:4 0x10000000000000000:4; do
    /usr/bin/python3 "$faults/bencode.py" good.torrent sda1.torrent \
        "info[b'files'][2][b'path'] = [b'%032x' % ${offset%:*}]"
    deploy "${offset#*:}" sda1 sda1.img
done
untouched sda1.img
pass
