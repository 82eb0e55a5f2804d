#!/bin/bash
# The effect of network shards on a server: four machines that find it through its tracker, with one libtorrent session and with two,
# in turn. Measures the seconds until the image is durable on all of them, and the server's rate and processor time. Devices are files
# in RAM and links are unlimited: the limit is the processors, which the machines share with the server here.
# Usage: shards.sh [ROUNDS]; 5 by default. SEEDBED is the program; MIB the size of the image (1024), TARGETS the number of machines
# (4), SHARDS the number to compare with 1 (2); JSON a file for the results.
set -euo pipefail
# shellcheck source=lib_bench.sh
. "$(dirname "$(readlink -f "$0")")/lib_bench.sh"

rounds=${1:-5}
mib=${MIB:-1024}
count=${TARGETS:-4}
shards=${SHARDS:-2}
need_hosts

make_image image "$mib"
add_machine server
tracker=http://${address[server]}:6969/announce
hosts=()
for ((i = 0; i < count; i++)); do
    hosts+=("target$i")
    add_machine "target$i"
done
# The machines reach the server but not each other, so that they download everything from it.
for host in "${hosts[@]}"; do
    for other in "${hosts[@]}"; do
        [[ $host == "$other" ]] || ip -n "$net-$host" route add blackhole "${address[$other]}"
    done
done

# processor_seconds NAME: prints the processor time that a daemon has used.
processor_seconds() {
    awk -v tick="$(getconf CLK_TCK)" '{ sub(/.*\) /, ""); printf "%.2f", ($12 + $13) / tick }' "/proc/${daemon_pid[$1]}/stat"
}
# shellcheck disable=SC2046 # $(on_host NAME) is several words
start() {
    start_daemon "$1" "$1.toml" $(on_host "$1")
}
# deploy SIDE SHARDS: deploys to all machines, from nothing to durable.
deploy() {
    local side=$1 number=$2 host began sent seconds
    host_config server.toml server 'local_discovery = false' "shards = $number" '[memory]' "pool = \"$((mib + 256)) MiB\""
    add_image server.toml "$image" "$image.torrent" "$work/$image.img" seed 'verify = "none"'
    start server
    expect_line server.log ' ready$'
    for host in "${hosts[@]}"; do
        rm -rf "${STATE_DIRECTORY:?}"
        rm -f "$host.img"
        truncate -s "${mib}M" "$host.img"
        host_config "$host.toml" "$host" 'local_discovery = false' '[tracker]' 'enabled = false' \
            '[memory]' 'pool = "64 MiB"'
        add_image "$host.toml" "$image" "$image.torrent" "$work/$host.img" deploy 'verify = false' 'check = "none"' \
            'profile = "nvme"' "trackers = [\"$tracker\"]"
    done
    sent=$(on server cat /sys/class/net/eth0/statistics/tx_bytes)
    began=$EPOCHREALTIME
    for host in "${hosts[@]}"; do
        start "$host"
    done
    for host in "${hosts[@]}"; do
        expect_line "$host.log" " $image: durable" 900
    done
    seconds=$(since "$began")
    sent=$(($(on server cat /sys/class/net/eth0/statistics/tx_bytes) - sent))
    record "seconds until all are durable" "$side" "$seconds"
    record "MiB/s that the server sent" "$side" "$(awk -v b="$sent" -v s="$seconds" 'BEGIN { printf "%.1f", b / s / 1048576 }')"
    record "processor seconds of the server a GiB sent" "$side" \
        "$(awk -v b="$sent" -v s="$(processor_seconds server)" 'BEGIN { printf "%.2f", s / b * 1073741824 }')"
    for host in "${hosts[@]}"; do
        stop_target "$host" "$host.img"
    done
    stop_daemon server
}

# The shards of the machines, as in daemon/swarm/network_shards.cpp.
places=$(for host in "${hosts[@]}"; do echo "${address[$host]}"; done | /usr/bin/python3 -c 'import ipaddress, sys
shards = int(sys.argv[1])
counts = [0] * shards
for line in sys.stdin:
    counts[((int(ipaddress.ip_address(line.strip())) * 0x9E3779B97F4A7C15 % 2**64 >> 32) * shards) >> 32] += 1
print(*counts, sep=", ")' "$shards")
note "of $shards shards, each serves so many machines: $places"
for ((round = 0; round < rounds; round++)); do
    deploy "1 shard" 1
    deploy "$shards shards" "$shards"
done
report "one server to $count machines, $mib MiB, 1 shard against $shards"
