#!/bin/bash
# Fault: the image's tracker sends a response that never ends
# Required: the response is abandoned and does not use up memory; the image is deployed from its other peers
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

make_image sda1
seed sda1
port=$(free_port)
cat >endless.py <<'END'
import socket, sys
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("ready", flush=True)
while True:
    client, _ = server.accept()
    sent = 0
    try:
        client.recv(4096)
        client.sendall(b"HTTP/1.1 200 OK\r\n\r\nd5:peers999999999:")
        while True:
            client.sendall(b"x" * 65536)
            sent += 65536
    except OSError:
        print("given up after", sent, flush=True)
END
/usr/bin/python3 endless.py "$port" >endless.out 2>&1 &
defer endless end_process "$!"
expect_line endless.out ready
add_target sda1 "$work/sda1.img" "trackers = [\"http://127.0.0.1:$port/announce\"]"
start_daemon deploy deploy.toml
expect_line endless.out '^given up after [0-9]{1,8}$'
expect_line deploy.log ' sda1: done: '
(($(awk '$1 == "VmHWM:" { print $2 }' "/proc/${daemon_pid[deploy]}/status") < 300000)) || fail "the response is kept in memory"
stop_daemon deploy
deployed sda1
pass
