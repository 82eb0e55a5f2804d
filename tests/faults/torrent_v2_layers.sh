#!/bin/bash
# Fault: the piece layer of a v2 .torrent is damaged
# Required: exit status 4 with the extent; nothing is written
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

/usr/bin/python3 -c 'import libtorrent' 2>/dev/null || skip "python3-libtorrent is not installed"
make_image sda1
mkdir v2
dd if=sda1.source of="v2/$(printf %032x 0)" bs=1M count=6 status=none
dd if=sda1.source of="v2/$(printf %032x $((9 * mib)))" bs=1M skip=9 count=5 status=none
/usr/bin/python3 - <<'END'
import libtorrent as lt
files = lt.file_storage()
lt.add_files(files, "v2")
made = lt.create_torrent(files, 1 << 20, lt.create_torrent.v2_only)
lt.set_piece_hashes(made, ".")
torrent = made.generate()
open("good.torrent", "wb").write(lt.bencode(torrent))
root = sorted(torrent[b"piece layers"])[0]
layer = bytearray(torrent[b"piece layers"][root])
layer[40] ^= 1
torrent[b"piece layers"][root] = bytes(layer)
open("sda1.torrent", "wb").write(lt.bencode(torrent))
END
deploy 4 sda1 sda1.img
says sda1 'a v2 torrent whose piece layer of file '
untouched sda1.img
cp good.torrent sda1.torrent # without the fault, only the seeder is missing
deploy 5 sda1 sda1.img --timeout 1s
pass
