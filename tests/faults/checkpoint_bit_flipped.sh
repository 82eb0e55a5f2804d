#!/bin/bash
# Fault: a bit of the checkpoint is flipped
# Required: the checkpoint is ignored with the reason, the target is read, and the image is deployed
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

make_image sda1
interrupt sda1 TERM
flip "$checkpoint" $(($(grep -bo "\"pieces\": \"" "$checkpoint" | cut -d : -f 1) + 11)) # a hex digit
seed sda1
start_daemon deploy deploy.toml
expect_line deploy.log ' sda1: ignoring the checkpoint: .*damaged: '
expect_line deploy.log ' sda1: checked '
expect_line deploy.log ' sda1: done: '
deployed sda1
pass
