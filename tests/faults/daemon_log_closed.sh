#!/bin/bash
# Fault: the reader of the log ends during the deployment
# Required: the image is deployed
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

make_image sda1
add_target sda1 "$work/sda1.img"
seed_lines=('upload_limit = "2 MiB"')
seed sda1
mkfifo pipe
"$seedbed" daemon --config deploy.toml </dev/null >pipe 2>&1 &
daemon_pid[deploy]=$!
defer daemon-deploy end_process "$!"
timeout 60 grep -m 1 ' sda1: downloading' <pipe >deploy.log || fail "no download" # then grep ends
for ((i = 0; i < 600; ++i)); do
    [[ $("$seedbed" status --json --socket deploy.toml.sock | jq '.images[0].verified') != true ]] || break
    sleep 0.1
done
stop_daemon deploy
deployed sda1
pass
