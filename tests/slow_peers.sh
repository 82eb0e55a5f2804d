#!/bin/bash
# The memory of a seeder whose peers request much and receive slowly, while a fast machine deploys from it: at most the pool, 64 MiB,
# and a fixed amount per peer. Prints the peak.
# Usage: slow_peers.sh PROGRAM [PEERS [POOL_MIB [SECONDS]]]; 300 peers, a pool of 64 MiB and 40 seconds by default. Run as root.
set -euo pipefail
export SEEDBED=${1:?the seedbed program}
peers=${2:-300}
pool=${3:-64}
seconds=${4:-40}
a_peer=128 # KiB: waiting requests, and libtorrent's own memory
tests=$(dirname "$(readlink -f "$0")")
# shellcheck source=integration/lib_daemon.sh
. "$tests/integration/lib_daemon.sh"

need_loop
need partclone.ext4 mkfs.ext4 ss python3
can_mount ext4 || skip "the kernel does not support ext4"
ulimit -n 8192

size=$((pool * 16))
truncate -s ${size}M source.img
source=$(attach_loop source.img --direct-io=on)
make_file_system ext4 "$source" $((size / 2))
capture ext4 "$source" sda1 >capture.out 2>&1
seed_port=$(free_port)
write_config seed.toml "$seed_port" '[memory]' "pool = \"$pool MiB\""
add_image seed.toml sda1 sda1.torrent "$source" seed
start_daemon seed seed.toml
expect_line seed.log ' ready$'
peak() {
    awk '/^VmHWM/ { print int($2 / 1024) }' "/proc/${daemon_pid[seed]}/status"
}
echo "the seeder has $(peak) MiB at the start, of a pool of $pool MiB"

info_hash=$("$seedbed" create --partclone sda1.info --name sda1 -o again.torrent --json |
    sed -n 's/.*"info_hash": *"\([0-9a-f]*\)".*/\1/p')
[[ -n $info_hash ]] || fail "create prints no info-hash"
blocks=$((16 * 1024 / 16)) # per piece: partclone's pieces have 16 MiB
pieces=$((($(image_bytes sda1.info) + 16 * 1024 * 1024 - 1) / (16 * 1024 * 1024)))
/usr/bin/python3 "$tests/slow_peers.py" "$seed_port" "$info_hash" "$pieces" "$blocks" "$peers" 20000 >slow.txt 2>slow.err &
defer slow end_process "$!"
expect_line slow.txt '^unchoked$' 60 || fail "the peers are not served: $(<slow.err)"
sleep "$((seconds / 2))" # the peers fill their buffers; there is no event to await
echo "with $peers slow peers its peak is $(peak) MiB; they have $(tail -n 1 slow.txt)"

noise_file target.img "$size"
target=$(attach_loop target.img)
write_config deploy.toml "$(free_port)" '[memory]' 'pool = "64 MiB"'
add_image deploy.toml sda1 sda1.torrent "$target" deploy "peers = [\"127.0.0.1:$seed_port\"]"
start_daemon deploy deploy.toml
if wait_for_line deploy.log ' sda1: done: ' 300; then
    compare_extents sda1.info "$source" "$target"
    grep -E ' sda1: downloaded ' deploy.log
else
    echo "the fast machine does not complete: $(tail -n 1 deploy.log)"
fi
sleep "$((seconds / 2))"
never_line seed.log ' (error|warning) '
[[ ! -s slow.err ]] || fail "the slow peers: $(tail -n 1 slow.err)"
most=$((pool + 64 + peers * a_peer / 1024))
echo "the peak was $(peak) MiB; the limit is $most"
(($(peak) <= most)) || fail "the seeder used $(peak) MiB"
stop_daemon seed 30
pass
