#!/bin/bash
# Fault: the configuration cannot be read
# Required: exit status 2 with the path and the reason; nothing is started or written
# Labels: quick
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

make_image sda1
mkdir folder
for config in missing.toml folder; do
    start_daemon deploy "$work/$config"
    await_exit deploy 60
    ((exit_status == 2)) || fail "$config: exit status $exit_status instead of 2"
    says deploy "$work/$config: .*((ENOENT)|not a regular file)"
done
untouched sda1.img
pass
