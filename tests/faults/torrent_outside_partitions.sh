#!/bin/bash
# Fault: a packed image has content that lies in no partition of its layout, and it has a tracker of Seedbed's
# Required: exit status 4 with the offset; nothing is written; the server names the machine and the reason
# Labels: quick
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

need sfdisk
/usr/bin/python3 -c 'import libtorrent' 2>/dev/null || skip "python3-libtorrent is not installed"
truncate -s 16M disk.img
sfdisk -q disk.img <<<'label: gpt
start=2048, size=12M'
dd if=/dev/urandom of=disk.img bs=1M seek=1 count=12 conv=notrunc status=none
"$seedbed" create disk.img --pack --raw-if-needed -o packed.sbi >create.log 2>&1 || fail "create: $(<create.log)"
/usr/bin/python3 "$faults/bencode.py" packed.torrent sda1.torrent 'one = info[b"seedbed"][b"layout"][b"partitions"][0]' \
    'one[b"size"] = 1 << 20' 'del one[b"content"]'
mv packed.sbi sda1.source
seed_and_count sda1
noise_file sda1.img 24
deploy 4 sda1 sda1.img --tracker "$announce"
says sda1 'lie in no partition of its layout'
refused_at_seed sda1 'lie in no partition of its layout'
untouched sda1.img
pass
