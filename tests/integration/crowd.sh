#!/bin/bash
# Connections that came first keep no target out: 150 idle peers and 2,500 connections without a handshake at connections = 60, and
# slow requests on the tracker, the metrics and the control socket. SEEDBED is the program.
# shellcheck disable=SC2046 # $(on_host NAME) is several words
# Labels: once
set -euo pipefail
# shellcheck source=lib_daemon.sh
. "$(dirname "$0")/lib_daemon.sh"
# shellcheck source=lib_network.sh
. "$here/lib_network.sh"

need_loop
need_hosts
need partclone.ext4 mkfs.ext4 curl jq python3

ulimit -n "$(ulimit -H -n)"
(($(ulimit -n) >= 4096)) || skip "too few descriptors"
for host in server target crowd; do
    add_host "$host"
done
truncate -s 32M source
source=$(attach_loop source)
make_file_system ext4 "$source" 8
capture ext4 "$source" sda1
"$seedbed" create --partclone sda1.info --name sda1 -o sda1.torrent --force --json >created.json
hash=$(jq -r .info_hash created.json)

host_config seed.toml server 'local_discovery = false' 'connections = 60' '[metrics]' "listen = \"${address[server]}:9150\""
add_image seed.toml sda1 sda1.torrent "$source" seed
start_daemon seed seed.toml $(on_host server)
expect_line seed.log ' ready$'

# Arguments: KIND COUNT ADDRESS PORT-OR-PATH HASH. Opens connections, says little, and opens each again that is closed.
cat >crowd.py <<'END'
import os, select, socket, sys, time
kind, count, address, port, info_hash = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4], sys.argv[5]
def connect():
    try:
        if kind == 'unix':
            s = socket.socket(socket.AF_UNIX)
            s.connect(port)
        else:
            s = socket.create_connection((address, int(port)), 5)
        if kind == 'peer':
            s.sendall(b'\x13BitTorrent protocol' + bytes(8) + bytes.fromhex(info_hash) + b'-XX0000-' + os.urandom(12))
        elif kind != 'silent':
            s.sendall(b'GET /announce HT') # and never the rest
        return s
    except OSError:
        return None
sockets = [connect() for _ in range(count)]
print('crowded', flush=True)
while True:
    for i, s in enumerate(sockets):
        gone = s is None
        arrived = select.poll() # select() knows no more than 1,024 descriptors
        if not gone:
            arrived.register(s, select.POLLIN)
        if not gone and arrived.poll(0):
            try:
                gone = not s.recv(65536)
            except OSError:
                gone = True
        if gone:
            sockets[i] = connect()
    time.sleep(0.2)
END

# --- slow requests

start_process slow_tracker $(on_host crowd) /usr/bin/python3 crowd.py http 1100 "${address[server]}" 6969 "$hash"
start_process slow_metrics $(on_host crowd) /usr/bin/python3 crowd.py http 100 "${address[server]}" 9150 "$hash"
start_process slow_control /usr/bin/python3 crowd.py unix 100 - server.sock "$hash"
for each in slow_tracker slow_metrics slow_control; do
    expect_line "$each.log" crowded
done
for ((i = 0; i < 5; i++)); do
    on target curl -sS --max-time 9 -o answer "http://${address[server]}:6969/scrape" || fail "the tracker does not answer"
    on target curl -sS --max-time 9 -o answer "http://${address[server]}:9150/healthz" || fail "the metrics are not served"
    curl -sS --max-time 9 --unix-socket server.sock -o answer http://localhost/status || fail "the control socket does not answer"
    jq -e '.images[0].name == "sda1"' answer >/dev/null || fail "the control socket answers: $(<answer)"
done
for each in slow_tracker slow_metrics slow_control; do
    stop_process "$each"
done

# --- idle peers, and connections that do not even say what they want

start_process idle_peers $(on_host crowd) /usr/bin/python3 crowd.py peer 150 "${address[server]}" 6881 "$hash"
start_process silent $(on_host crowd) /usr/bin/python3 crowd.py silent 2500 "${address[server]}" 6881 "$hash"
expect_line idle_peers.log crowded
expect_line silent.log crowded
noise_file target.img 32
target=$(attach_loop target.img)
on target timeout 240 "$seedbed" deploy sda1.torrent "$target" --yes --no-local-discovery --listen "${address[target]}:6881" \
    --peer "${address[server]}:6881" --state "$work/target.state" >target.log 2>&1 ||
    fail "idle peers keep a target out: $(tail -n 5 target.log)"
compare_extents sda1.info "$source" "$target"
stop_process idle_peers
stop_process silent
stop_daemon seed
pass
