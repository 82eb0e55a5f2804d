#!/bin/bash
# Fault: the folder for checkpoints is deleted during the deployment
# Required: the image is deployed; a checkpoint is written again, or one warning says why not
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

make_image sda1
add_target sda1 "$work/sda1.img"
seed_lines=('upload_limit = "2 MiB"')
seed sda1
start_daemon deploy deploy.toml
await_percent sda1 20
rm -r state
full_speed
expect_line deploy.log ' sda1: done: '
stop_daemon deploy
deployed sda1
[[ -s $(echo state/sda1.img-*.resume) ]] || says deploy ' warning .*deployments cannot be resumed$'
never_line deploy.log ' error '
pass
