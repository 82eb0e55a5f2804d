#!/bin/bash
# Fault: the image's file system uses sectors of 1024 bytes, and the target has sectors of 4096 bytes
# Required: is refused with exit status 3 and both sizes; nothing is written
# Labels: quick
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

need_loop
need mkfs.ext4
truncate -s 16M sda1.source
mkfs.ext4 -q -F -b 1024 sda1.source
"$seedbed" create sda1.source --name sda1 -o sda1.torrent >created 2>&1 || fail "create: $(<created)"
noise_file sda1.img 24
device=$(attach_loop sda1.img -b 4096)
seed sda1
deploy 3 sda1 "$device"
receipt sda1 '.guard == "sector_size" and .bytes.written == 0'
says sda1 'uses sectors of 1024 bytes, the device has 4096'
untouched sda1.img
pass
