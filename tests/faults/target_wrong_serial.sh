#!/bin/bash
# Fault: the target's serial number is not the expected one
# Required: is refused with exit status 3 and both numbers; nothing is written
# Labels: quick
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

need_loop
make_image sda1
device=$(attach_loop sda1.img)
seed sda1
deploy 3 sda1 "$device" --serial ABC
receipt sda1 '.guard == "wrong_identity" and .bytes.written == 0'
says sda1 'no known serial number; expected "ABC"'
untouched sda1.img
pass
