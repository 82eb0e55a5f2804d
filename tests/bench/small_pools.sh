#!/bin/bash
# How much the targets' memory matters for a packed image: one server, and machines that keep the packed bytes of the whole image for each
# other, or of a tenth of it (a piece that a machine no longer keeps is packed again from its disk). The two cases take turns; only the
# key `packed` of [memory] differs. Seconds to downloaded and to verified, images that the server sent, CPU. The devices are files in RAM; all machines start at the same moment.
# Usage: small_pools.sh N RATE_MBIT MIB [ROUNDS]; MIB is the size of an ext4 file system, five eighths of which are files of Debian's
# packages. SEEDBED is the program; JSON a file for the results; PIECE the size of a piece (1 MiB); PART the part of the image that a
# machine with little memory keeps (10: a tenth).
set -euo pipefail
# shellcheck source=lib_bench.sh disable=SC2154
. "$(dirname "$(readlink -f "$0")")/lib_bench.sh"

count=${1:?number of machines}
rate=${2:?rate of every link in Mbit/s}
mib=${3:?size of the file system in MiB}
rounds=${4:-1}
part=${PART:-10}
need_hosts
need_loop
need mkfs.ext4

add_machine server "${rate}mbit"
hosts=()
for ((i = 0; i < count; i++)); do
    hosts+=("target$i")
    add_machine "target$i" "${rate}mbit"
done

truncate -s "${mib}M" source.img
source=$(attach_loop "$PWD/source.img")
mkfs.ext4 -q -F -b 4096 -i 8192 "$source"
mount_at tree "$source"
fill_with_packages tree $((mib * 5 / 8 << 20))
unmount tree
"$seedbed" create "$source" --pack --piece-size "${PIECE:-1 MiB}" --tracker "http://${address[server]}:6969/announce" \
    -o packed.sbi >/dev/null 2>&1
packed=$(stat -c %s packed.sbi)
# The link counts Ethernet frames: of 1514 bytes, 1448 are TCP's payload.
ideal=$(awk -v size="$packed" -v rate="$rate" 'BEGIN { printf "%.2f", size * 8 / rate / 1e6 * 1514 / 1448 }')
note "$((packed >> 20)) MiB packed; ideal $ideal s"

# run SIDE KEPT_BYTES
# shellcheck disable=SC2046 # $(on_host NAME) is several words
run() {
    local side=$1 kept=$2 host sent cpu=0 began
    rm -rf "${STATE_DIRECTORY:?}"
    host_config server.toml server 'local_discovery = false' '[tracker]' "listen = \"${address[server]}:6969\""
    add_image server.toml image "$work/packed.torrent" "$work/packed.sbi" seed
    start_daemon server server.toml $(on_host server)
    expect_line server.log ' ready$'
    for host in "${hosts[@]}"; do
        rm -f "$host.img"
        truncate -s "${mib}M" "$host.img"
        host_config "$host.toml" "$host" 'local_discovery = false' '[memory]' 'pool = "32 MiB"' "packed = \"$((kept >> 10)) KiB\""
        add_image "$host.toml" image "$work/packed.torrent" "$work/$host.img" deploy 'check = "none"' 'profile = "nvme"'
    done
    sent=$(on server cat /sys/class/net/eth0/statistics/tx_bytes)
    start_together "${hosts[@]}"
    for host in "${hosts[@]}"; do expect_line "$host.log" ' image: done: ' 900; done
    record "images that the server sent" "$side" \
        "$(awk -v sent="$(($(on server cat /sys/class/net/eth0/statistics/tx_bytes) - sent))" -v size="$packed" \
            'BEGIN { printf "%.3f", sent / size }')"
    record "seconds to downloaded" "$side" "$(line_seconds "$began" ' image: downloaded' "${hosts[@]}" | tail -n 1)"
    record "seconds to verified" "$side" "$(line_seconds "$began" ' image: done: ' "${hosts[@]}" | tail -n 1)"
    for host in server "${hosts[@]}"; do
        cpu=$(awk -v sum="$cpu" -v more="$(cpu_seconds "${daemon_pid[$host]}")" 'BEGIN { print sum + more }')
    done
    record "CPU seconds of all programs" "$side" "$cpu"
    for host in "${hosts[@]}"; do
        stop_daemon "$host"
        cmp -s "$host.img" target0.img || fail "$host differs from target0"
    done
    stop_daemon server
    e2fsck -f -n target0.img >fsck.out 2>&1 || fail "target0: $(<fsck.out)"
}
for ((round = 0; round < rounds; round++)); do
    run whole $((packed + (64 << 20)))
    run "1/$part" $((packed / part))
done
report "one server to $count machines, a packed ext4 file system of $mib MiB, links of $rate Mbit/s"
