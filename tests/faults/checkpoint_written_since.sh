#!/bin/bash
# Fault: another program has written to the target since the checkpoint
# Required: the checkpoint is ignored with the reason, the target is read, and the image is deployed
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

make_image sda1
interrupt sda1 TERM
flip sda1.img $((mib / 2))
seed sda1
start_daemon deploy deploy.toml
expect_line deploy.log ' sda1: ignoring the checkpoint: .*another program has written to the device since'
expect_line deploy.log ' sda1: checked '
expect_line deploy.log ' sda1: done: '
deployed sda1
pass
