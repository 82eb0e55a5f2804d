#!/bin/bash
# Fault: a machine opens hundreds of connections: silent, with garbage, or with half a handshake
# Required: a target is deployed meanwhile from the same daemon, which keeps running
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

make_image sda1
seed sda1
cat >flood.py <<'END'
import os, signal, socket, sys
port = int(sys.argv[1])
clients = []
for number in range(400):
    client = socket.socket()
    client.settimeout(5)
    client.connect(("127.0.0.1", port))
    clients.append(client)
    try:
        if number % 3 == 1:
            client.sendall(os.urandom(2000))
        elif number % 3 == 2:
            client.sendall(b"\x13BitTorrent protocol" + bytes(8) + os.urandom(5))
    except OSError:
        pass # closed by the daemon
print("connected", flush=True)
signal.pause()
END
/usr/bin/python3 flood.py "$seed_port" >flood.out 2>&1 &
defer flood end_process "$!"
expect_line flood.out connected
deploy 0 sda1 sda1.img
deployed sda1
stop_daemon seed
never_line seed.log ' error '
pass
