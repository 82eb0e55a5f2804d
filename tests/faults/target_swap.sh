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
seed sda1
deploy 3 sda1 "$device"
receipt sda1 '.guard == "swap" and .bytes.written == 0'
says sda1 'in use as swap space'
sha1sum --quiet -c before || fail "the swap space was written to"
pass
