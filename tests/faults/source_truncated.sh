#!/bin/bash
# Fault: the source, a file, is truncated while it is served
# Required: its image fails with the reason; the target holds only bytes of the image, and another image is deployed
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
truncate -s 4M sda1.source
full_speed
failed sda1 "(.*the source has changed|read $work/sda1.source: offset [0-9]+, length [0-9]+|$work/sda1.source: (does not match|another program writes))" seed.log
other_is_deployed
stop_daemon deploy
never_line deploy.log ' sda1: (downloaded|done)|failed its hash check'
partly_deployed sda1
pass
