#!/bin/bash
# Fault: the target is read-only
# Required: is refused with exit status 3; nothing is written
# Labels: quick
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

need_loop
make_image sda1
device=$(attach_loop sda1.img -r)
seed sda1
deploy 3 sda1 "$device"
receipt sda1 '.guard == "read_only" and .bytes.written == 0'
says sda1 ": $device: .*read-only"
untouched sda1.img
pass
