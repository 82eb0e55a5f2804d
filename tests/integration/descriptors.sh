#!/bin/bash
# A daemon without a free descriptor pauses before it accepts again: one line for each port, no spinning thread, and when
# descriptors are free again it serves as before. SEEDBED is the program.
# Labels: once
set -euo pipefail
# shellcheck source=lib_daemon.sh
. "$(dirname "$0")/lib_daemon.sh"

need_root
need prlimit python3 curl ss

head -c 3000000 /dev/urandom >source
"$seedbed" create source --name image -o image.torrent >created
truncate -s 3000000 target

port=$(free_port)
metrics=$(free_port)
write_config seed.toml "$port" '[metrics]' "listen = \"127.0.0.1:$metrics\""
add_image seed.toml image image.torrent "$work/source" seed
start_daemon seed seed.toml
expect_line seed.log ' ready$'
pid=${daemon_pid[seed]}

# ticks: of the processor, 100 a second, that the daemon has used.
ticks() {
    awk '{ print $14 + $15 }' "/proc/$pid/stat"
}
# Three clients wait while no descriptor is free: on the peers' port, on the metrics' and on the control socket.
limit=$(prlimit --pid "$pid" --nofile --noheadings --output SOFT)
prlimit --pid "$pid" --nofile=3:"$(prlimit --pid "$pid" --nofile --noheadings --output HARD)"
/usr/bin/python3 -c '
import socket, sys, time
peer = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
metrics = socket.create_connection(("127.0.0.1", int(sys.argv[2])))
control = socket.socket(socket.AF_UNIX)
control.connect(sys.argv[3])
time.sleep(600)' "$port" "$metrics" "$work/seed.toml.sock" &
defer clients end_process "$!"
expect_line seed.log " warning cannot accept peers on 127.0.0.1:$port: Too many open files; trying again every second\$"
expect_line seed.log " warning cannot accept connections on 127.0.0.1:$metrics: Too many open files; retrying\$"
expect_line seed.log " warning cannot accept connections on .*seed.toml.sock: Too many open files; retrying\$"
before=$(ticks)
sleep 3 # a spinning thread needs this long to show
used=$(($(ticks) - before))
((used < 100)) || fail "the daemon has used $used ticks of the processor in 3 s"
for ((i = 0; i < 3; i++)); do # peers that try meanwhile
    /usr/bin/python3 -c 'import socket, sys; socket.create_connection(("127.0.0.1", int(sys.argv[1])))' "$port" 2>/dev/null || true
    sleep 1
done
lines=$(grep -c 'Too many open files' seed.log)
((lines == 3)) || fail "$lines lines instead of one for each port"

# Descriptors are free again.
prlimit --pid "$pid" --nofile="$limit":
write_config deploy.toml "$(free_port)"
add_image deploy.toml image image.torrent "$work/target" deploy "peers = [\"127.0.0.1:$port\"]"
start_daemon deploy deploy.toml
expect_line deploy.log ' image: done: ' 60
curl -sS --max-time 60 "http://127.0.0.1:$metrics/healthz" | grep -x ok >/dev/null || fail "/healthz does not answer"
cmp source target
stop_daemon deploy
stop_daemon seed
pass
