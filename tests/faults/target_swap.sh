#!/bin/bash
# Fault: the target is in use as swap space
# Required: is refused with exit status 3; nothing is written
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

need_loop
need mkswap swapon swapoff
make_image sda1
truncate -s 24M disk.img
device=$(attach_loop disk.img)
mkswap "$device" >mkswap.out
swapon -p 0 "$device" 2>swapon.out || skip "cannot swap to a loop device: $(<swapon.out)"
defer swap swapoff "$device"
sha1sum disk.img >before
head -c 4096 disk.img >header.before
seed sda1
deploy 3 sda1 "$device"
receipt sda1 '.guard == "swap" and .bytes.written == 0'
says sda1 'in use as swap space'
head -c 4096 disk.img | cmp - header.before || fail "the header of the swap space was written to"
# The kernel may swap to it at any time, but leaves the header.
used=$(awk -v device="$device" '$1 == device { print $4 }' /proc/swaps)
[[ $used != 0 ]] || sha1sum --quiet -c before || fail "the swap space was written to"
pass
