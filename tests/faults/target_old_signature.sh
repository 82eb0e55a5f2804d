#!/bin/bash
# Fault: the target holds the superblock of a RAID member at its end, outside the image
# Required: it is named before, erased before the first write, and named in the log; nothing else outside the image changes
# Labels: quick
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

need_loop
need blkid
make_image sda1
raid_rest
cat rest >>sda1.img
head -c 4 /dev/zero | dd of=rest oflag=seek_bytes seek=$((8 * mib - 8192)) conv=notrunc status=none
cat rest >>sda1.expected
device=$(attach_loop sda1.img)
[[ $(blkid -p -o value -s TYPE "$device") == linux_raid_member ]] || fail "blkid does not see the superblock"
seed sda1
deploy 0 sda1 "$device"
says sda1 '^  linux_raid_member at byte 33546240$'
says sda1 'wiped the signature of earlier content: linux_raid_member at byte 33546240'
receipt sda1 '.outcome == "done"' '.verified' '.warnings == []'
deployed sda1
pass
