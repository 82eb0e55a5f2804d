#!/bin/bash
# Creation of a packed image: `seedbed create --pack` must reach at least 0.8 times the rate of zstd on one processor, at the same level
# and in blocks of the same size, times the number of processors; or the rate of the disk. The source is in memory, where no disk is the
# limit, but the loop device takes processor time for each byte; or in FOLDER, on a disk, which four readers read in turn with it.
# Rates are in MiB a second of the file system's used bytes; "packed to" is the part of them that the image takes.
# Usage: pack.sh MIB [ROUNDS [LEVEL...]]; MIB is the size of an ext4 file system, five eighths of which are files of Debian's packages;
# 3 rounds of levels 1, 3 and 9 by default. SEEDBED is the program, a release build; JSON a file for the results; FOLDER a folder on a
# disk for the source.
set -euo pipefail
# shellcheck source=lib_bench.sh disable=SC2154
. "$(dirname "$(readlink -f "$0")")/lib_bench.sh"

mib=${1:?size of the file system in MiB}
rounds=${2:-3}
levels=("${@:3}")
((${#levels[@]})) || levels=(1 3 9)
need_loop
need partclone.ext4 zstd mkfs.ext4 jq

image=$PWD/source.img
if [[ -n ${FOLDER:-} ]]; then
    image=$(mktemp -p "$FOLDER" seedbed-pack-XXXXXX)
    defer image rm -f "$image"
fi
# No block is a hole, which would be read without the disk.
dd if=/dev/zero of="$image" bs=4M count="${mib}M" iflag=count_bytes conv=fsync status=none
source=$(attach_loop "$image" --direct-io=on)
mkfs.ext4 -q -F -E nodiscard -b 4096 -i 8192 "$source"
mount_at tree "$source"
fill_with_packages tree $((mib * 5 / 8 << 20))
# What zstd packs for comparison: the contents of these files, one after the other.
find tree -xdev -type f -print0 | sort -z | xargs -0 cat >contents
unmount tree
sync -f "$image"

# zstd_rate LEVEL: prints the rate of one processor in MiB/s, from zstd's own benchmark: "1#contents : 1000 -> 400 (2.5), 300.0 MB/s".
zstd_rate() {
    local line
    line=$(zstd -b"$1" -e"$1" -i2 -B256K --single-thread contents 2>&1 | tr '\r' '\n' | grep -E '[0-9] MB/s' | tail -n 1)
    [[ $line =~ \),[[:space:]]*([0-9.]+)[[:space:]]MB/s ]] || fail "zstd -b$1: $line"
    awk -v rate="${BASH_REMATCH[1]}" 'BEGIN { printf "%.1f", rate * 1e6 / 2 ^ 20 }'
}
# disk_rate: prints the rate at which four readers at a time read the source, past the page cache.
disk_rate() {
    local began=$EPOCHREALTIME i readers=()
    for ((i = 0; i < 4; i++)); do
        dd if="$source" of=/dev/null bs=4M status=none iflag=direct,skip_bytes,count_bytes skip=$((mib * i / 4))M \
            count=$((mib / 4))M &
        readers+=("$!")
    done
    wait "${readers[@]}"
    awk -v mib="$mib" -v seconds="$(since "$began")" 'BEGIN { printf "%.1f", mib / seconds }'
}
# pack LEVEL: sets seconds, used and packed.
pack() {
    local began=$EPOCHREALTIME
    "$seedbed" create "$source" --pack --level "$1" -o packed.sbi --force >pack.out 2>&1 || fail "create: $(<pack.out)"
    seconds=$(since "$began")
    used=$("$seedbed" probe --json packed.sbi | jq '.packed_images[0].bytes')
    packed=$(stat -c %s packed.sbi)
}
for level in "${levels[@]}"; do
    for ((round = 0; round < rounds; round++)); do
        one=$(zstd_rate "$level")
        record "level $level, MiB/s" "$(nproc) x zstd" "$(awk -v one="$one" -v count="$(nproc)" 'BEGIN { printf "%.1f", one * count }')"
        [[ -z ${FOLDER:-} ]] || record "level $level, MiB/s" "disk" "$(disk_rate)"
        pack "$level"
        record "level $level, MiB/s" "create --pack" "$(awk -v used="$used" -v seconds="$seconds" 'BEGIN { printf "%.1f", used / 2 ^ 20 / seconds }')"
    done
    record "packed to" "level $level" "$(awk -v used="$used" -v packed="$packed" 'BEGIN { printf "%.3f", packed / used }')"
    # The disk is the limit where it is slower than the processors.
    slower=$(awk -F '\t' -v measure="level $level, MiB/s" -v zstd="$(nproc) x zstd" \
        '$2 == measure { sum[$3] += $4 } END { print "disk" in sum && sum["disk"] < 0.8 * sum[zstd] ? "disk" : zstd }' results)
    limit "level $level, MiB/s" "create --pack" "$slower" '>=' "$([[ $slower == disk ]] && echo 0.95 || echo 0.8)"
done
note "$((used >> 20)) MiB used"
report "seedbed create --pack of an ext4 file system of $mib MiB $([[ -n ${FOLDER:-} ]] && echo "on a disk" || echo "in memory")"
