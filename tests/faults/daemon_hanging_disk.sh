#!/bin/bash
# Fault: the daemon gets SIGTERM while a target does not answer
# Required: it logs that it waits for the device, and ends with status 0 once the device answers
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

need_loop
need_nbdfuse
make_image sda1
# shellcheck disable=SC2016 # the disk expands it
device=$(faulty_disk hanging sda1.img 'pwrite=touch began; while [ ! -e answer ]; do sleep 0.1; done; eval "$write"')
defer answer touch answer
add_target sda1 "$device"
seed sda1
start_daemon deploy deploy.toml
for ((i = 0; i < 600; ++i)); do [[ ! -e began ]] || break; sleep 0.1; done
[[ -e began ]] || fail "nothing is written"
kill -TERM "${daemon_pid[deploy]}"
expect_line deploy.log 'flushing the written data takes more than 5 s; waiting for the devices'
kill -0 "${daemon_pid[deploy]}" || fail "the daemon did not wait"
touch answer
await_exit deploy 60
((exit_status == 0)) || fail "exit status $exit_status"
expect_line deploy.log ' stopped$'
partly_deployed sda1
pass
