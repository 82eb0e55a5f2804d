#!/bin/bash
# Fault: another program uses the configured port
# Required: exit status 1 with the address and the errno; nothing is written
# Labels: quick
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

make_image sda1
add_target sda1 "$work/sda1.img"
seed sda1
sed -i "s/^listen = .*/listen = \"127.0.0.1:$seed_port\"/" deploy.toml
start_daemon deploy deploy.toml
await_exit deploy 60
((exit_status == 1)) || fail "exit status $exit_status instead of 1"
says deploy " error .*listen on 127.0.0.1:$seed_port: Address already in use"
untouched sda1.img
pass
