#!/bin/bash
# Fault: a peer repeats its extension handshake 20,000 times, each time with another port for reports
# Required: the target is deployed, and reports to one of these ports at most
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

make_image sda1
hash=$(grep -oE '[0-9a-f]{40}' sda1.created)
add_target sda1 "$work/sda1.img"
port=$(sed -n 's/^listen = "127.0.0.1:\([0-9]*\)"/\1/p' deploy.toml)
start_daemon deploy deploy.toml
expect_line deploy.log ' sda1: downloading$'
before=$(find "/proc/${daemon_pid[deploy]}/fd" | wc -l)
cat >repeat.py <<'END'
import os, signal, socket, struct, sys
port, info_hash = int(sys.argv[1]), bytes.fromhex(sys.argv[2])
peer = socket.socket()
peer.bind(("127.0.0.9", 0))
peer.connect(("127.0.0.1", port))
peer.sendall(b"\x13BitTorrent protocol" + bytes(5) + b"\x10\x00\x00" + info_hash + b"-XX0000-" + os.urandom(12))
for number in range(20000):
    body = b"d1:mde9:sb_reporti%dee" % (number + 1000)
    peer.sendall(struct.pack(">IBB", 2 + len(body), 20, 0) + body)
print("sent", flush=True)
signal.pause()
END
/usr/bin/python3 repeat.py "$port" "$hash" >repeat.out 2>&1 &
defer repeat end_process "$!"
expect_line repeat.out sent
seed sda1
expect_line deploy.log ' sda1: done: '
expect_line deploy.log ' cannot report "verified" to 127.0.0.9:'
(($(find "/proc/${daemon_pid[deploy]}/fd" | wc -l) < before + 20)) || fail "the daemon has many descriptors open"
(($(grep -c ' to 127.0.0.9:' deploy.log) <= 1)) || fail "the target reports to many ports of one peer"
stop_daemon deploy
deployed sda1
pass
