#!/bin/bash
# Fault: a deployment needs a confirmation and has no terminal to ask on, and the image has a tracker of Seedbed's
# Required: exit status 9; nothing is written; the server names the machine and the reason
# Labels: quick
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

make_image sda1
seed_and_count sda1
deploy_config
status=0
echo no | "$seedbed" deploy sda1.torrent sda1.img --config deploy.toml --tracker "$announce" \
    --receipt sda1.json >sda1.log 2>&1 || status=$?
((status == 9)) || fail "exit status $status"
receipt sda1 '.exit_status == 9'
refused_at_seed sda1 'not a terminal'
untouched sda1.img
pass
