#!/bin/bash
# Super-seeding and slow start on a server that deploys to eight machines at once: the seconds until the image is durable on the first
# and on the last of them, and the bytes that the server has sent, with neither, with super_seeding and with slow_start in turn.
# Devices are files in RAM; the links of the server and of all machines are limited.
# Usage: super_seeding.sh [ROUNDS]; 3 by default. SEEDBED is the program; MIB the size of the image (512), TARGETS the number of
# machines (8), LINK the rate of every link (1gbit); JSON a file for the results.
set -euo pipefail
# shellcheck source=lib_bench.sh
. "$(dirname "$(readlink -f "$0")")/lib_bench.sh"

rounds=${1:-3}
mib=${MIB:-512}
count=${TARGETS:-8}
link=${LINK:-1gbit}
need_hosts

make_image image "$mib"
add_machine server "$link"
peers="\"${address[server]}:6881\""
hosts=()
for ((i = 0; i < count; i++)); do
    hosts+=("target$i")
    add_machine "target$i" "$link"
    peers+=", \"${address[target$i]}:6881\""
done

# shellcheck disable=SC2046 # $(on_host NAME) is several words
start() {
    local host=$1
    start_daemon "$host" "$host.toml" $(on_host "$host")
}
# deploy SIDE NETWORK_LINE IMAGE_LINE: deploys to all machines, from nothing to durable.
deploy() {
    local side=$1 network_line=$2 image_line=$3 host began sent times=()
    sent=$(on server cat /sys/class/net/eth0/statistics/tx_bytes)
    host_config server.toml server 'local_discovery = false' "$network_line"
    add_image server.toml "$image" "$image.torrent" "$work/$image.img" seed "$image_line"
    start server
    expect_line server.log ' ready$'
    for host in "${hosts[@]}"; do
        rm -f "$host.img"
        truncate -s "${mib}M" "$host.img"
        host_config "$host.toml" "$host" 'local_discovery = false' '[memory]' 'pool = "64 MiB"'
        add_image "$host.toml" "$image" "$image.torrent" "$work/$host.img" deploy 'verify = false' 'check = "none"' \
            'profile = "nvme"' "peers = [$peers]"
    done
    began=$EPOCHREALTIME
    for host in "${hosts[@]}"; do
        start "$host"
    done
    for host in "${hosts[@]}"; do
        expect_line "$host.log" " $image: durable" 900
    done
    record "seconds until all are durable" "$side" "$(since "$began")"
    for host in "${hosts[@]}"; do
        times+=("$(log_seconds "$host.log" ' downloading$' ' durable: ')")
    done
    record "seconds of the first" "$side" "$(printf '%s\n' "${times[@]}" | sort -n | head -n 1)"
    record "seconds of the last" "$side" "$(printf '%s\n' "${times[@]}" | sort -n | tail -n 1)"
    record "images' worth of bytes that the server sent" "$side" \
        "$(awk -v sent="$(($(on server cat /sys/class/net/eth0/statistics/tx_bytes) - sent))" -v size="$image_size" \
            'BEGIN { printf "%.2f", sent / size }')"
    for host in "${hosts[@]}"; do
        stop_target "$host" "$host.img"
    done
    stop_daemon server
}

for ((round = 0; round < rounds; round++)); do
    deploy "neither" 'slow_start = false' 'super_seeding = false'
    deploy "super_seeding" 'slow_start = false' 'super_seeding = true'
    deploy "slow_start" 'slow_start = true' 'super_seeding = false'
done
report "one server to $count machines, $mib MiB, links of $link"
