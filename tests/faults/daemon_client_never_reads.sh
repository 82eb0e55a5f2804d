#!/bin/bash
# Fault: clients of the control socket send requests and never read
# Required: other clients are answered, and the image is deployed
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

make_image sda1
add_target sda1 "$work/sda1.img"
seed_lines=('upload_limit = "2 MiB"')
seed sda1
start_daemon deploy deploy.toml
await_percent sda1 5
exec {flood}< <(exec /usr/bin/python3 -c '
import signal, socket, sys
clients = []
for i in range(8):
    clients.append(socket.socket(socket.AF_UNIX))
    clients[-1].connect(sys.argv[1])
    clients[-1].settimeout(1)
    try:
        for request in range(100):
            clients[-1].sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 100)
    except OSError:
        pass # the daemon no longer reads from this client
print("sent", flush=True)
signal.pause()' "$work/deploy.toml.sock")
defer flood kill "$!"
read -r -t 40 -u "$flood" answer && [[ $answer == sent ]]
timeout 10 "$seedbed" status --json --socket deploy.toml.sock >answered || fail "another client is not answered"
[[ -s answered ]]
full_speed
expect_line deploy.log ' sda1: done: '
(($(awk '$1 == "VmRSS:" { print $2 }' "/proc/${daemon_pid[deploy]}/status") < 400000)) || fail "the daemon collects unsent answers"
stop_daemon deploy
deployed sda1
pass
