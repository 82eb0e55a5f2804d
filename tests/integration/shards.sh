#!/bin/bash
# Network shards: one server with two sessions, on two ports. Machines that find it through its tracker, by multicast, or by a single
# port, even the wrong one, each end up with one lasting connection to the port that serves them. So does libtorrent with EZIO's
# settings; aria2, which gets both ports from another tracker, completes. SEEDBED is the program.
# shellcheck disable=SC2046 # $(on_host NAME) is several words
# Labels: threads
set -euo pipefail
# shellcheck source=lib_daemon.sh
. "$(dirname "$0")/lib_daemon.sh"
# shellcheck source=lib_network.sh
. "$here/lib_network.sh"
# shellcheck source=lib_clients.sh
. "$here/lib_clients.sh"

need_loop
need_hosts
need partclone.ext4 mkfs.ext4 opentracker aria2c jq
/usr/bin/python3 -c 'import libtorrent' 2>/dev/null || skip "python3-libtorrent is not installed"

targets=(tracked1 tracked2 found1 found2 referred1 referred2)
for host in server tracked1 tracked2 found1 referred1 found2 referred2 foreign aria; do
    add_host "$host"
done
# shard_of HOST: prints 0 or 1, by its address.
shard_of() {
    /usr/bin/python3 -c 'import ipaddress, sys
print(((int(ipaddress.ip_address(sys.argv[1])) * 0x9E3779B97F4A7C15 % 2**64 >> 32) * 2) >> 32)' "${address[$1]}"
}
declare -A port=()
for host in "${targets[@]}" foreign aria; do
    port[$host]=$((6881 + $(shard_of "$host")))
done
# other_port HOST: prints the port that does not serve HOST.
other_port() {
    echo $((6881 + 6882 - port[$1]))
}
for pair in tracked found; do
    [[ ${port[${pair}1]} != "${port[${pair}2]}" ]] || fail "both machines of $pair belong to the same shard"
done

truncate -s 64M source
source=$(attach_loop source)
make_file_system ext4 "$source" 36
capture_files "$source"
create() {
    "$seedbed" create --partclone image.info --name sda1 "$@" --force --json
}
create --tracker "http://${address[server]}:6969/announce" -o tracked.torrent >created.json
create -o plain.torrent >created.json
create --tracker "http://${address[server]}:6970/announce" -o other.torrent >created.json

# --- serve slowly until every machine is connected to its shard

mkdir tracker
chmod 755 "$work" tracker # opentracker runs as nobody
sed -n 's/.*"info_hash": *"\([0-9a-f]*\)".*/\1/p' created.json >tracker/hashes
start_process tracker $(on_host server) opentracker -i "${address[server]}" -p 6970 -P 6970 -d tracker -w hashes
host_config seed.toml server 'shards = 2' '[log]' 'level = "debug"'
add_image seed.toml sda1 other.torrent "$source" seed 'upload_limit = "768 KiB"'
start_daemon seed seed.toml $(on_host server)
expect_line seed.log ' ready$'
for name in network-1 network-2; do
    grep -qx "$name" /proc/"${daemon_pid[seed]}"/task/*/comm || fail "no thread is called $name"
done

# start HOST TORRENT NETWORK_LINE [IMAGE_LINE...]
start() {
    local host=$1 torrent=$2 line=$3
    shift 3
    truncate -s 64M "$host.img"
    host_config "$host.toml" "$host" "$line" 'shards = 2' '[tracker]' 'enabled = false' '[log]' 'level = "debug"'
    add_image "$host.toml" sda1 "$torrent" "$work/$host.img" deploy 'check = "none"' "$@"
    start_daemon "$host" "$host.toml" $(on_host "$host")
}
start tracked1 tracked.torrent 'local_discovery = false'
start tracked2 tracked.torrent 'local_discovery = false'
start found1 plain.torrent 'local_discovery = true'
start found2 plain.torrent 'local_discovery = true'
start referred1 plain.torrent 'local_discovery = false' "peers = [\"${address[server]}:$(other_port referred1)\"]"
start referred2 plain.torrent 'local_discovery = false' "peers = [\"${address[server]}:${port[referred2]}\"]"
cat >foreign.py <<'END_OF_CLIENT'
import sys, time
import libtorrent as lt
session = lt.session({"listen_interfaces": "0.0.0.0:6881", "enable_dht": False, "enable_lsd": False,
                      "enable_upnp": False, "enable_natpmp": False})
handle = session.add_torrent({"ti": lt.torrent_info("plain.torrent"), "save_path": "got-foreign"})
handle.connect_peer((sys.argv[1], int(sys.argv[2])))
end = time.time() + 300
while not handle.status().is_seeding and time.time() < end:
    session.wait_for_alert(200)
    session.pop_alerts()
sys.exit(0 if handle.status().is_seeding else 1)
END_OF_CLIENT
mkdir got-foreign got-aria
start_process foreign $(on_host foreign) /usr/bin/python3 foreign.py "${address[server]}" "$(other_port foreign)"

# look: fills connected[HOST] with "LOCAL_PORT REMOTE_PORT" of each connection between the server and HOST, except the tracker's;
# status 1 unless every machine has exactly one connection, to its own shard. A machine at the wrong port briefly has two
# connections.
declare -A connected=() host_at=()
for host in "${targets[@]}" foreign; do
    host_at[.${address[$host]}]=$host
done
look() {
    local host near far all status=0
    connected=()
    all=$(on server ss -Htn state established | sort)
    while read -r _ _ near far; do
        host=${host_at[.${far%:*}]:-}
        if [[ -n $host && $near != *:69?? ]]; then
            connected[$host]+=${connected[$host]:+,}"${near##*:} ${far##*:}"
        fi
    done <<<"$all"
    for host in "${targets[@]}" foreign; do
        # The machine's listening port at the other end: the server made the connection, since the machine knows only the wrong port.
        [[ ${connected[$host]:-} =~ ^[0-9]+\ [0-9]+$ && (${connected[$host]} == *' 6881' ||
            ($host != foreign && ${connected[$host]} == "${port[$host]} "*)) ]] || status=1
    done
    return $status
}
all_connections() {
    local host
    for host in "${targets[@]}" foreign; do
        echo "$host, port ${port[$host]}: ${connected[$host]:-none}"
    done
}
# If two machines connect to each other at the same moment, each closes the incoming connection: both are lost, and both machines
# retry after a second (libtorrent; news of the second connection waits behind the upload limit). This ends when one is first.
lasting=0 # seconds without a change
before=
since=$SECONDS
end=$((SECONDS + 50)) # before a machine can be complete
while ((lasting < 4 && SECONDS < end)); do
    look || before=
    now=$(all_connections)
    [[ $now == "$before" ]] || since=$SECONDS
    before=$now
    lasting=$((SECONDS - since))
    sleep 0.1
done
((lasting >= 4)) || fail "not every machine keeps one connection to its own shard: $(all_connections)"
for ((i = 0; i < 100; i++)); do
    "$seedbed" status --socket "$work/server.sock" --json >status.json
    ! jq -e '.images[0] | [.peers[].address] | length == (unique | length) and length == 7' status.json >/dev/null || break
    sleep 0.1
done
((i < 100)) || fail "status: $(jq -c '.images[0].peers' status.json)"
tried=$(grep -c " peer ${address[referred1]} belongs to network shard" seed.log || true)
((tried >= 1 && tried <= 6)) || fail "referred1 was referred to its shard $tried times"

# --- the two running shards need two ports, even if the file sets another number for the next start

cp seed.toml kept.toml
sed -i -e '/^listen/s/:6881/:65535/' -e 's/^shards = 2/shards = 1/' seed.toml
kill -HUP "${daemon_pid[seed]}"
expect_line seed.log ' error network.listen: no 2 consecutive ports from 65535 '
expect_line seed.log ' error reload: nothing was changed$'
cp kept.toml seed.toml

# --- to the end, without a limit

sed -i -e '/^upload_limit/d' -e 's/^shards = 2/shards = 3/' seed.toml
kill -HUP "${daemon_pid[seed]}"
expect_line seed.log ' warning reload: restart needed to change: network.shards$'
expect_line seed.log ' reload: 0 images closed, 0 opened, 1 changed in use$'
start_process aria $(on_host aria) "${aria2[@]}" --seed-time=0 --dir=got-aria other.torrent
for host in "${targets[@]}"; do
    expect_line "$host.log" ' sda1: done: ' 180
    expect_line "$host.log" 'sda1: network shards only serve images in mode "seed"; using the first of 2$'
    never_line "$host.log" 'failed:|failed its hash check'
done
for client in foreign aria; do
    timeout 180 tail --pid="${process_pid[$client]}" -s 0.1 -f /dev/null || fail "$client has not finished within 180 s"
    diff -rq files/sda1 "got-$client/sda1" || fail "$client: the files differ from partclone's"
done
never_line seed.log 'failed:|failed its hash check'
# The two sessions find each other and themselves: they try each address once or twice, not every second.
own=$(grep -cE "peer (${address[server]}|127\.0\.0\.1):[0-9]+ connected" seed.log || true)
((own <= 12)) || fail "the server has connected to itself $own times"
for host in "${targets[@]}"; do
    stop_daemon "$host"
    compare_extents image.info "$source" "$host.img"
done
stop_daemon seed
((stop_milliseconds < 4000)) || fail "the server took $stop_milliseconds ms to stop"
pass
