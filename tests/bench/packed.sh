#!/bin/bash
# The benefit of packing an image: the same file system as a raw and as a packed image, and with udpcast, partclone and zstd, from one
# server to some machines whose links are limited in both directions; they take turns. Seconds to downloaded and to verified (udpcast
# verifies nothing), bytes that a machine receives, CPU of a machine by the file system's used bytes.
# Usage: packed.sh N RATE_MBIT MIB [ROUNDS]; MIB is the size of an ext4 file system, five eighths of which are files of Debian's
# packages. SEEDBED is the program; JSON a file for the results; PLOT a file for a plot (SVG), which needs gnuplot. Needs udpcast.
set -euo pipefail
# shellcheck source=lib_bench.sh disable=SC2154
. "$(dirname "$(readlink -f "$0")")/lib_bench.sh"

count=${1:?number of machines}
rate=${2:?rate of every link in Mbit/s}
mib=${3:?size of the file system in MiB}
rounds=${4:-3}
need_hosts
need_loop
[[ -z ${PLOT:-} ]] || need gnuplot
need udp-sender udp-receiver partclone.ext4 zstd mkfs.ext4 e2fsck

add_machine server "${rate}mbit"
hosts=()
declare -A target
for ((i = 0; i < count; i++)); do
    hosts+=("target$i")
    add_machine "target$i" "${rate}mbit"
    truncate -s "${mib}M" "target$i.img"
    target[target$i]=$(attach_loop "$PWD/target$i.img" --direct-io=on)
done

# --- the file system and its images

truncate -s "${mib}M" source.img
source=$(attach_loop "$PWD/source.img")
mkfs.ext4 -q -F -b 4096 -i 8192 "$source"
mount_at tree "$source"
fill_with_packages tree $((mib * 5 / 8 << 20))
unmount tree
tracker=(--tracker "http://${address[server]}:6969/announce")
"$seedbed" create "$source" --capture --name image "${tracker[@]}" -o raw.torrent >/dev/null 2>&1
began=$EPOCHREALTIME
"$seedbed" create "$source" --pack "${tracker[@]}" -o packed.sbi >/dev/null 2>&1
packing=$(since "$began")
used=$("$seedbed" probe --json packed.sbi | jq '.packed_images[0].bytes')
packed=$(stat -c %s packed.sbi)
note "$((used >> 20)) MiB used, packed to $((packed >> 20)) MiB in $packing s"

# --- the sides

received() { on "$1" cat /sys/class/net/eth0/statistics/rx_bytes; }
# record_machines SIDE CPU_SECONDS BYTES: of all machines together.
record_machines() {
    record "CPU seconds of a machine a GiB used" "$1" \
        "$(awk -v cpu="$2" -v n="$count" -v used="$used" 'BEGIN { printf "%.2f", cpu / n / (used / 2 ^ 30) }')"
    record "bytes that a machine receives, of those used" "$1" \
        "$(awk -v bytes="$3" -v n="$count" -v used="$used" 'BEGIN { printf "%.3f", bytes / n / used }')"
}
blank_all() {
    local host
    for host in "${hosts[@]}"; do blkdiscard -f -z "${target[$host]}" 2>blkdiscard.out; done
}
# shellcheck disable=SC2046 # $(on_host NAME) is several words
seedbed_side() {
    local side=$1 device=$2 host before=0 after=0 cpu=0 began
    rm -rf "${STATE_DIRECTORY:?}"
    blank_all
    host_config server.toml server 'local_discovery = false' '[tracker]' "listen = \"${address[server]}:6969\""
    add_image server.toml image "$work/$side.torrent" "$device" seed
    start_daemon server server.toml $(on_host server)
    expect_line server.log ' ready$'
    for host in "${hosts[@]}"; do
        host_config "$host.toml" "$host" 'local_discovery = false' '[memory]' 'pool = "64 MiB"'
        add_image "$host.toml" image "$work/$side.torrent" "${target[$host]}" deploy 'check = "none"' 'profile = "nvme"'
        before=$((before + $(received "$host")))
    done
    began=$EPOCHREALTIME
    for host in "${hosts[@]}"; do start_daemon "$host" "$host.toml" $(on_host "$host"); done
    for host in "${hosts[@]}"; do expect_line "$host.log" ' image: done: ' 1800; done
    record "seconds to downloaded" "$side" "$(line_seconds "$began" ' downloaded ' "${hosts[@]}" | tail -n 1)"
    record "seconds to verified" "$side" "$(line_seconds "$began" ' image: done: ' "${hosts[@]}" | tail -n 1)"
    for host in "${hosts[@]}"; do
        after=$((after + $(received "$host")))
        cpu=$(awk -v sum="$cpu" -v more="$(cpu_seconds "${daemon_pid[$host]}")" 'BEGIN { print sum + more }')
        stop_daemon "$host"
    done
    stop_daemon server
    record_machines "$side" "$cpu" $((after - before))
}
udpcast_side() {
    local host before=0 after=0 cpu began waiting=()
    blank_all
    for host in "${hosts[@]}"; do before=$((before + $(received "$host"))); done
    began=$EPOCHREALTIME
    for host in "${hosts[@]}"; do
        # shellcheck disable=SC2016
        on "$host" bash -c 'TIMEFORMAT="%U %S"; time (udp-receiver --nokbd --interface eth0 2>"$2.udp" | zstd -dc |
            partclone.ext4 -r -s - -o "$1" -L "$2.partclone" >/dev/null 2>&1 && sync "$1")' - "${target[$host]}" "$host" 2>"$host.time" &
        waiting+=($!)
    done
    # Faster than the link, packets are lost and sent again.
    # shellcheck disable=SC2016
    on server bash -c 'partclone.ext4 -c -s "$1" -o - -L server.partclone 2>/dev/null | zstd -1 -T0 -c |
        udp-sender --nokbd --interface eth0 --min-receivers "$2" --max-bitrate "$3k" >server.udp 2>&1' - \
        "$source" "$count" $((rate * 950))
    wait "${waiting[@]}"
    record "seconds to downloaded" udpcast "$(since "$began")"
    for host in "${hosts[@]}"; do after=$((after + $(received "$host"))); done
    cpu=$(cat "${hosts[@]/%/.time}" | awk '{ sum += $1 + $2 } END { print sum }')
    record_machines udpcast "$cpu" $((after - before))
}
# Every machine has a clean file system with the files of the source.
check_machines() {
    local host
    for host in "${hosts[@]}"; do
        e2fsck -f -n "${target[$host]}" >fsck.out 2>&1 || fail "$1: $host: $(<fsck.out)"
        mount_at tree "$source" -o ro
        mount_at copy "${target[$host]}" -o ro
        diff -r tree copy >differences || fail "$1: $host: $(head -n 3 differences)"
        unmount copy
        unmount tree
    done
}
for ((round = 0; round < rounds; round++)); do
    seedbed_side raw "$source"
    check_machines raw
    seedbed_side packed "$work/packed.sbi"
    check_machines packed
    udpcast_side
    check_machines udpcast
done
if [[ -n ${PLOT:-} ]]; then
    "${stats[@]}" ratios results >plot.data
    gnuplot -e "set terminal svg size 720,420 background 'white'; set output '$PLOT'; set style data histogram; set style fill solid 0.8;
        set key top left; set yrange [0:*]; set ylabel 'raw image = 1'; set grid y; set datafile missing '-'; set xtics rotate by -12;
        set title '$count machine(s), $rate Mbit/s'; plot for [side = 2:4] 'plot.data' using side:xtic(1) title columnheader"
fi
limit "seconds to verified" packed raw "<=" 0.45
limit "CPU seconds of a machine a GiB used" packed raw "<=" 1
limit "bytes that a machine receives, of those used" packed raw "<=" 0.40
limit "seconds to downloaded" packed udpcast "<=" 1
report "one server to $count machines, an ext4 file system of $mib MiB, links of $rate Mbit/s"
