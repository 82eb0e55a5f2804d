#!/bin/bash
# SIGHUP during a deployment: unchanged images are not touched, nor are their TCP connections; the rest is closed, opened, changed
# or refused as the new configuration demands, and the service manager is notified. SEEDBED is the program.
# shellcheck disable=SC2046 # $(on_host NAME) is several words
# Labels: alone
set -euo pipefail
# shellcheck source=lib_daemon.sh
. "$(dirname "$0")/lib_daemon.sh"
# shellcheck source=lib_network.sh
. "$here/lib_network.sh"

need_loop
need_hosts
need partclone.ext4 mkfs.ext4 python3

# --- two contents, served as several images by a host with a slow link and a host with a fast one

add_host slow tbf rate 1mbit burst 32k latency 100ms
add_host fast
add_host target
for content in first second; do
    truncate -s 64M "$content"
    loop=$(attach_loop "$content")
    make_file_system ext4 "$loop" 24
    capture ext4 "$loop" "$content"
done
host_config slow.toml slow 'local_discovery = false'
host_config fast.toml fast 'local_discovery = false'
# With threads, /proc counts the bytes read from the devices; without read-ahead, they equal the requested bytes.
printf '[profile.%s]\nio_engine = "threads"\nread_ahead = "16 KiB"\n' hdd sata_ssd nvme >>fast.toml
# image NAME CONTENT HOST [TORRENT]: makes the torrent; HOST seeds it from its own device.
image() {
    local name=$1 content=$2 host=$3 torrent=${4:-$1.torrent}
    "$seedbed" create --partclone "$content.info" --name "$name" -o "$torrent" >"created-$name"
    add_image "$host.toml" "$name" "$torrent" "$(attach_loop "$content" -r)" seed
}
image steady first slow
image moved first fast
image added first fast
image replaced second fast replacement.torrent
image late first fast
image removed first fast
for host in slow fast; do
    start_daemon "$host" "$host.toml" $(on_host "$host")
    expect_line "$host.log" ' ready$'
done

declare -A disk=()
for name in steady moved moved-again moved-back moved-last added late removed; do
    noise_file "disk.$name" 64
    disk[$name]=$(attach_loop "disk.$name")
done

slow_peer="peers = [\"${address[slow]}:6881\"]"
both_peers="peers = [\"${address[slow]}:6881\", \"${address[fast]}:6881\"]"
fast_peer="peers = [\"${address[fast]}:6881\"]"

# config LEVEL POOL THREADS [HASH_THREADS]: writes everything but the images. Threads, not io_uring: they can be counted and do not
# pin the pool.
config() {
    host_config target.toml.new target 'local_discovery = false' '[log]' "level = \"$1\"" '[memory]' "pool = \"$2 MiB\"" \
        '[hashing]' "threads = ${4:-2}"
    printf '[profile.%s]\nthreads = '"$3"'\nio_engine = "threads"\n' hdd sata_ssd nvme >>target.toml.new
}
# images DISK: prints the target's images from the first reload on, with "moved" on DISK.
images() {
    add_image target.toml.new steady steady.torrent "${disk[steady]}" deploy "$both_peers"
    add_image target.toml.new moved moved.torrent "${disk[$1]}" deploy "$fast_peer"
    add_image target.toml.new added added.torrent "${disk[added]}" deploy "$fast_peer"
    add_image target.toml.new late late.torrent "$work/late-disk" deploy "$fast_peer"
}
use_config() {
    mv target.toml.new target.toml
}

# --- observations

# reload: sends SIGHUP; returns when the service manager was notified that the reload has ended.
reloads=0
reload() {
    kill -HUP "${daemon_pid[target]}"
    reloads=$((reloads + 1))
    for ((i = 0; i < 600; i++)); do
        if awk -v reloads="$reloads" '/ RELOADING=1/ { n++; ready = 0 } / READY=1/ { ready = 1 }
            END { exit !(n == reloads && ready) }' notify.log; then
            return
        fi
        sleep 0.1
    done
    fail "reload $reloads has not ended within 60 s"
}
# connection: prints the steady image's connection as "LOCAL PEER"; it stays the same until one side disconnects.
connection() {
    on target ss -Htnp state established "dst ${address[slow]}:6881" |
        awk -v pid="pid=${daemon_pid[target]}," 'index($0, pid) { print $3, $4 }'
}
unbroken() {
    local now
    now=$(connection)
    [[ $now == "$steady_connection" ]] || fail "$1: the connection was '$steady_connection' and is now '$now'"
}
# threads NAME HOST: prints how many threads of this name the daemon of HOST has.
threads() {
    cat "/proc/${daemon_pid[$2]}/task/"*/comm | grep -cx "$1" || true
}
# expect_disk_threads NUMBER: waits until the target has so many; those of a closed image end by themselves.
expect_disk_threads() {
    local i
    for ((i = 0; i < 600; i++)); do
        [[ $(threads disk target) -ne $1 ]] || return 0
        sleep 0.1
    done
    fail "$(threads disk target) disk threads instead of $1"
}
# pool_mib: prints the resident memory of the target's pool. Its reservation is at least as large as the machine's memory, within a
# MiB; a much larger reservation belongs to a sanitizer.
pool_mib() {
    awk '/^MemTotal:/ { machine = $2 } /^Size:/ { size = $2 }
        /^Rss:/ && size + 1024 >= machine && (!found || size < found) { found = size; rss = $2 } END { print int(rss / 1024) }' \
        /proc/meminfo "/proc/${daemon_pid[target]}/smaps"
}
# fast_has_read: prints the bytes that the fast host's daemon has read, almost all of them from its devices.
fast_has_read() {
    awk '$1 == "rchar:" { print $2 }' "/proc/${daemon_pid[fast]}/io"
}
# is_free DEVICE: succeeds if no program has DEVICE open exclusively.
is_free() {
    /usr/bin/python3 -c 'import os, sys; os.open(sys.argv[1], os.O_RDWR | os.O_EXCL)' "$1" 2>/dev/null
}
# log_lines: prints the number of lines of target.log. since NUMBER: prints the lines after that many.
log_lines() {
    wc -l <target.log
}
since() {
    tail -n "+$(($1 + 1))" target.log
}

# --- start: one image downloads steadily, two have no peers, one has no device

config info 64 3
add_image target.toml.new steady steady.torrent "${disk[steady]}" deploy "$slow_peer"
add_image target.toml.new removed removed.torrent "${disk[removed]}" deploy
add_image target.toml.new moved moved.torrent "${disk[moved]}" deploy
add_image target.toml.new late late.torrent "$work/late-disk" deploy "$fast_peer"
use_config
start_process notify /usr/bin/python3 "$here/lib_notify.py" "$work/notify"
expect_line notify.log '^bound$'
start_daemon target target.toml env NOTIFY_SOCKET="$work/notify" $(on_host target)
expect_line target.log ' late: failed: .*/late-disk: .*No such file'
expect_line target.log ' ready$'
expect_line notify.log '^[0-9]+ READY=1\|STATUS='
expect_line target.log ' steady: downloading$'
for ((i = 0; i < 600; i++)); do
    steady_connection=$(connection)
    [[ -z $steady_connection ]] || break
    sleep 0.1
done
[[ $(wc -w <<<"$steady_connection") -eq 2 ]] || fail "expected one connection to the slow host: '$steady_connection'"
expect_disk_threads 9 # three open images with three each
for name in steady removed moved; do
    ! is_free "${disk[$name]}" || fail "$name: another program can open its device exclusively"
done
expect_line notify.log 'STATUS=.*steady: downloading [0-9]+%'
never_line target.log ' debug '

# --- one image removed, one added, one moved, a failed one retried, one with other peers; level, threads and pool

config debug 128 5
images moved-again
use_config
asked=$(/usr/bin/python3 -c 'import time; print(time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000)')
reload
unbroken "a reload"
expect_line target.log ' reload: 3 images closed, 3 opened, 1 changed in use$'
never_line target.log 'restart needed to change'
expect_line target.log ' removed: closed$'
expect_line target.log ' moved: closed$'
for name in removed moved; do
    is_free "${disk[$name]}" || fail "$name: its device was not closed"
done
expect_disk_threads 15 # three open images with five each
expect_line target.log ' added: done: '
expect_line target.log ' moved: done: '
compare_extents first.info first "${disk[added]}"
compare_extents first.info first "${disk[moved-again]}"
expect_line target.log ' debug '
unbroken "images added and moved"

# RELOADING=1 carries the time of the manager's clock; READY=1 follows it.
/usr/bin/python3 - notify.log "$asked" <<'CHECK' || fail "notify.log does not report the reload as systemd requires"
import re, sys
times = [re.match(r"(\d+) RELOADING=1\|MONOTONIC_USEC=(\d+)$", line) for line in open(sys.argv[1])]
times = [(int(match[1]), int(match[2])) for match in times if match]
sys.exit(not times or any(not int(sys.argv[2]) <= said <= seen for seen, said in times))
CHECK

# --- memory and hash threads of the writing daemon change immediately

pool_before=$(pool_mib)
((pool_before >= 40)) || fail "the pool has $pool_before MiB after two images of $(image_bytes first.info) bytes"
[[ $(threads hash target) -eq 2 ]] || fail "$(threads hash target) hash threads instead of 2"
before=$(log_lines)
config debug 16 5 4
images moved-again
use_config
reload
unbroken "another pool, another number of hash threads"
since "$before" | grep ' reload: 1 image closed, 1 opened, 0 changed in use$' >/dev/null || fail "an image other than late changed: $(since "$before")"
[[ $(threads hash target) -eq 4 ]] || fail "$(threads hash target) hash threads instead of 4"
for ((i = 0; i < 600; i++)); do
    (($(pool_mib) > 20)) || break
    sleep 0.1
done
((i < 600)) || fail "a pool of 16 MiB has $(pool_mib) MiB; before, it had $pool_before"

# --- memory and hash threads of the serving daemon: it does not read cached data again; without a cache, it must

# fetched_again DISK: moves the image to DISK; sets fast_read, the bytes that the fast host has read for it.
fetched_again() {
    local i
    fast_read=$(fast_has_read)
    before=$(log_lines)
    config debug 128 5 1
    images "$1"
    use_config
    reload
    for ((i = 0; i < 600; i++)); do
        ! since "$before" | grep ' moved: done: ' >/dev/null || break
        sleep 0.1
    done
    ((i < 600)) || fail "the image is not done within 60 s on $1"
    compare_extents first.info first "${disk[$1]}"
    unbroken "an image moved to $1"
    fast_read=$(($(fast_has_read) - fast_read))
}
bytes=$(image_bytes first.info)
fetched_again moved-back
((fast_read < bytes / 4)) || fail "the fast host has read $fast_read bytes of an image that it has cached"
[[ $(threads hash target) -eq 1 ]] || fail "$(threads hash target) hash threads instead of 1"
printf '%s\n' '[memory]' 'pool = "64 MiB"' 'cache = 0' '[hashing]' 'threads = 5' >fast.toml.new
cat fast.toml >>fast.toml.new
mv fast.toml.new fast.toml
kill -HUP "${daemon_pid[fast]}"
expect_line fast.log ' reload: 0 images closed, 0 opened, 0 changed in use$'
never_line fast.log 'restart needed to change'
[[ $(threads hash fast) -eq 5 ]] || fail "$(threads hash fast) hash threads instead of 5"
fetched_again moved-last
((fast_read > bytes / 2)) || fail "without a cache the fast host has read $fast_read bytes for an image of $bytes"

# --- keys that need a restart: each reload names those that differ, in one line, and does not change them

cp target.toml good.toml
sed -e 's/^pool = .*/&\ncache_shards = 8\nhuge_pages = false/' -e 's/^\[hashing\]$/&\nahead = false/' \
    -e 's/^\[profile\.hdd\]$/&\ndirect_io = false/' \
    -e '/^\[profile\.nvme\]$/,/^io_engine/s/^io_engine = .*/io_engine = "auto"/' good.toml >target.toml.new
use_config
keys='memory.cache_shards, memory.huge_pages, hashing.ahead, profile.hdd.direct_io, profile.nvme.io_engine'
for time in first second; do
    before=$(log_lines)
    reload
    [[ $(since "$before" | grep -c 'restart needed to change') -eq 1 ]] || fail "expected one warning the $time time"
    since "$before" | grep " warning reload: restart needed to change: $keys\$" >/dev/null ||
        fail "the $time time, the keys are not named: $(since "$before" | grep restart)"
    since "$before" | grep ' reload: 1 image closed, 1 opened, 0 changed in use$' >/dev/null || fail "an image other than late changed"
    unbroken "what needs a restart"
done
cp good.toml target.toml
before=$(log_lines)
reload
! since "$before" | grep 'restart needed to change' || fail "keys that no longer differ are named"
expect_disk_threads 15 # unchanged

# --- an invalid configuration changes nothing

cp target.toml good.toml
before=$(log_lines)
# refused FILE LINE KEY REASON: expects a reload to be refused with this line.
refused() {
    local file=$1 line=$2 key=$3 reason=$4
    reload
    since "$before" | grep -Eq "error $file:$line: $key: $reason" ||
        fail "no line $file:$line: $key: $reason: $(since "$before")"
    since "$before" | grep ' reload: nothing was changed$' >/dev/null || fail "the log does not say that nothing was changed"
    ! since "$before" | grep ' reload: [0-9]' >/dev/null || fail "a bad file was used"
    before=$(log_lines)
    unbroken "a bad file"
}
config error 64 7
add_image target.toml.new steady steady.torrent "${disk[steady]}" deploy
echo '[profile.nvem]' >>target.toml.new
use_config
refused target.toml "$(wc -l <target.toml)" 'profile\.nvem' '.'
sed -e 's/level = "debug"/level = "loud"/' good.toml >target.toml
refused target.toml "$(grep -n loud target.toml | cut -d : -f 1)" 'log\.level' '.'
cp good.toml target.toml
mkdir images.d
add_image images.d/twice.toml added added.torrent "${disk[removed]}" deploy
refused images.d/twice.toml 2 'image.*name' '.'
rm -r images.d
mv target.toml away.toml
reload
since "$before" | grep ' reload: nothing was changed$' >/dev/null || fail "a missing file was used"
mv away.toml target.toml
expect_disk_threads 15 # unchanged

# --- the configuration is unchanged, but the files that it names have changed

before=$(log_lines)
reload
since "$before" | grep ' reload: 1 image closed, 1 opened, 0 changed in use$' >/dev/null || fail "late was not tried again"
since "$before" | grep ' late: failed: .*No such file' >/dev/null || fail "late did not fail again"
ln -s "${disk[late]}" late-disk
mv replacement.torrent added.torrent
before=$(log_lines)
reload
since "$before" | grep ' reload: 2 images closed, 2 opened, 0 changed in use$' >/dev/null ||
    fail "images other than late and added changed: $(since "$before" | grep 'reload:')"
! since "$before" | grep -E ' (moved|steady): (closed|deploy to)' || fail "an unchanged image was closed"
expect_line target.log ' late: done: '
for ((i = 0; i < 600; i++)); do
    ! since "$before" | grep ' added: done: ' >/dev/null || break
    sleep 0.1
done
((i < 600)) || fail "the image of the new torrent is not done within 60 s"
compare_extents first.info first "${disk[late]}"
compare_extents second.info second "${disk[added]}"
unbroken "a new torrent, a device that has come"

# --- two signals at once: the configuration at the second signal counts

sed 's/level = "debug"/level = "trace"/' good.toml >target.toml.new
use_config
kill -HUP "${daemon_pid[target]}"
cp good.toml target.toml.new
add_image target.toml.new removed removed.torrent "${disk[removed]}" deploy "$fast_peer"
use_config # atomically: half a file may be a valid configuration with fewer images
kill -HUP "${daemon_pid[target]}"
expect_line target.log ' removed: done: '
compare_extents first.info first "${disk[removed]}"
unbroken "two signals at once"

# --- the steady image completes after its link is no longer slow

never_line target.log ' steady: (closed|done|downloaded)'
never_line target.log "peer ${address[slow]}:6881 disconnected"
tc -n "$net-slow" qdisc delete dev eth0 root
expect_line target.log ' steady: done: ' 60
compare_extents first.info first "${disk[steady]}"
never_line target.log 'failed its hash check'
[[ $(grep -c ' steady: deploy to' target.log) -eq 1 ]] || fail "steady was opened more than once"

# --- a stop during a reload

sed -i '/^name = "moved"/,/^mode/s/"moved/"moved-on/' target.toml
kill -HUP "${daemon_pid[target]}"
stop_daemon target
expect_line notify.log ' STOPPING=1'
[[ -z $(sed -n '/ STOPPING=1/,$s/.*READY=1.*/&/p' notify.log) ]] || fail "READY=1 after STOPPING=1"
pass
