#!/bin/bash
# Fault: another Seedbed deploys to the target, an image file
# Required: the second one is refused with exit status 3; the first one completes
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

make_image sda1
other_image
seed_lines=('upload_limit = "2 MiB"')
seed sda1 other
start_daemon deploy deploy.toml
await_percent other 10
deploy 3 sda1 "$work/other.img"
receipt sda1 '.guard == "held" and .bytes.written == 0'
says sda1 'locked by another program'
full_speed
other_is_deployed
pass
