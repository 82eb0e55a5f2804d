#!/bin/bash
# A long-running seeder: until the time is up, rounds of machines deploy an image from it, each from nothing to verified; some are
# killed half-way. Compares their devices each time; the seeder's memory and descriptors must not grow.
# Usage: soak.sh PROGRAM [MINUTES [CLIENTS]]; 60 minutes with 10 clients by default. Run as root, since images are on loop devices.
set -euo pipefail
export SEEDBED=${1:?the seedbed program}
minutes=${2:-60}
clients=${3:-10}
# shellcheck source=integration/lib_daemon.sh
. "$(dirname "$(readlink -f "$0")")/integration/lib_daemon.sh"

need_loop
need partclone.ext4 mkfs.ext4 ss
can_mount ext4 || skip "the kernel does not support ext4"

size=96
truncate -s ${size}M source.img
source=$(attach_loop source.img)
make_file_system ext4 "$source" 64
capture ext4 "$source" sda1
seed_port=$(free_port)
write_config seed.toml "$seed_port" '[memory]' 'pool = "32 MiB"'
add_image seed.toml sda1 sda1.torrent "$source" seed
start_daemon seed seed.toml
expect_line seed.log ' ready$'

for ((i = 0; i < clients; i++)); do
    noise_file "target$i.img" $size
    target[i]=$(attach_loop "target$i.img")
    write_config "deploy$i.toml" "$(free_port)" '[memory]' 'pool = "16 MiB"'
    add_image "deploy$i.toml" sda1 sda1.torrent "${target[i]}" deploy "peers = [\"127.0.0.1:$seed_port\"]"
done

resident() {
    awk '/^VmRSS/ { print int($2 / 1024) }' "/proc/${daemon_pid[seed]}/status"
}
descriptors() {
    find "/proc/${daemon_pid[seed]}/fd" -mindepth 1 | wc -l
}
warm_resident=0
warm_descriptors=0
end=$((SECONDS + minutes * 60))
for ((round = 1; SECONDS < end || round <= 3; round++)); do
    for ((i = 0; i < clients; i++)); do
        dd if=/dev/zero of="${target[i]}" bs=1M count=$size conv=fsync status=none
        start_daemon "deploy$i" "deploy$i.toml"
    done
    # One machine is killed half-way and restarted.
    expect_line deploy0.log ' sda1: downloading$' 120
    kill_daemon deploy0
    start_daemon deploy0 deploy0.toml
    for ((i = 0; i < clients; i++)); do
        expect_line "deploy$i.log" ' sda1: done: ' 600
        never_line "deploy$i.log" ' error |came damaged'
    done
    for ((i = 0; i < clients; i++)); do
        stop_daemon "deploy$i" 30
        compare_extents sda1.info "$source" "${target[i]}"
    done
    echo "round $round, $SECONDS s: $clients deployed, the seeder has $(resident) MiB and $(descriptors) descriptors"
    if ((round == 2)); then
        warm_resident=$(resident)
        warm_descriptors=$(descriptors)
    fi
done
never_line seed.log ' (error|warning) '
(($(resident) <= warm_resident + 16)) || fail "the seeder grew from $warm_resident to $(resident) MiB"
(($(descriptors) <= warm_descriptors + 2)) || fail "the seeder's descriptors grew from $warm_descriptors to $(descriptors)"
stop_daemon seed
pass
