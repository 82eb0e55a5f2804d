#!/bin/bash
# Fault: the daemon gets SIGTERM during a deployment
# Required: it flushes and ends with status 0; started again, it resumes and completes the target
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

make_image sda1
interrupt sda1 TERM
partly_deployed sda1
seed sda1
start_daemon deploy deploy.toml
expect_line deploy.log ' sda1: resumed: '
expect_line deploy.log ' sda1: done: '
stop_daemon deploy
never_line deploy.log ' (warning|error) '
deployed sda1
pass
