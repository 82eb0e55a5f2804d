#!/bin/bash
# Fault: a number in the checkpoint is out of range, although the checksum is correct
# Required: the checkpoint is ignored with the reason, the target is read, and the image is deployed
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

make_image sda1
interrupt sda1 TERM
cp "$checkpoint" good.resume
cp sda1.img half.img
for change in '["piece_count"] = 2**64 - 1' '["piece_count"] = -17' '["identity"]["size"] = 2**70' '["time"] = 1e300'; do
    cp good.resume "$checkpoint"
    cat half.img >sda1.img # the same inode
    /usr/bin/python3 "$faults/checksum.py" "$checkpoint" "document$change"
    seed sda1
    start_daemon deploy deploy.toml
    expect_line deploy.log ' sda1: (ignoring the checkpoint: .*damaged|done)'
    expect_line deploy.log ' sda1: done: '
    grep -q ' sda1: ignoring the checkpoint: .*damaged' deploy.log || fail "a checkpoint with $change is used"
    stop_daemon deploy
    stop_daemon seed
    deployed sda1
done
pass
