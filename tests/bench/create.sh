#!/bin/bash
# Creation of a raw image: the rate of `seedbed create` must be at least 0.9 times the lower of the source's read rate (fio) and the
# hash rate of all processors (openssl on one processor, times their number).
# Usage: create.sh [ROUNDS [MEASURE...]]; 5 rounds of all measures by default:
#
#   disk    a loop device past the page cache, on a file in FOLDER (/var/tmp), on this machine's disk
#   slow    the same in memory, with reads limited by a cgroup to 400 MB/s; left out if cgroup v1 is unavailable
#   memory  the same without that limit. The 0.9 does not apply: the processors copy the data for each read, while with a real
#           disk they could hash
#   file    an image file in memory, through the page cache; the 0.9 does not apply, for the same reason
#
# SEEDBED is the program, a release build; MIB the size of the source (8192); JSON a file for the results.
set -euo pipefail
# shellcheck source=lib_bench.sh
. "$(dirname "$(readlink -f "$0")")/lib_bench.sh"

rounds=${1:-5}
measures=("${@:2}")
((${#measures[@]})) || measures=(disk slow memory file)
mib=${MIB:-8192}
slow_rate=400000000
need_loop
need fio jq openssl

# as_mib BYTES_A_SECOND: prints it in MiB/s.
as_mib() {
    awk -v bytes="$1" 'BEGIN { printf "%.1f\n", bytes / 1048576 }'
}
sha1_rate() {
    local one
    one=$(openssl speed -seconds 1 -bytes 16384 -evp sha1 2>/dev/null | awk '/^sha1/ { print $2 * 1000 }')
    as_mib "$(awk -v one="$one" -v count="$(nproc)" 'BEGIN { printf "%.0f", one * count }')"
}
# read_rate SOURCE FIO_OPTION...: prints the read rate.
read_rate() {
    local source=$1
    shift
    as_mib "$(fio --name=read --filename="$source" --readonly --rw=read --bs=1M "$@" --output-format=json |
        jq '.jobs[0].read.bw_bytes')"
}
create_rate() {
    local start=$EPOCHREALTIME seconds
    "$seedbed" create "$1" -o made.torrent --name made --force >made.out 2>&1 || fail "create: $(<made.out)"
    seconds=$(since "$start")
    awk -v mib="$mib" -v seconds="$seconds" 'BEGIN { printf "%.1f\n", mib / seconds }'
}
# compare NAME SOURCE FIO_OPTION...: runs all sides in turn.
compare() {
    local measure="$1, MiB/s" source=$2 round device hashing
    shift 2
    for ((round = 0; round < rounds; round++)); do
        device=$(read_rate "$source" "$@")
        hashing=$(sha1_rate)
        record "$measure" "the lower of both" "$(printf '%s\n' "$device" "$hashing" | sort -g | head -n 1)"
        record "$measure" "reading (fio)" "$device"
        record "$measure" "$(nproc) x SHA-1 (openssl)" "$hashing"
        record "$measure" "seedbed create" "$(create_rate "$source")"
    done
}
direct=(--direct=1 --ioengine=io_uring --iodepth=32)

# make_source FILE: fills it with random data.
make_source() {
    rm -f "$1"
    head -c "${mib}M" /dev/urandom >"$1"
    sync "$1"
}
memory_loop() {
    [[ -e memory.img ]] || make_source memory.img
    attach_loop memory.img --direct-io=on -r
}

measure_disk() {
    local folder source
    folder=$(mktemp -d "${FOLDER:-/var/tmp}/seedbed-bench-XXXXXX")
    defer disk rm -rf "$folder"
    make_source "$folder/disk.img"
    source=$(attach_loop "$folder/disk.img" --direct-io=on -r)
    [[ $(losetup -nO DIO "$source") -eq 1 ]] || skip "no loop device on $folder goes past the page cache"
    compare disk "$source" "${direct[@]}"
    limit "disk, MiB/s" "seedbed create" "the lower of both" '>=' 0.9
    detach_loop "$source"
    undo disk
}
measure_slow() {
    local source control group
    control=$(awk '$3 == "cgroup" && $4 ~ /(^|,)blkio(,|$)/ { print $2; exit }' /proc/mounts)
    if [[ -z $control ]]; then
        control=$work/blkio
        mkdir "$control"
        if ! mount -t cgroup -o blkio none "$control" 2>/dev/null; then
            note "slow is left out: there is no cgroup v1 with blkio here"
            return 0
        fi
        defer blkio umount "$control"
    fi
    source=$(memory_loop)
    group=$control/seedbed-bench-$$
    mkdir "$group"
    defer group rmdir "$group"
    echo "$(cat "/sys/block/${source#/dev/}/dev") $slow_rate" >"$group/blkio.throttle.read_bps_device"
    echo "$BASHPID" >"$group/cgroup.procs"
    compare slow "$source" "${direct[@]}"
    echo "$BASHPID" >"$control/cgroup.procs"
    limit "slow, MiB/s" "seedbed create" "the lower of both" '>=' 0.9
    undo group
    detach_loop "$source"
}
measure_memory() {
    local source
    source=$(memory_loop)
    compare memory "$source" "${direct[@]}"
    detach_loop "$source"
}
measure_file() {
    [[ -e memory.img ]] || make_source memory.img
    compare file "$work/memory.img" --direct=0 --ioengine=psync --invalidate=0
}

for measure in "${measures[@]}"; do
    case $measure in
    disk | slow | memory | file) "measure_$measure" ;;
    *) fail "no such measure: $measure" ;;
    esac
done
report "seedbed create of a raw image of $mib MiB"
