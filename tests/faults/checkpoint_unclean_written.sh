#!/bin/bash
# Fault: the daemon is killed with SIGKILL, and another program writes to the target before the next start
# Required: what the checkpoint claims is read and compared, and the image is deployed, also without verification
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

make_image sda1
add_target sda1 "$work/sda1.img" 'verify = false'
add_target() { :; } # it is the one that interrupt() is to deploy to
interrupt sda1 KILL
# A byte of each piece that may be claimed, except in the ends, which are written last.
for offset in $((2 * mib + 77)) $((4 * mib + 77)) $((10 * mib + 77)); do
    flip sda1.img "$offset"
done
seed sda1
start_daemon deploy deploy.toml
expect_line deploy.log ' sda1: done: '
stop_daemon deploy
deployed sda1
pass
