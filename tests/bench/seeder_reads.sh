#!/bin/bash
# The bytes that a seeder with a pool of an eighth of the image reads from its device for three targets: at most 1.15 times the image.
# Measured with pieces hashed before they are first served, which is the default (lazy), without hashing and, for comparison, without
# read_once. The device is a loop device past the page cache on a file in RAM; its own counter counts the bytes.
# Usage: seeder_reads.sh [ROUNDS]; 3 by default. SEEDBED is the program; MIB the size of the image (1024), TARGETS the number of
# targets (3), LINK the rate of their links (1gbit); JSON a file for the results. If SEEDBED_BASELINE is the path of another seedbed,
# that one takes turns as a seeder.
set -euo pipefail
# shellcheck source=lib_bench.sh
. "$(dirname "$(readlink -f "$0")")/lib_bench.sh"

rounds=${1:-3}
mib=${MIB:-1024}
count=${TARGETS:-3}
link=${LINK:-1gbit}
need_loop
need_hosts

make_image image "$mib"
source=$(attach_loop image.img --direct-io=on -r)
[[ $(losetup -nO DIO "$source") -eq 1 ]] || skip "no loop device with direct I/O on a file in RAM"
hosts=()
add_machine server "${SERVER_LINK:-}"
for ((i = 0; i < count; i++)); do
    hosts+=("target$i")
    add_machine "target$i" "$link"
done

# feed SIDE PROGRAM VERIFY [LINE]: deploys to all targets, from nothing to durable.
feed() {
    local side=$1 program=$2 seed_verify=$3 host before sent
    shift 3
    blockdev --flushbufs "$source"
    for host in "${hosts[@]}"; do
        rm -f "$host.img"
        truncate -s "${mib}M" "$host.img"
    done
    before=$(bytes_read "$source")
    sent=$(on server cat /sys/class/net/eth0/statistics/tx_bytes)
    seedbed=$program start_seeder server "$source" "$@" '[memory]' "pool = \"$((mib / 8)) MiB\""
    for host in "${hosts[@]}"; do
        start_target "$host" "$work/$host.img" nvme
    done
    for host in "${hosts[@]}"; do
        expect_line "$host.log" " $image: durable" 600
    done
    record "bytes" "read by $side" "$(($(bytes_read "$source") - before))"
    record "bytes" "sent by $side" "$(($(on server cat /sys/class/net/eth0/statistics/tx_bytes) - sent))"
    for host in "${hosts[@]}"; do
        record "seconds to durable" "a target of $side" "$(log_seconds "$host.log" ' downloading$' ' durable: ')"
        stop_target "$host" "$host.img"
    done
    stop_daemon server
}

record "bytes" "the image" "$image_size"
for ((round = 0; round < rounds; round++)); do
    feed lazy "$seedbed" lazy
    feed "verify = none" "$seedbed" none
    feed "lazy, read_once = false" "$seedbed" lazy 'read_once = false'
    [[ -z ${SEEDBED_BASELINE:-} ]] || feed "baseline, lazy" "$SEEDBED_BASELINE" lazy
done
for side in lazy "verify = none"; do
    limit "bytes" "read by $side" "the image" '<=' 1.15
done
report "a seeder of $count targets, $mib MiB, a pool of $((mib / 8)) MiB, links of $link"
