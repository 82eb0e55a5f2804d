#!/bin/bash
# Fault: the image's tracker answers with garbage
# Required: a warning with its URL; the image is deployed from its other peers
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

make_image sda1
seed sda1
port=$(free_port)
cat >garbage.py <<'END'
import os, socket, sys
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("ready", flush=True)
while True:
    client, _ = server.accept()
    client.recv(4096)
    client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4096\r\n\r\n" + os.urandom(4096))
    client.close()
END
/usr/bin/python3 garbage.py "$port" >garbage.out 2>&1 &
defer garbage end_process "$!"
expect_line garbage.out ready
add_target sda1 "$work/sda1.img" "trackers = [\"http://127.0.0.1:$port/announce\"]"
start_daemon deploy deploy.toml
expect_line deploy.log " warning sda1: tracker http://127.0.0.1:$port/announce: "
expect_line deploy.log ' sda1: done: '
stop_daemon deploy
deployed sda1
pass
