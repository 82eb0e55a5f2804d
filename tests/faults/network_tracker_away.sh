#!/bin/bash
# Fault: the image's trackers do not answer
# Required: a warning for each; the image is deployed from its other peers
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

make_image sda1
seed sda1
closed=$(free_port)
add_target sda1 "$work/sda1.img" "trackers = [\"http://127.0.0.1:$closed/announce\", \"udp://127.0.0.1:$closed\"]"
start_daemon deploy deploy.toml
expect_line deploy.log " warning sda1: tracker http://127.0.0.1:$closed/announce: "
expect_line deploy.log ' sda1: done: '
stop_daemon deploy
deployed sda1
pass
