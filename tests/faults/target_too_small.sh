#!/bin/bash
# Fault: the target is one sector smaller than the image
# Required: is refused with exit status 3 and both sizes; nothing is written
# Labels: quick
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

need_loop
make_image sda1
truncate -s $((image_end - 512)) sda1.img
device=$(attach_loop sda1.img)
seed sda1
deploy 3 sda1 "$device"
receipt sda1 '.guard == "too_small" and .bytes.written == 0'
says sda1 "too small: it has $((image_end - 512)) bytes, the image needs $image_end"
untouched sda1.img
pass
