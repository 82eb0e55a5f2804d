#!/bin/bash
# Fault: the .torrent does not say whether the image is of a partition, and the target is a disk with partitions
# Required: is refused with exit status 3 and the reason; nothing is written; with --allow-mismatch, it is deployed
# Labels: quick
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

make_image data # neither the name nor the content shows the kind
# A partition table with one partition, from 1 MiB to the end.
printf '\0\0\0\0\203\0\0\0\0\10\0\0\0\270\0\0' | dd of=data.img oflag=seek_bytes seek=446 conv=notrunc status=none
head -c 48 /dev/zero | dd of=data.img oflag=seek_bytes seek=462 conv=notrunc status=none
printf '\125\252' | dd of=data.img oflag=seek_bytes seek=510 conv=notrunc status=none
cp data.img before.img
seed data
# As another program writes it: without a comment.
/usr/bin/python3 "$faults/bencode.py" data.torrent other.torrent 'assert torrent.pop(b"comment") == b"seedbed kind=unknown"'
mv other.torrent data.torrent
deploy 3 data data.img
receipt data '.guard == "wrong_kind" and .bytes.written == 0'
says data 'a disk with partitions, but the .torrent does not say that the image is of a whole disk; deploy to a partition, or allow this .*--allow-mismatch'
cmp data.img before.img || fail "the disk was written to"
deploy 0 data data.img --allow-mismatch
deployed data
pass
