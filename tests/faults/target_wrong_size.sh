#!/bin/bash
# Fault: the target's size is not the expected one
# Required: is refused with exit status 3 and both sizes; nothing is written
# Labels: quick
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

make_image sda1
seed sda1
deploy 3 sda1 sda1.img --size "25 MiB"
receipt sda1 '.guard == "wrong_identity" and .bytes.written == 0'
says sda1 "its size is $target_bytes bytes; expected $((25 * mib))"
untouched sda1.img
pass
