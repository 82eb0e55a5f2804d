#!/bin/bash
# Fault: the only source is killed during a deployment and returns after 5 s
# Required: the target waits, connects again, and is completed
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

make_image sda1
add_target sda1 "$work/sda1.img"
seed_lines=('upload_limit = "2 MiB"')
seed sda1
start_daemon deploy deploy.toml
await_percent sda1 20
kill_daemon seed
sleep 5 # the fault's duration
never_line deploy.log ' (downloaded|done)'
seed_lines=()
seed sda1
expect_line deploy.log ' sda1: done: ' 120
stop_daemon deploy
never_line deploy.log ' error '
deployed sda1
pass
