#!/bin/bash
# Fault: a peer sends messages that are too long, out of range or unknown after a valid handshake
# Required: it is disconnected, and a target is deployed meanwhile
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

make_image sda1
seed sda1
hash=$(grep -oE '[0-9a-f]{40}' sda1.created)
cat >messages.py <<'END'
import os, socket, struct, sys
port, info_hash = int(sys.argv[1]), bytes.fromhex(sys.argv[2])
request = lambda piece, start, length: struct.pack(">IBIII", 13, 6, piece, start, length)
bad = [struct.pack(">I", 0xffffffff) + os.urandom(4096),
       struct.pack(">IB", 2**20, 5) + bytes(2**20 - 1),  # a bitfield of another size
       struct.pack(">IBI", 5, 4, 0x7fffffff),  # has a piece that does not exist
       struct.pack(">IBII", 9 + 16384, 7, 3, 0) + os.urandom(16384),  # a block that was not requested
       b"".join(request(0x7fffffff, 0, 16384) + request(0, 0x7fffffff, 0x7fffffff) for _ in range(500)),
       struct.pack(">IBB", 2 + 40, 20, 0) + b"d1:md11:ut_metadatai-1eee" + bytes(15)]
for message in bad:
    client = socket.create_connection(("127.0.0.1", port))
    client.settimeout(3)
    client.sendall(b"\x13BitTorrent protocol" + bytes(5) + b"\x10\x00\x00" + info_hash + os.urandom(20))
    answer = b""
    while len(answer) < 68:
        answer += client.recv(68)
    assert answer[28:48] == info_hash
    try:
        client.sendall(message + struct.pack(">IB", 1, 2))
        while client.recv(65536):
            pass
    except OSError:
        pass  # disconnected, or no answer
print("sent", len(bad))
END
timeout 60 /usr/bin/python3 messages.py "$seed_port" "$hash" >messages.out 2>&1 &
peer=$!
defer messages end_process "$peer"
deploy 0 sda1 sda1.img
deployed sda1
wait "$peer" || fail "the peer: $(<messages.out)"
stop_daemon seed
never_line seed.log ' error '
pass
