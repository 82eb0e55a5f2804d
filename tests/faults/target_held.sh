#!/bin/bash
# Fault: another Seedbed deploys to the target
# Required: the second one is refused with exit status 3; the first one completes
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

need_loop
make_image sda1
other_image
device=$(attach_loop other.img)
deploy_config
add_target other "$device"
seed_lines=('upload_limit = "2 MiB"')
seed sda1 other
start_daemon deploy deploy.toml
await_percent other 10
deploy 3 sda1 "$device"
receipt sda1 '.guard == "held" and .bytes.written == 0'
says sda1 'held by another program or device'
full_speed
other_is_deployed
pass
