#!/bin/bash
# Fault: the configuration is broken at a reload during a deployment
# Required: the reload reports file, line and reason and changes nothing; the image is deployed
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

make_image sda1
add_target sda1 "$work/sda1.img"
seed_lines=('upload_limit = "2 MiB"')
seed sda1
start_daemon deploy deploy.toml
await_percent sda1 10
printf '%s\n' '[[image]]' 'name = "broken' >>deploy.toml
kill -HUP "${daemon_pid[deploy]}"
full_speed
expect_line deploy.log ' error .*deploy.toml:[0-9]+'
expect_line deploy.log 'reload: nothing was changed'
expect_line deploy.log ' sda1: done: '
stop_daemon deploy
deployed sda1
pass
