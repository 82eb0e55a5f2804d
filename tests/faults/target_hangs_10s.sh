#!/bin/bash
# Fault: the target does not answer for 10 s
# Required: its image waits and is then completed; another image is deployed meanwhile
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

need_loop
need_nbdfuse
make_image sda1
other_image
# shellcheck disable=SC2016 # the disk expands it
device=$(faulty_disk slow sda1.img 'pwrite=if mkdir hanging 2>/dev/null; then date +%s >began; sleep 10; date +%s >ended; fi; eval "$write"' \
    'thread_model=echo serialize_all_requests')
add_target sda1 "$device"
seed_lines=('upload_limit = "1 MiB"') # the other image must not be done before the disk hangs
seed sda1 other
start_daemon deploy deploy.toml
deadline=$((SECONDS + 60))
until [[ -e began ]]; do
    ((SECONDS < deadline)) || fail "the disk is never written to"
    sleep 0.02
done
full_speed
expect_line deploy.log ' other: done: '
[[ -e began && ! -e ended ]] || fail "the other image is not done while the disk hangs"
deployed other
expect_line deploy.log ' sda1: done: '
(($(<ended) - $(<began) >= 10)) || fail "the disk did not hang"
stop_daemon deploy
never_line deploy.log ' error '
deployed sda1
pass
