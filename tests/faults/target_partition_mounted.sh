#!/bin/bash
# Fault: a partition of the target is mounted
# Required: is refused with exit status 3 and the mount point; the disk stays intact
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

need_loop
need mkfs.ext4 addpart
can_mount ext4 || skip "the kernel does not support ext4"
make_image sda1
truncate -s 24M disk.img
device=$(attach_loop disk.img -P)
addpart "$device" 1 2048 40960 || skip "cannot create a partition"
defer part delpart "$device" 1
partition=${device}p1
if [[ ! -b $partition ]]; then # a /dev without devtmpfs
    IFS=: read -r major minor <"/sys/class/block/${partition#/dev/}/dev"
    mknod "$partition" b "$major" "$minor"
    defer node rm "$partition"
fi
mkfs.ext4 -q -F -E lazy_itable_init=0,lazy_journal_init=0 "$partition"
mount_at mounted -t ext4 -o ro "$partition"
sha1sum disk.img >before
seed sda1
deploy 3 sda1 "$device"
receipt sda1 '.guard == "mounted" and .bytes.written == 0'
says sda1 "mounted on $work/mounted"
sha1sum --quiet -c before || fail "the disk was written to"
pass
