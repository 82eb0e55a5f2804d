#!/bin/bash
# The only source sends damaged data. After one damaged piece, it is tried again, and the deployment is done. If all pieces are
# damaged, the deployment ends with an error that names the source, in the log and in the receipt. SEEDBED is the program.
set -euo pipefail
# shellcheck source=lib_daemon.sh
. "$(dirname "$0")/lib_daemon.sh"

need_root
need python3 jq

head -c 3000000 /dev/urandom >source
"$seedbed" create source --name image -o image.torrent --piece-size "64 KiB" --json >created 2>/dev/null
info_hash=$(jq -r .info_hash created)

# deploy NAME BLOCKS: from a peer that damages its first BLOCKS blocks. Sets status.
deploy() {
    local name=$1 port
    port=$(free_port)
    /usr/bin/python3 "$here/lib_damaging_peer.py" source 65536 "$info_hash" "$port" "$2" >"$name.log" &
    defer "$name" end_process "$!"
    expect_line "$name.log" '^listening$'
    rm -f target
    truncate -s 3000000 target
    status=0
    timeout 120 "$seedbed" deploy image.torrent target --yes --peer "127.0.0.1:$port" --listen "127.0.0.1:$(free_port)" \
        --state state --receipt "$name.json" >"$name.out" 2>&1 || status=$?
    source_name=127.0.0.1:$port
}

deploy once 1
((status == 0)) || fail "one damaged block: exit status $status: $(<once.out)"
cmp source target
grep -q "$source_name sent 1 piece that failed the hash check; connecting to it again in 1s" once.out ||
    fail "the source of the damage is not named: $(<once.out)"
jq -e --arg peer "$source_name" '.outcome == "done" and .damage == [{"peer": $peer, "pieces": 1}]' once.json >jq.out ||
    fail "the receipt: $(<once.json)"

deploy always 1000000
((status == 10)) || fail "only damage: exit status $status: $(<always.out)"
grep -Eq "$source_name sent [0-9]+ pieces that failed the hash check, and no source sent a good one" always.out || fail "no reason: $(<always.out)"
jq -e --arg peer "$source_name" '.outcome == "damaged_source" and .damage[0].peer == $peer and .damage[0].pieces >= 5' always.json >jq.out ||
    fail "the receipt: $(<always.json)"
pass
