#!/bin/bash
# Fault: the source does not exist
# Required: its image fails with the path and the errno; another image is served
# Labels: quick
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

make_image sda1
other_image
rm sda1.source
seed sda1 other
failed sda1 "$work/sda1.source: No such file or directory \\(ENOENT\\)" seed.log
start_daemon deploy deploy.toml
other_is_deployed
[[ ! -e sda1.source ]] || fail "the source was created"
pass
