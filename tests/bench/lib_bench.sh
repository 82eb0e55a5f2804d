# shellcheck shell=bash disable=SC2034,SC2154
# Functions for the benchmarks: devices that behave like slow ones, images, timed deployments, and the report. Not a benchmark: source
# it right after `set -euo pipefail`. It sources the libraries of the integration tests, which take everything down at the end.
# SEEDBED is the program; all files are in RAM, in a folder in /dev/shm. JSON, if set, is a file for the report as JSON.
#
#   start_nbd_parallel NAME NBDKIT_ARGUMENT...   sets $disk to a loop device on `nbdkit ARGUMENT...`, over 32 connections;
#                                                removed at the end, or by stop_stack NAME
#   start_head_disk NAME FILE [PARAMETER...]     the same: a disk with a head (rigs/head_disk.c) in FILE
#   start_latency_disk NAME FILE MICROSECONDS    the same: a disk whose writes wait (rigs/latency_disk.c) in FILE
#   head_disk_count NAME KEY                     prints one of its counters
#   bytes_read DEVICE                            prints the bytes read from a block device since its start, by its own counter
#
#   make_image NAME MIB [EXTENTS]                makes NAME.img, random, NAME.info and NAME.torrent
#   blank FILE                                   overwrites it with zeros
#   fill_with_packages FOLDER BYTES              copies files of Debian's packages, at most BYTES in total
#   copy_seconds FROM TO write|read              times dd, 1 MiB per request, past the page cache, in $image's extents
#
#   add_machine NAME [RATE]                      adds a host (lib_network.sh) whose link has this rate in both directions
#   start_seeder HOST DEVICE [LINE...]           starts a daemon, named HOST, that seeds $image, with LINEs in its configuration
#   start_target HOST DEVICE CLASS [LINE...]     starts one that deploys $image from the host "server" to a device of that class
#   start_together HOST...                       starts a daemon on each with HOST.toml, all at the same moment, $began
#   stop_target HOST FILE                        stops it; fails unless FILE contains the image
#   line_seconds BEGAN TEXT HOST...              prints the seconds from BEGAN to the first line with TEXT in each HOST.log, sorted
#   cpu_seconds PID                              prints the processor time that a process has used
#   log_seconds LOG FROM TO                      prints the seconds between the first lines that match FROM and TO
#
#   record MEASURE SIDE VALUE                    records the value of one run
#   limit MEASURE SIDE BASE OP NUMBER            requires the ratio of the medians, SIDE to BASE, to be OP (<=, >=) NUMBER
#   note TEXT                                    adds a line to the report
#   report TITLE                                 prints the report; writes $JSON
#   since START                                  prints the seconds since an EPOCHREALTIME

bench=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
[[ -z ${JSON:-} ]] || JSON=$(realpath "$JSON")
[[ -z ${SEEDBED_BASELINE:-} ]] || SEEDBED_BASELINE=$(readlink -f "$SEEDBED_BASELINE")
[[ -z ${SEEDBED_BENCH:-} ]] || SEEDBED_BENCH=$(readlink -f "$SEEDBED_BENCH")
TMPDIR=/dev/shm
# shellcheck source=../integration/lib_daemon.sh
. "$bench/../integration/lib_daemon.sh"
# shellcheck source=../integration/lib_network.sh
. "$bench/../integration/lib_network.sh"

stats=("/usr/bin/python3" "$bench/stats.py")
: >results

since() {
    "${stats[@]}" since "$1"
}

# --- devices

# nbdfuse holds a connection's lock while it waits for a reply: with few connections, requests wait for each other and overtake each
# other. Therefore there are many connections, and nbdkit is started separately: nbdfuse makes only one connection to an nbdkit
# that it starts itself.
start_nbd_parallel() {
    local name=$1 folder=$work/nbd-$1 pid
    shift
    mkdir -p "$folder"
    rm -f "$folder/socket"
    nbdkit -f -U "$folder/socket" "$@" </dev/null >"$folder.log" 2>&1 &
    pid=$!
    defer "nbdkit-$name" end_nbdkit "$pid"
    wait_for_path "$folder/socket" "$pid"
    nbdfuse -C 32 "$folder/disk" "nbd+unix:///?socket=$folder/socket" </dev/null >>"$folder.log" 2>&1 &
    pid=$!
    defer "nbd-$name" stop_nbdfuse "$folder" "$pid"
    wait_for_path "$folder/disk" "$pid"
    disk=$(attach_loop "$folder/disk" --direct-io=on)
}
stop_stack() {
    undo "nbd-$1"
    undo "nbdkit-$1"
}
end_nbdkit() {
    kill "$1"
    timeout 10 tail --pid="$1" -s 0.1 -f /dev/null || kill -KILL "$1"
}
wait_for_path() {
    local i
    for ((i = 0; i < 200; i++)); do
        [[ ! -e $1 ]] || return 0
        kill -0 "$2" 2>/dev/null || break
        sleep 0.1
    done
    fail "$1 does not appear"
}

need_head_disk() {
    need cc pkg-config
    need_nbdfuse
    pkg-config --exists nbdkit || skip "nbdkit's header is not installed (nbdkit-plugin-dev)"
    cc -std=gnu11 -O2 -Wall -Wextra -shared -fPIC "$bench/rigs/head_disk.c" -o "$work/head_disk.so" -lm -lpthread
}
start_head_disk() {
    local name=$1 file=$2
    shift 2
    start_nbd_parallel "$name" "$work/head_disk.so" file="$file" stats="$work/$name.stats" "$@"
}
start_latency_disk() {
    local name=$1 file=$2 wait=$3 folder=$work/nbd-$1 pid flags
    need cc pkg-config
    pkg-config --exists fuse3 || skip "FUSE's header is not installed (libfuse3-dev)"
    read -ra flags <<<"$(pkg-config --cflags --libs fuse3)"
    cc -std=gnu11 -O2 -Wall -Wextra "$bench/rigs/latency_disk.c" -o latency_disk "${flags[@]}"
    mkdir -p "$folder"
    ./latency_disk "$file" "$wait" "$folder" </dev/null >"$folder.log" 2>&1 &
    pid=$!
    defer "nbd-$name" stop_nbdfuse "$folder" "$pid"
    wait_for_path "$folder/disk" "$pid"
    disk=$(attach_loop "$folder/disk" --direct-io=on)
}
head_disk_count() {
    sed -n "s/.*\"$2\": *\([0-9]*\).*/\1/p" "$work/$1.stats"
}
bytes_read() {
    local fields
    read -ra fields <"/sys/block/${1#/dev/}/stat"
    echo $((fields[2] * 512))
}

# --- images

make_image() {
    local name=$1 mib=$2 extents=${3:-1}
    head -c "${mib}M" /dev/urandom >"$name.img"
    /usr/bin/python3 "$bench/make_info.py" "$name.img" "$extents" >"$name.info"
    "$seedbed" create --partclone "$name.info" --name "$name" -o "$name.torrent" >/dev/null
    image=$name
    image_size=$(image_bytes "$name.info")
}
# Files of Debian's packages, each as likely as any other: whole folders would be all programs, or all text.
fill_with_packages() {
    /usr/bin/python3 - "$2" "$1" <<'PY'
import glob, os, random, shutil, sys
room, tree, block = int(sys.argv[1]), sys.argv[2], 4096
names = set()
for path in glob.glob("/var/lib/dpkg/info/*.list"):
    with open(path, encoding="utf-8") as file:
        names.update(line.rstrip("\n") for line in file if line.startswith(("/usr/bin/", "/usr/lib/x86_64", "/usr/share/")))
files = sorted(name for name in names if os.path.isfile(name) and not os.path.islink(name))
random.Random(1).shuffle(files)
for name in files:
    room -= (os.path.getsize(name) // block + 1) * block
    if room < 0:
        break
    os.makedirs(os.path.dirname(tree + name), exist_ok=True)
    shutil.copyfile(name, tree + name)
PY
}
blank() {
    dd if=/dev/zero of="$1" bs=1M count=$(($(stat -c %s "$1") >> 20)) conv=notrunc status=none
}
copy_seconds() {
    local from=$1 to=$2 direction=$3 count number start=$EPOCHREALTIME place
    count=$(grep -c '^offset: ' "$image.info")
    for ((number = 0; number < count; number++)); do
        read -ra place <<<"$(extent "$image.info" "$number")"
        if [[ $direction == write ]]; then
            dd if="$from" iflag=skip_bytes,count_bytes skip="${place[0]}" count="${place[1]}" bs=1M of="$to" \
                oflag=direct,seek_bytes seek="${place[0]}" conv=notrunc,fsync status=none
        else
            dd if="$from" iflag=direct,skip_bytes,count_bytes skip="${place[0]}" count="${place[1]}" bs=1M \
                of="$to" status=none
        fi
    done
    since "$start"
}

# --- deployments

add_machine() {
    local name=$1 rate=${2:-}
    local shape=(tbf rate "$rate" burst 256k latency 50ms)
    [[ -n $rate ]] || shape=()
    add_host "$name" "${shape[@]}"
    [[ -z $rate ]] || tc -n "$net-switch" qdisc add dev "port${#address[@]}" root "${shape[@]}"
}
# shellcheck disable=SC2046 # $(on_host NAME) is several words
start_seeder() {
    local host=$1 device=$2
    shift 2
    host_config "$host.toml" "$host" 'local_discovery = false' "$@"
    add_image "$host.toml" "$image" "$image.torrent" "$device" seed "verify = \"${seed_verify:-lazy}\""
    start_daemon "$host" "$host.toml" $(on_host "$host")
    expect_line "$host.log" " $image: seeding"
}
# shellcheck disable=SC2046
start_target() {
    local host=$1 device=$2 class=$3
    shift 3
    rm -rf "${STATE_DIRECTORY:?}" # devices are blanked without the kernel's knowledge, so their checkpoints are wrong
    host_config "$host.toml" "$host" 'local_discovery = false' "$@"
    add_image "$host.toml" "$image" "$image.torrent" "$device" deploy 'verify = false' "profile = \"$class\"" \
        "peers = [\"${address[server]}:6881\"]"
    start_daemon "$host" "$host.toml" $(on_host "$host")
}
# Each process waits, stopped, until all have been created.
# shellcheck disable=SC2046
start_together() {
    local host
    for host in "$@"; do
        # shellcheck disable=SC2016
        start_daemon "$host" "$host.toml" $(on_host "$host") sh -c 'kill -STOP $$ && exec "$@"' sh
    done
    for host in "$@"; do
        until [[ $(</proc/"${daemon_pid[$host]}"/stat) == *') T '* ]]; do sleep 0.01; done
    done
    began=$EPOCHREALTIME
    for host in "$@"; do kill -CONT "${daemon_pid[$host]}"; done
}
stop_target() {
    never_line "$1.log" ' (warning|error) '
    stop_daemon "$1"
    compare_extents "$image.info" "$image.img" "$2"
}
line_seconds() {
    "${stats[@]}" lines "$1" "$2" "${@:3}"
}
cpu_seconds() {
    local fields
    read -ra fields <"/proc/$1/stat"
    awk -v ticks="$((fields[13] + fields[14]))" -v hertz="$(getconf CLK_TCK)" 'BEGIN { printf "%.2f", ticks / hertz }'
}
log_seconds() {
    "${stats[@]}" between "$@"
}

# --- the report

record() {
    printf 'run\t%s\t%s\t%s\n' "$@" >>"$work/results"
    echo "    $1, $2: $3" >&2
}
limit() {
    printf 'limit\t%s\t%s\t%s\t%s\t%s\n' "$@" >>"$work/results"
}
note() {
    printf 'note\t%s\n' "$1" >>"$work/results"
}
report() {
    note "ran on $(nproc) CPUs ($(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1)), Linux $(uname -r), load $(cut -d ' ' -f 1-3 /proc/loadavg) at the end"
    "${stats[@]}" report "$work/results" "$1" ${JSON:+"$JSON"} || exit 1
}
