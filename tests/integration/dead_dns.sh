#!/bin/bash
# A DNS server that does not answer: a refused deployment does not wait for the address of the tracker to which it reports.
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
pass
