#!/bin/bash
# Fault: the checkpoint is that of another target with the same name
# Required: the checkpoint is ignored with the reason, the target is read, and the image is deployed
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

make_image sda1
interrupt sda1 TERM
noise_file fresh.img 24
mv fresh.img sda1.img
seed sda1
start_daemon deploy deploy.toml
expect_line deploy.log ' sda1: ignoring the checkpoint: .*it belongs to another device: '
expect_line deploy.log ' sda1: checked '
expect_line deploy.log ' sda1: done: '
deployed sda1
pass
