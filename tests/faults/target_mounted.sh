#!/bin/bash
# Fault: a file system on the target is mounted
# Required: is refused with exit status 3 and the mount point; the file system stays intact
# Labels: quick
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

need_loop
need mkfs.ext4 e2fsck
can_mount ext4 || skip "the kernel does not support ext4"
make_image sda1
truncate -s 24M disk.img
device=$(attach_loop disk.img)
mkfs.ext4 -q -F -E lazy_itable_init=0,lazy_journal_init=0 "$device"
mount_at mounted -t ext4 "$device"
echo "still here" >mounted/file
sync -f mounted
sha1sum disk.img >before
seed sda1
deploy 3 sda1 "$device"
receipt sda1 '.guard == "mounted" and .bytes.written == 0'
says sda1 "mounted on $work/mounted"
sha1sum --quiet -c before || fail "the target was written to"
unmount mounted
e2fsck -f -n "$device" >check.log 2>&1 || fail "the file system is damaged"
pass
