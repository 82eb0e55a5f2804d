#!/bin/bash
# With each part of the storage engine switched off, and with all of them off, a deployment from one block device to another is
# correct, and the log names the running engine. SEEDBED is the program.
# Labels: once
set -euo pipefail
# shellcheck source=lib_daemon.sh
. "$(dirname "$0")/lib_daemon.sh"

need_loop
need partclone.ext4 mkfs.ext4 ss
can_mount ext4 || skip "the kernel does not support ext4"

size=64
truncate -s ${size}M source.img
source=$(attach_loop source.img)
make_file_system ext4 "$source" 40
capture ext4 "$source" sda1
noise_file target.img $size
target=$(attach_loop target.img)
seed_port=$(free_port)
deploy_port=$(free_port)

# profiles LINE: prints a profile with this line for every class.
profiles() {
    local class
    for class in hdd sata_ssd nvme; do printf '%s\n' "[profile.$class]" "$1"; done
}
wrapper=() # starts the deploying daemon
# with NAME ENGINE LINE...: deploys with these lines in both configurations; both logs must name ENGINE.
with() {
    local name=$1 engine=$2
    shift 2
    noise_file fresh.img $size
    dd if=fresh.img of="$target" bs=1M conv=fsync status=none
    write_config seed.toml "$seed_port" "$@"
    add_image seed.toml sda1 sda1.torrent "$source" seed
    write_config deploy.toml "$deploy_port" "$@"
    add_image deploy.toml sda1 sda1.torrent "$target" deploy "peers = [\"127.0.0.1:$seed_port\"]"
    start_daemon "seed-$name" seed.toml
    start_daemon "deploy-$name" deploy.toml "${wrapper[@]}"
    expect_line "deploy-$name.log" ' sda1: done: ' 60
    never_line "deploy-$name.log" ' (error|warning) |failed its hash check' # a stop may warn that it takes long
    stop_daemon "deploy-$name"
    stop_daemon "seed-$name"
    expect_line "deploy-$name.log" "; $engine\$"
    ((${#wrapper[@]})) || expect_line "seed-$name.log" "; $engine\$"
    never_line "deploy-$name.log" ' error '
    compare_extents sda1.info "$source" "$target"
    gaps_are_noise sda1.info "$target"
    echo "$name: correct"
}

ring='io_uring, depth [0-9]+, direct I/O'
threads='[0-9]+ threads, direct I/O'
if ! /usr/bin/python3 -c '
import ctypes, sys
params = (ctypes.c_uint * 30)()
sys.exit(0 if ctypes.CDLL(None).syscall(425, 1, params) >= 0 else 1)'; then
    echo "SKIP io_uring: the kernel refuses it"
    ring=$threads
fi
mapfile -t no_coalescing < <(profiles 'coalesce = "16 KiB"')
mapfile -t no_read_ahead < <(profiles 'read_ahead = "16 KiB"')
mapfile -t no_direct < <(profiles 'direct_io = false')
mapfile -t no_ring < <(profiles 'io_engine = "threads"')
with everything "$ring"
with no-coalescing "$ring" "${no_coalescing[@]}"
with no-read-ahead "$ring" "${no_read_ahead[@]}"
with no-direct '[0-9]+ threads, page cache' "${no_direct[@]}"
with no-ring "$threads" "${no_ring[@]}"
with no-cache "$ring" '[memory]' 'cache = 0'
with no-hash-ahead "$ring" '[hashing]' 'ahead = false'
mapfile -t nothing < <(profiles $'coalesce = "16 KiB"\nread_ahead = "16 KiB"\ndirect_io = false\nio_engine = "threads"')
with nothing '[0-9]+ threads, page cache' '[memory]' 'cache = 0' '[hashing]' 'ahead = false' "${nothing[@]}"

# If the kernel refuses a feature, the daemon logs that and works without it.
if [[ $ring == "$threads" ]]; then
    echo "SKIP features that the kernel refuses: it refuses io_uring anyway"
else
    # The limit on locked memory: enough for a ring but not for the pool; not enough for a ring.
    wrapper=(setpriv --bounding-set=-ipc_lock prlimit --memlock=4194304:4194304)
    with no-locked-memory "$ring, memory not locked \(ENOMEM\)"
    wrapper=(setpriv --bounding-set=-ipc_lock prlimit --memlock=16384:16384)
    with no-memory-for-a-ring "$threads, io_uring unavailable \(ENOMEM\)"
    if have_strace; then
        wrapper=("${strace[@]}" -o trace -e trace=io_uring_setup -e inject=io_uring_setup:error=EPERM)
        with no-ring-given "$threads, io_uring unavailable \(EPERM\)"
    else
        echo "SKIP a kernel that refuses io_uring: strace cannot be used"
    fi
fi
pass
