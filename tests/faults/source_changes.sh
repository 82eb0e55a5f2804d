#!/bin/bash
# Fault: a program writes to the source while it is served
# Required: its image fails; changed bytes are never served as good: the target holds only bytes of the image, and another image is deployed
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

make_image sda1
other_image
add_target sda1 "$work/sda1.img"
seed_lines=('upload_limit = "2 MiB"')
seed sda1 other
start_daemon deploy deploy.toml
await_percent sda1 10
for ((at = 0; at < 24; ++at)); do flip sda1.source $((at * mib + 99)); done
full_speed
failed sda1 "$work/sda1.source: (does not match the torrent|the source has changed|another program writes to the source)" seed.log
other_is_deployed
stop_daemon deploy
never_line deploy.log ' sda1: (downloaded|done)'
partly_deployed sda1
pass
