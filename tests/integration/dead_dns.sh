#!/bin/bash
# A DNS server that does not answer: a refused deployment does not wait for the address of the tracker to which it reports, and a
# finished one and a daemon do not wait until libtorrent has the tracker's address.
# SEEDBED is the program.
# Labels: once
set -euo pipefail
self=$(readlink -f "$0")
# shellcheck source=lib_daemon.sh
. "$(dirname "$0")/lib_daemon.sh"

need unshare ip
if [[ -z ${DEAD_DNS:-} ]]; then
    # The same script in a network of its own, in which every query waits for 60 s: port 53 is open and nothing reads it.
    printf 'nameserver 127.0.0.1\noptions timeout:30 attempts:2\n' >resolv.conf
    DEAD_DNS=1 unshare -mn /usr/bin/python3 - "$work/resolv.conf" "$self" <<'PYTHON' || exit
import os, socket, subprocess, sys
for command in (["mount", "--bind", sys.argv[1], "/etc/resolv.conf"], ["ip", "link", "set", "lo", "up"],
                ["ip", "address", "add", "192.0.2.5/32", "dev", "lo"]):
    subprocess.run(command, check=True)
dns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
dns.bind(("127.0.0.1", 53))
dns.set_inheritable(True)
os.execvp("bash", ["bash", sys.argv[2]])
PYTHON
    exit
fi

head -c 3M /dev/urandom >source.img
"$seedbed" create source.img --raw --name golden --tracker http://seed.example:6969/announce -o golden.torrent >created 2>&1 ||
    fail "$(<created)"
truncate -s 1M small.img
began=$SECONDS status=0
timeout 100 "$seedbed" deploy golden.torrent small.img --yes --no-local-discovery --state "$work/state" >out 2>&1 || status=$?
((status == 3)) || fail "exit status $status instead of 3: $(<out)"
grep -q 'cannot report "refused" to seed.example:6969: no answer within 2s' out || fail "$(<out)"
((SECONDS - began < 30)) || fail "waited $((SECONDS - began)) s for the name of the tracker: $(<out)"

printf '%s\n' '[control]' 'socket = "seed.sock"' '[network]' 'listen = "192.0.2.5:6881"' 'local_discovery = false' >seed.toml
add_image seed.toml golden golden.torrent "$work/source.img" seed
start_daemon seed seed.toml
expect_line seed.log ' golden: seeding$'
truncate -s 3M target.img
status=0
timeout 100 "$seedbed" deploy golden.torrent target.img --yes --no-local-discovery --listen 127.0.0.1:6882 --peer 192.0.2.5:6881 \
    --state "$work/state" >out 2>&1 &
deployment=$!
for ((i = 0; i < 600; i++)); do
    ! cmp -s source.img target.img || break
    sleep 0.1
done
cmp source.img target.img || fail "$(<out)"
began=$SECONDS
wait "$deployment" || status=$?
((status == 0)) || fail "exit status $status: $(<out)"
((SECONDS - began < 25)) || fail "the finished deployment ended after $((SECONDS - began)) s: $(<out)"
began=$SECONDS
stop_daemon seed
((SECONDS - began < 25)) || fail "the daemon ended after $((SECONDS - began)) s"
pass
