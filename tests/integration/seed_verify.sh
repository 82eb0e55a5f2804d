#!/bin/bash
# Served data matches the torrent: verify = "lazy", "full" and "none" on good and damaged sources, and sources that change while
# they are served. Upload limits hold, and a reload changes them without losing a peer. SEEDBED is the program.
# Labels: once alone
set -euo pipefail
# shellcheck source=lib_daemon.sh
. "$(dirname "$0")/lib_daemon.sh"

need_loop
need partclone.ext4 mkfs.ext4 ss
can_mount ext4 || skip "the kernel does not support ext4"

size=112
piece=$((16 << 20))
truncate -s ${size}M source.img
source=$(attach_loop source.img)
make_file_system ext4 "$source" 60
capture ext4 "$source" sda1
damaged=3
place=$(/usr/bin/python3 "$here/lib_extents.py" place sda1.info $((damaged * piece + 4711)))
cp --sparse=always source.img damaged.img
printf '\x5a\xa5\x5a\xa5' | dd of=damaged.img oflag=seek_bytes conv=notrunc seek="$place" status=none
target_port=$(free_port)
server_port=$(free_port)

# server FILE [LINE...]: writes a seeder's configuration with these lines in its image and ${network[@]} in [network].
usual=('[log]' 'level = "debug"' '[memory]' 'pool = "32 MiB"') # small, since each start fills the pool
network=()
server() {
    local file=$1
    shift
    write_config seed.toml "$server_port" "${network[@]}" "${usual[@]}"
    add_image seed.toml sda1 sda1.torrent "$file" seed "$@"
}
new_target() {
    rm -f target.img
    truncate -s ${size}M target.img
    write_config deploy.toml "$target_port" "${usual[@]}"
    add_image deploy.toml sda1 sda1.torrent "$work/target.img" deploy 'verify = false' 'check = "none"' \
        "peers = [\"127.0.0.1:$server_port\"]"
}

# --- lazy: the daemon finds the damage before it serves the piece

server "$work/damaged.img"
start_daemon lazy seed.toml
expect_line lazy.log ' ready$'
new_target
start_daemon fed_lazily deploy.toml
expect_line lazy.log ' error sda1: failed: .*/damaged.img: does not match the torrent; seeding stopped'
stop_daemon lazy
stop_daemon fed_lazily
never_line fed_lazily.log 'failed its hash check|done:'

# --- full: the daemon finds the damage before it serves anything

server "$work/damaged.img" 'verify = "full"'
start_daemon full seed.toml
expect_line full.log " error sda1: failed: .*/damaged.img: does not match the torrent: 1 of [0-9]+ pieces differ, the first one at offset [0-9]+"
stop_daemon full
never_line full.log ' sda1: seeding'
server "$source" 'verify = "full"'
start_daemon whole seed.toml
expect_line whole.log ' sda1: verified '
expect_line whole.log ' sda1: seeding'
new_target
start_daemon fed_from_whole deploy.toml
expect_line fed_from_whole.log ' sda1: done: '
stop_daemon fed_from_whole
stop_daemon whole
compare_extents sda1.info source.img target.img

# --- none: only the downloading clients find the damage

server "$work/damaged.img" 'verify = "none"'
start_daemon unlooked seed.toml
expect_line unlooked.log ' sda1: seeding'
new_target
start_daemon fed_damage deploy.toml
expect_line fed_damage.log " warning sda1: piece $damaged failed its hash check"
stop_daemon fed_damage
stop_daemon unlooked
never_line unlooked.log ' (warning|error) '
never_line fed_damage.log 'done:'

# --- limits hold; a reload changes and removes them, and the peer stays connected

network=('upload_limit = "512 KiB"' 'connections = 50' 'upload_slots = 2')
server "$source"
start_daemon limited seed.toml
expect_line limited.log ' ready$'
new_target
start_daemon fed_slowly deploy.toml
# rate SECONDS: prints the kB/s that arrive on the peer's connection. Over several seconds: a busy machine delays some bytes.
rate() {
    local from=() to=()
    from=("$(received)" "${EPOCHREALTIME/[.,]/}")
    sleep "$1"
    to=("$(received)" "${EPOCHREALTIME/[.,]/}")
    echo $(((to[0] - from[0]) * 1000 / (to[1] - from[1])))
}
received() {
    ss -Htnpi state established "dport = :$server_port" |
        awk -v pid="pid=${daemon_pid[fed_slowly]}," 'index($0, pid) { mine = 1; next }
            mine && match($0, /bytes_received:[0-9]+/) { bytes = substr($0, RSTART + 15, RLENGTH - 15) } { mine = 0 }
            END { print bytes + 0 }'
}
for ((i = 0; i < 600; i++)); do
    (($(received) < 1000000)) || break
    sleep 0.1
done
slow=$(rate 6)
((slow >= 250 && slow <= 800)) || fail "$slow kB/s with a limit of 512 KiB/s"
peer() {
    ss -Htnp state established "dport = :$server_port" | awk -v pid="pid=${daemon_pid[fed_slowly]}," 'index($0, pid) { print $3, $4 }'
}
before=$(peer)
[[ $(wc -w <<<"$before") -eq 2 ]] || fail "expected one connection: '$before'"
network=('slow_start = true')
server "$source" 'upload_limit = "2 MiB"'
kill -HUP "${daemon_pid[limited]}"
expect_line limited.log ' reload: 0 images closed, 0 opened, 1 changed in use$'
for ((i = 0; i < 5; i++)); do # the rate rises to the new limit
    faster=$(rate 1)
    ((faster < 1500)) || break
done
# The limiter accumulates the bytes that were not sent while the rate rose, and sends them in one burst: measure after that.
faster=$(rate 6)
((faster >= 1300 && faster <= 2900)) || fail "$faster kB/s with a limit of 2 MiB/s"
[[ $(peer) == "$before" ]] || fail "the connection was '$before' and is now '$(peer)'"
network=()
server "$source"
kill -HUP "${daemon_pid[limited]}"
expect_line fed_slowly.log ' sda1: done: '
stop_daemon fed_slowly
stop_daemon limited
[[ $(grep -c 'peer .* connected' limited.log) -eq 1 ]] || fail "the peer was connected more than once"
compare_extents sda1.info source.img target.img

# --- sources that change while no peer requests them

cp --sparse=always source.img gone.img
cp --sparse=always source.img touched.img
cp --sparse=always source.img shorter.img
cp --sparse=always source.img steady.img
write_config seed.toml "$server_port"
for name in touched gone shorter steady written; do
    "$seedbed" create --partclone sda1.info --name "$name" -o "$name.torrent" >"created-$name"
    file=$work/$name.img
    [[ $name != written ]] || file=$source
    add_image seed.toml "$name" "$name.torrent" "$file" seed
done
start_daemon changing seed.toml
expect_line changing.log ' ready$'
touch touched.img
rm gone.img
truncate -s +1 shorter.img
printf '\xa5' | dd of="$source" conv=notrunc,fsync status=none
expect_line changing.log ' error touched: failed: .*/touched.img: the source has changed; seeding stopped'
expect_line changing.log ' error gone: failed: the source is gone: .*/gone.img: No such file'
expect_line changing.log ' error shorter: failed: .*: the source has changed: its size was'
expect_line changing.log ' error written: failed: .*: another program writes to the source; seeding stopped'
never_line changing.log ' steady: failed'
stop_daemon changing
pass
