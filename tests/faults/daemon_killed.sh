#!/bin/bash
# Fault: the daemon is killed with SIGKILL during a deployment
# Required: started again, it resumes from the checkpoint and completes the target
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

make_image sda1
interrupt sda1 KILL
partly_deployed sda1
seed sda1
start_daemon deploy deploy.toml
expect_line deploy.log ' sda1: done: '
expect_line deploy.log ' sda1: resumed: '
stop_daemon deploy
never_line deploy.log ' (warning|error) '
deployed sda1
pass
