#!/bin/bash
# Fault: the target is a sparse file, and its file system is full
# Required: exit status 6 with ENOSPC; neither durable nor verified; another image is deployed
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

need_root
make_image sda1
other_image
mount_at full -t tmpfs -o size=8m none
truncate -s 24M full/sparse.img
add_target sda1 "$work/full/sparse.img"
seed sda1 other
start_daemon deploy deploy.toml
failed sda1 "(write|flush) $work/full/sparse.img: offset [0-9]+, length [1-9][0-9]*: .*\\(ENOSPC\\)"
other_is_deployed
stop_daemon deploy
never_line deploy.log ' sda1: durable'
rm full/sparse.img
truncate -s 24M full/sparse.img
deploy 6 sda1 "$work/full/sparse.img"
receipt sda1 '.outcome == "device_failed" and (.verified or .durable | not)' '.errors[0] | test("ENOSPC")'
pass
