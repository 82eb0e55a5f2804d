#!/bin/bash
# Fault: another daemon uses the control socket
# Required: a warning with the socket's path; both daemons work, and the image is deployed
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

make_image sda1
seed sda1
add_target sda1 "$work/sda1.img"
sed -i 's/^socket = .*/socket = "seed.toml.sock"/' deploy.toml
start_daemon deploy deploy.toml
expect_line deploy.log " warning no control socket, .*$work/seed.toml.sock: another program is listening on this socket"
expect_line deploy.log ' sda1: done: '
deployed sda1
[[ $("$seedbed" status --json --socket seed.toml.sock | jq -r '.images[0].mode') == seed ]] || fail "the seeder lost its socket"
pass
