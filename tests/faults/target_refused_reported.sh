#!/bin/bash
# Fault: a target is refused because it is too small, and the image has a tracker of Seedbed's
# Required: the server names the machine and the reason, in the log and in the status
# Labels: quick
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

make_image sda1
truncate -s 1M sda1.img
seed_and_count sda1
deploy 3 sda1 sda1.img --tracker "$announce"
refused_at_seed sda1 'too small: it has 1048576 bytes, the image needs'
untouched sda1.img
pass
