#!/bin/bash
# Deploying to a hard disk and seeding from it. The disk is rigs/head_disk.c, a model with a head; the links have 1 Gbit/s.
# Usage: hdd.sh [ROUNDS [MEASURE...]]; 3 rounds of all measures by default:
#
#   deploy    from peer to durable: at most 1.15 times as long as dd of the same bytes to the same disk. If SEEDBED_BASELINE is
#             the path of another seedbed, that one takes turns, too; BASELINE describes it in the report.
#   coalesce  the same without coalescing: runs of one block, no delay. If SEEDBED_BENCH is the path of seedbed_bench, also the
#             write latency for blocks of four pieces in turn that arrive at 90 MiB/s, with 150 MB/s under the head: at most
#             0.4 times that without coalescing.
#   seed      four targets at once from this disk: each receives at least 0.9 times the rate at which dd reads
#
# SEEDBED is the program; MIB the size of the image (512; 2048 for seed), EXTENTS the number of its extents (1); DISK_RATE the bytes
# per second that pass under the head (120000000: dd, with one request at a time, reaches about 105 MB/s, less than the link's
# rate); JSON a file for the results.
set -euo pipefail
# shellcheck source=lib_bench.sh
. "$(dirname "$(readlink -f "$0")")/lib_bench.sh"

rounds=${1:-3}
measures=("${@:2}")
((${#measures[@]})) || measures=(deploy coalesce seed)
mib=${MIB:-512}
# In a small image, the last pieces, which four machines exchange after the disk was read, would weigh too much.
[[ ${measures[*]} != seed ]] || mib=${MIB:-2048}
small=$((mib / 2))
extents=${EXTENTS:-1}
link=1gbit
disk_rate=${DISK_RATE:-120000000}
need_loop
need_hosts
need_head_disk

# The disk is four times as long as the image, so that a stroke across the image is shorter than one across the disk.
make_disk() {
    truncate -s "$(($1 * 4))M" disk.img
    fallocate -l "${1}M" disk.img
    start_head_disk disk "$work/disk.img" rate="$disk_rate"
}
seeks=0
mark_seeks() {
    seeks=$(head_disk_count disk seeks)
}
count_seeks() {
    echo $(($(head_disk_count disk seeks) - seeks))
}

# deploy SIDE PROGRAM [LINE...]: from peer to durable, on a disk without any of the image.
deploy() {
    local side=$1 seedbed=$2
    shift 2
    blank "$image.blank"
    dd if="$image.blank" of=disk.img bs=1M conv=notrunc status=none
    blockdev --flushbufs "$disk"
    start_target target "$disk" hdd "$@"
    expect_line target.log " $image: downloading" 60
    mark_seeks
    expect_line target.log " $image: durable" 600
    record "$measure, seconds to durable" "$side" "$(log_seconds target.log ' downloading$' ' durable: ')"
    record "$measure, seeks" "$side" "$(count_seeks)"
    grep -E ' (written|durable|downloaded)' target.log | cut -d ' ' -f 3- >&2
    stop_target target disk.img
}
copy() {
    dd if="$image.blank" of=disk.img bs=1M conv=notrunc status=none
    blockdev --flushbufs "$disk"
    mark_seeks
    record "$measure, seconds to durable" dd "$(copy_seconds "$image.img" "$disk" write)"
    record "$measure, seeks" dd "$(count_seeks)"
    compare_extents "$image.info" "$image.img" disk.img
}

# prepare NAME MIB: makes an image, a disk and a seeder whose own disk is unlimited.
prepare() {
    make_image "$1" "$2" "$extents"
    truncate -s "${2}M" "$1.blank"
    make_disk "$2"
    start_seeder server "$(attach_loop "$1.img" --direct-io=on -r)"
}
unprepare() {
    stop_daemon server
    stop_stack disk
    rm -f disk.img "$image".*
}

measure_deploy() {
    local round
    prepare deploy "$mib"
    for ((round = 0; round < rounds; round++)); do
        copy
        deploy seedbed "$seedbed"
        [[ -z ${SEEDBED_BASELINE:-} ]] || deploy baseline "$SEEDBED_BASELINE"
    done
    [[ -z ${BASELINE:-} ]] || note "baseline is $BASELINE"
    limit "$measure, seconds to durable" seedbed dd '<=' 1.15
    unprepare
}

measure_coalesce() {
    local round
    local without=('[profile.hdd]' 'coalesce = "16 KiB"' 'delay = "0 ms"')
    prepare coalesce "$small"
    for ((round = 0; round < rounds; round++)); do
        deploy "as it is" "$seedbed"
        deploy "runs of one block" "$seedbed" "${without[@]}"
    done
    unprepare
    [[ -n ${SEEDBED_BENCH:-} ]] || {
        note "SEEDBED_BENCH is not given: no latency of single writes"
        return 0
    }
    disk_rate=150000000 make_disk "$mib"
    # As from four peers that use three quarters of 1 Gbit/s, to a disk that could write the blocks at that rate if in order.
    "$SEEDBED_BENCH" backend --load write --device "$disk" --folder "$work" --size "$mib MiB" --runs "$rounds" \
        --rate 90 --open 4 --outstanding 100000 --side seedbed:class=hdd \
        --side "seedbed:class=hdd:coalesce=16 KiB:delay=0" --json backend.json >backend.out
    "${stats[@]}" backend backend.json "$measure, driven directly" >>results
    limit "$measure, driven directly, write latency ms, p50" seedbed:class=hdd \
        "seedbed:class=hdd:coalesce=16 KiB:delay=0" '<=' 0.4
    stop_stack disk
}

measure_seed() {
    local round host before sent
    local hosts=(red green blue white) # the swarm: one machine each
    make_image seed "$mib" "$extents"
    truncate -s "$((mib * 4))M" disk.img
    dd if=seed.img of=disk.img bs=1M conv=notrunc status=none
    start_head_disk disk "$work/disk.img" rate="$disk_rate"
    for ((round = 0; round < rounds; round++)); do
        record "seed, MiB/s" dd "$(rate "$(copy_seconds "$disk" /dev/null read)")"
        for host in "${hosts[@]}"; do
            # The same memory each time: a disk does not allocate anything during the run.
            dd if=/dev/zero of="$host.target" bs=1M count="$mib" conv=notrunc status=none
        done
        before=$(head_disk_count disk read_bytes)
        sent=$(on server cat /sys/class/net/eth0/statistics/tx_bytes)
        mark_seeks
        start_seeder server "$disk"
        for host in "${hosts[@]}"; do
            start_target "$host" "$work/$host.target" nvme
        done
        for host in "${hosts[@]}"; do
            expect_line "$host.log" " $image: durable" 600
        done
        record "seed, the disk's bytes read / the image" server \
            "$(ratio $(($(head_disk_count disk read_bytes) - before)) "$image_size")"
        record "seed, the server's bytes sent / the image" server \
            "$(ratio $(($(on server cat /sys/class/net/eth0/statistics/tx_bytes) - sent)) "$image_size")"
        record "seed, seeks" server "$(count_seeks)"
        for host in "${hosts[@]}"; do
            record "seed, MiB/s" "a target" "$(rate "$(log_seconds "$host.log" ' downloading$' ' downloaded ')")"
            stop_target "$host" "$host.target"
        done
        stop_daemon server
    done
    limit "seed, MiB/s" "a target" dd '>=' 0.9
    stop_stack disk
    rm -f disk.img seed.* ./*.target
}

rate() {
    ratio "$image_size" "$1" 1048576
}
# ratio A B [C]: prints A / B / C.
ratio() {
    awk -v a="$1" -v b="$2" -v c="${3:-1}" 'BEGIN { printf "%.3f\n", a / b / c }'
}

for measure in "${measures[@]}"; do
    case $measure in
    deploy | coalesce)
        [[ -n ${address[server]:-} ]] || add_machine server "$link"
        [[ -n ${address[target]:-} ]] || add_machine target
        ;;
    seed)
        [[ -n ${address[server]:-} ]] || add_machine server "${SERVER_LINK:-}"
        for host in red green blue white; do add_machine "$host" "$link"; done
        ;;
    *) fail "no such measure: $measure" ;;
    esac
    "measure_$measure"
done
report "a hard disk (rigs/head_disk.c), $mib MiB in $extents extent(s), links of $link, $((disk_rate / 1000000)) MB/s under the head"
