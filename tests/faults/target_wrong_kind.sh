#!/bin/bash
# Fault: the image is of a partition, and the target is a disk with partitions
# Required: is refused with exit status 3 and the reason; nothing is written
# Labels: quick
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

need mkfs.ext4
truncate -s 16M sda1.source
mkfs.ext4 -q -F sda1.source
"$seedbed" create sda1.source --name sda1 -o sda1.torrent >created 2>&1 || fail "create: $(<created)"
noise_file disk.img 24
# A partition table with one partition, from 1 MiB to the end.
printf '\0\0\0\0\203\0\0\0\0\10\0\0\0\270\0\0' | dd of=disk.img oflag=seek_bytes seek=446 conv=notrunc status=none
head -c 48 /dev/zero | dd of=disk.img oflag=seek_bytes seek=462 conv=notrunc status=none
printf '\125\252' | dd of=disk.img oflag=seek_bytes seek=510 conv=notrunc status=none
cp disk.img before.img
seed sda1
deploy 3 sda1 disk.img
receipt sda1 '.guard == "wrong_kind" and .bytes.written == 0'
says sda1 'a disk with partitions, but the image is of a single partition'
cmp disk.img before.img || fail "the disk was written to"
pass
