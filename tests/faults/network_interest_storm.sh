#!/bin/bash
# Fault: four peers change their interest without end, and read nothing of what answers it
# Required: a target is deployed meanwhile, and the seeding daemon's memory stays below 96 MiB
# Labels: quick
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

make_image sda1
seed sda1
hash=$(grep -oE '[0-9a-f]{40}' sda1.created)
port=$(sed -n 's/^listen = "127.0.0.1:\([0-9]*\)"/\1/p' seed.toml)
cat >storm.py <<'END'
import os, socket, struct, sys, threading
port, info_hash = int(sys.argv[1]), bytes.fromhex(sys.argv[2])
pairs = struct.pack(">IBIB", 1, 2, 1, 3) * 20000
def storm(address):
    while True:
        try:
            peer = socket.socket()
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            peer.bind((address, 0))
            peer.connect(("127.0.0.1", port))
            peer.sendall(b"\x13BitTorrent protocol" + bytes(8) + info_hash + b"-XX0000-" + os.urandom(12))
            for _ in range(100):
                peer.sendall(pairs)
        except OSError:
            continue
for number in range(4):
    threading.Thread(target=storm, args=("127.0.0.%d" % (20 + number),), daemon=True).start()
print("sent", flush=True)
threading.Event().wait()
END
/usr/bin/python3 storm.py "$port" "$hash" >storm.out 2>&1 &
defer storm end_process "$!"
expect_line storm.out sent
deploy 0 sda1 sda1.img
deployed sda1
memory=$(awk '$1 == "VmHWM:" { print int($2 / 1024) }' "/proc/${daemon_pid[seed]}/status")
((memory < 96)) || fail "the seeding daemon took $memory MiB"
echo "the seeding daemon took $memory MiB"
pass
