#!/bin/bash
# Fault: the file system of the checkpoints is full
# Required: one warning; the images are deployed
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

need_root
make_image sda1
other_image
add_target sda1 "$work/sda1.img"
mount_at state -t tmpfs -o size=64k none
dd if=/dev/zero of=state/filler bs=4k status=none 2>/dev/null || true
seed_lines=('upload_limit = "2 MiB"')
seed sda1 other
start_daemon deploy deploy.toml
expect_line deploy.log ' warning .*/state.*: .*\(ENOSPC\): deployments cannot be resumed$'
expect_line deploy.log ' sda1: done: '
other_is_deployed
stop_daemon deploy
deployed sda1
(($(grep -cE ' (warning|error) ' deploy.log) == 1)) || fail "more than one warning"
[[ $(ls state) == filler ]] || fail "part of a checkpoint was left behind: $(ls state)"
pass
