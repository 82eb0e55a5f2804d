#!/bin/bash
# Fault: 150 peers that ask for nothing came first, and the daemon accepts 60
# Required: a target is deployed meanwhile
# Labels: quick
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

make_image sda1
seed_lines=('connections = 60')
seed sda1
hash=$(grep -oE '[0-9a-f]{40}' sda1.created)
cat >idle.py <<'END'
import os, select, socket, sys, time
port, info_hash = int(sys.argv[1]), bytes.fromhex(sys.argv[2])
def connect(number):
    try:
        peer = socket.socket()
        peer.bind((f"127.0.0.{100 + number % 50}", 0))
        peer.connect(("127.0.0.1", port))
        peer.sendall(b"\x13BitTorrent protocol" + bytes(8) + info_hash + b"-XX0000-" + os.urandom(12))
        return peer
    except OSError:
        return None
peers = [connect(number) for number in range(150)]
print("connected", flush=True)
while True:
    for number, peer in enumerate(peers):
        gone = peer is None
        if not gone and select.select([peer], [], [], 0)[0]:
            try:
                gone = not peer.recv(65536)
            except OSError:
                gone = True
        if gone:
            peers[number] = connect(number)
    time.sleep(0.2)
END
/usr/bin/python3 idle.py "$seed_port" "$hash" >idle.out 2>&1 &
defer idle end_process "$!"
expect_line idle.out connected
deploy 0 sda1 sda1.img
deployed sda1
pass
