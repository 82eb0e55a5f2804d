#!/bin/bash
# Fault: clients use up the daemon's file descriptors
# Required: it logs that, and keeps running; when the clients are gone, it answers, and the image is deployed
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

need prlimit
make_image sda1
add_target sda1 "$work/sda1.img"
start_daemon deploy deploy.toml
expect_line deploy.log ' sda1: downloading$'
open=$(find "/proc/${daemon_pid[deploy]}/fd" | wc -l)
prlimit --pid "${daemon_pid[deploy]}" --nofile="$((open + 4)):$((open + 4))"
exec {flood}< <(exec /usr/bin/python3 -c '
import signal, socket, sys
clients = []
for i in range(64):
    clients.append(socket.socket(socket.AF_UNIX))
    clients[-1].connect(sys.argv[1])
print("connected", flush=True)
signal.pause()' "$work/deploy.toml.sock")
defer flood kill "$!"
read -r -t 20 -u "$flood" answer && [[ $answer == connected ]]
expect_line deploy.log ' warning cannot accept connections on .*retrying'
undo flood
exec {flood}<&-
for ((i = 0; i < 100; ++i)); do
    ! "$seedbed" status --json --socket deploy.toml.sock >answered 2>/dev/null || break
    sleep 0.1
done
[[ -s answered ]] || fail "the daemon does not answer"
seed sda1
expect_line deploy.log ' sda1: done: '
stop_daemon deploy
(($(grep -c 'cannot accept' deploy.log) < 20)) || fail "the log is flooded"
deployed sda1
pass
