#!/bin/bash
# Two threads, many threads and io_uring on a disk that accepts many writes at once but delays each.
# Usage: delay_disk.sh [ROUNDS [STACK:MICROSECONDS...]]; 3 rounds of fuse:100 and nbdkit:1000 by default:
#
#   fuse     rigs/latency_disk.c, with a loop device on top
#   nbdkit   its delay filter, in whole milliseconds, under nbdfuse: at most about 7500 requests per second
#
# Each run is one block (coalesce = "16 KiB", delay = 0), and the kernel does not merge the requests that io_uring submits together
# (queue/nomerges; MERGES=1 allows it), so that each block waits once, which the device's counter confirms. Measures the stack with
# fio, if installed, at depths of 1, 2 and 32; a deployment from an unlimited peer; and, if SEEDBED_BENCH is the path of
# seedbed_bench, the same blocks without a swarm, with pieces in random order. Without a swarm, 32 threads and io_uring must write
# at least twice as fast as two threads; a deployment has other limits, too.
# SEEDBED is the program; MIB the size of the image (192); JSON a file for the results.
set -euo pipefail
# shellcheck source=lib_bench.sh
. "$(dirname "$(readlink -f "$0")")/lib_bench.sh"

rounds=${1:-3}
stacks=("${@:2}")
((${#stacks[@]})) || stacks=(fuse:100 nbdkit:1000)
mib=${MIB:-192}
need_loop
need_hosts
need_nbdfuse

start_stack() {
    local kind=${1%:*} wait=${1#*:}
    case $kind in
    fuse) start_latency_disk disk "$work/disk.img" "$wait" ;;
    nbdkit) start_nbd_parallel disk --filter=delay file "$work/disk.img" wdelay="$((wait / 1000))ms" ;;
    *) fail "no such stack: $1" ;;
    esac
    queue=/sys/block/${disk#/dev/}/queue/nomerges
    if [[ -z ${MERGES:-} ]]; then
        defer merges sh -c "echo $(<"$queue") >$queue" # for the next user of this loop device
        echo 2 >"$queue"
    fi
}
writes() {
    local fields
    read -ra fields <"/sys/block/${disk#/dev/}/stat"
    echo "${fields[4]}"
}

fio_at() {
    local depth=$1
    fio --name=x --filename="$disk" --direct=1 --rw=randwrite --bs=16k --size="${mib}M" --ioengine=libaio \
        --iodepth="$depth" --time_based --runtime=4 --output-format=json 2>/dev/null |
        /usr/bin/python3 -c 'import json, sys; print(json.load(sys.stdin)["jobs"][0]["write"]["iops"])'
}

declare -A lines=(
    ["2 threads"]=$'io_engine = "threads"\nthreads = 2'
    ["32 threads"]=$'io_engine = "threads"\nthreads = 32'
    ["io_uring"]=$'io_engine = "io_uring"\nqueue_depth = 64'
)
declare -A side=(
    ["2 threads"]="seedbed:class=nvme:coalesce=16 KiB:delay=0:engine=threads:threads=2"
    ["32 threads"]="seedbed:class=nvme:coalesce=16 KiB:delay=0:engine=threads:threads=32"
    ["io_uring"]="seedbed:class=nvme:coalesce=16 KiB:delay=0:engine=io_uring:depth=64"
)
sides=("2 threads" "32 threads" "io_uring")

deploy() {
    local before
    blank disk.img
    blockdev --flushbufs "$disk"
    before=$(writes)
    start_target target "$disk" nvme '[profile.nvme]' 'coalesce = "16 KiB"' 'delay = "0 ms"' "${lines[$1]}"
    expect_line target.log " $image: durable" 600
    record "$stack us, deploy, seconds to durable" "$1" "$(log_seconds target.log ' downloading$' ' durable: ')"
    record "$stack us, deploy, writes of the device a block" "$1" \
        "$(awk -v n=$(($(writes) - before)) -v size="$image_size" 'BEGIN { printf "%.3f\n", n * 16384 / size }')"
    grep -oE '(io_uring, depth|[0-9]+ threads,) .*' target.log | head -n 1 >&2
    stop_target target disk.img
}

make_image image "$mib"
cp image.img disk.img
add_machine server
add_machine target
start_seeder server "$(attach_loop image.img --direct-io=on -r)"
for stack in "${stacks[@]}"; do
    start_stack "$stack"
    if command -v fio >/dev/null; then
        for depth in 1 2 32; do
            record "$stack us, fio, 16 KiB writes a second" "depth $depth" "$(fio_at "$depth")"
        done
    fi
    for ((round = 0; round < rounds; round++)); do
        for each in "${sides[@]}"; do
            deploy "$each"
        done
    done
    if [[ -n ${SEEDBED_BENCH:-} ]]; then
        options=()
        for each in "${sides[@]}"; do
            options+=(--side "${side[$each]}")
        done
        "$SEEDBED_BENCH" backend --load write --device "$disk" --folder "$work" --size "$mib MiB" --runs "$rounds" \
            "${options[@]}" --json backend.json >backend.out
        "${stats[@]}" backend backend.json "$stack us, driven directly" >>results
        for each in "32 threads" io_uring; do
            limit "$stack us, driven directly, MiB/s to durable" "${side[$each]}" "${side["2 threads"]}" '>=' 2
        done
    fi
    undo merges
    stop_stack disk
done
report "writes that wait, $mib MiB in runs of 16 KiB"
