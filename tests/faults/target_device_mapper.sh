#!/bin/bash
# Fault: device mapper uses the target
# Required: is refused with exit status 3 and the name of the mapped device; nothing is written
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

need_loop
need dmsetup
make_image sda1
device=$(attach_loop sda1.img)
dmsetup create "seedbed-$$" --table "0 32768 linear $device 0" 2>dmsetup.out || skip "no device mapper: $(head -n 1 dmsetup.out)"
defer mapped dmsetup remove "seedbed-$$"
seed sda1
deploy 3 sda1 "$device"
receipt sda1 '.guard == "held" and .bytes.written == 0'
says sda1 "held by .*seedbed-$$"
untouched sda1.img
pass
