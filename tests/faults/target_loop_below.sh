#!/bin/bash
# Fault: the target is a loop device on a file that another image of the same daemon serves
# Required: the configuration is refused with both images; nothing is written
# Labels: quick
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

need_loop
make_image sda1
noise_file disk.img 32
device=$(attach_loop disk.img --offset 1M)
deploy_config
add_target sda1 "$device"
make_image again
add_image deploy.toml again again.torrent "$work/disk.img" seed
status=0
"$seedbed" daemon --config deploy.toml --check-config >check.log 2>&1 || status=$?
((status == 2)) || fail "--check-config: exit status $status: $(<check.log)"
grep -q "shares bytes with .*, and one of them is written" check.log || fail "$(<check.log)"
status=0
timeout 20 "$seedbed" daemon --config deploy.toml >deploy.log 2>&1 || status=$?
((status == 2)) || fail "daemon: exit status $status: $(<deploy.log)"
untouched disk.img
pass
