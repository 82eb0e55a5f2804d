#!/bin/bash
# Fault: a loop device on the target, an image file, is in use as swap space, or attached and unused
# Required: is refused with exit status 3 and the name of the loop device, also by the file's other names; nothing is written
# Labels: quick
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

need_loop
need mkswap swapon
make_image sda1
ln sda1.img other.img
device=$(attach_loop sda1.img --offset 4M)
seed sda1
deploy 3 sda1 sda1.img
receipt sda1 '.guard == "held" and .bytes.written == 0'
says sda1 "held by other devices on the same bytes \\(${device#/dev/}\\); detach them first"
rm sda1.img
deploy 3 sda1 other.img
receipt sda1 '.guard == "held" and .bytes.written == 0'
mkswap "$device" >mkswap.log
cp other.img before.img
if swapon "$device" 2>swapon.log; then
    defer swap swapoff "$device"
    deploy 3 sda1 other.img
    receipt sda1 '.guard == "swap" and .bytes.written == 0'
    says sda1 "in use as swap space \\($device\\)"
    undo swap
fi
cmp other.img before.img || fail "the file was written to"
pass
