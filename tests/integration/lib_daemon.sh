# shellcheck shell=bash
# Functions for the integration tests of the daemon. Not a test: source it right after `set -euo pipefail`.
#
# It makes a temporary folder, $work, and changes into it. When the script ends, for whatever reason, everything that these
# functions have set up (daemons, loop devices, mounts, nbd stacks) is taken down in reverse order, whatever else the script has
# started is killed, and the folder is removed.
# SEEDBED is the program. A test ends with `pass`, `fail REASON` or `skip REASON`.
#
#   skip REASON / fail REASON / pass       ends the test: exit status 77, 1 (after it prints the end of each *.log) or 0
#   need TOOL...                           skips the test unless all of these programs are installed
#   have_strace                            succeeds if strace works here; sets strace, a WRAPPER: "${strace[@]}" OPTION...
#   need_root, need_loop, need_nbdfuse     skips the test without root, without loop devices, without disks made by nbdkit
#   defer KEY COMMAND...                   runs COMMAND at the end; works in subshells, too
#   undo KEY                               runs the command deferred under KEY now
#
#   noise_file FILE MIB                    makes a file filled with 0xA5
#   attach_loop FILE [LOSETUP_OPTION...]   prints a loop device of FILE; detached at the end, or by detach_loop DEVICE
#   mount_at FOLDER MOUNT_ARGUMENT...      makes FOLDER and mounts; unmounted at the end, or by unmount FOLDER
#   start_nbd NAME NBDKIT_ARGUMENT...      prints a loop device on `nbdkit ARGUMENT...`; removed at the end, or by stop_nbd NAME
#   can_mount FS                           succeeds if the kernel supports the file system
#
#   make_file_system FS DEVICE [MIB]       makes ext4, xfs, btrfs, ntfs or vfat with some hundred small files, holes between
#                                          them, and three large random files, MIB (12) in total
#   flip FILE OFFSET                       changes one byte, durably
#   capture FS DEVICE NAME                 makes NAME.info (partclone's torrent.info) and NAME.torrent
#   capture_files DEVICE                   makes partclone's data files of its ext4, files/sda1/*, and image.info
#   compare_extents TORRENT_INFO A B       fails unless every extent is equal on both devices
#   gaps_are_noise TORRENT_INFO DEVICE     fails unless every byte outside the extents is 0xA5
#   extent TORRENT_INFO [N]                prints "OFFSET LENGTH" of extent N; -1 is the last one
#   image_bytes TORRENT_INFO               prints the sum of all lengths
#   equal_bytes TORRENT_INFO A B           prints the bytes of all pieces that are equal on both devices
#
#   free_port                              prints an unused TCP port, a different one each time
#   write_config FILE PORT [LINE...]       writes [network] on 127.0.0.1:PORT without local discovery, no tracker, the control
#                                          socket FILE.sock; then LINEs
#   add_image FILE NAME TORRENT DEVICE MODE [LINE...]    appends an [[image]]; LINEs such as 'verify = false'
#   start_daemon NAME CONFIG [WRAPPER...]  starts a daemon in the background, with its output in $work/NAME.log and its id in
#                                          ${daemon_pid[NAME]}, as an argument of WRAPPER (ip netns exec NS; strace -D ...)
#   start_status NAME CONFIG [WRAPPER...]  the same, with its STATUS and READY messages, one per line, in $work/NAME.status
#   wait_for_line FILE PATTERN [SECONDS]   waits, at most 60 s, until a line of FILE matches the extended regular expression;
#                                          prints the line; status 1 at the timeout or if the daemon of that log has ended
#   expect_line FILE PATTERN [SECONDS]     the same, but prints nothing and fails the test instead
#   never_line FILE PATTERN                fails if FILE has such a line
#   stop_daemon NAME [SECONDS]             sends SIGTERM, waits at most 60 s; fails unless the exit status is 0; sets
#                                          stop_milliseconds
#   kill_daemon NAME                       sends SIGKILL, and waits
#   await_exit NAME SECONDS                waits for a daemon that was signalled; sets exit_status and stop_milliseconds

# Scripts run concurrently. Each has its own ports and its own mounts, which its child processes share: `ip netns exec` copies all
# mounts, and would otherwise keep file systems in use that another script has mounted.
if ((EUID == 0)) && [[ -z ${SEEDBED_OWN_NAMESPACES:-} ]] && command -v ip >/dev/null &&
    unshare --mount --net --propagation shared true 2>/dev/null; then
    export SEEDBED_OWN_NAMESPACES=1
    exec unshare --mount --net --propagation shared bash -c 'ip link set lo up && exec bash "$@"' bash "$0" "$@"
fi

here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
seedbed=$(readlink -f "${SEEDBED:?path of the seedbed program}")
export PATH=$PATH:/usr/sbin:/sbin
unset NOTIFY_SOCKET WATCHDOG_USEC WATCHDOG_PID
export MTOOLS_SKIP_CHECK=1
work=$(mktemp -d "${TMPDIR:-/tmp}/seedbed-$(basename "$0" .sh)-XXXXXX")
export STATE_DIRECTORY=$work/state # for the daemons' checkpoints
deferred=$work/.deferred
: >"$deferred"
declare -A daemon_pid=()
exit_status=0
stop_milliseconds=0

# What runs in the background after the test would keep its output open, and ctest waits for its end.
descendants() {
    local child
    for child in $(pgrep -P "$1"); do
        echo "$child"
        descendants "$child"
    done
}
cleanup() {
    local line left
    trap '' HUP INT TERM # a second signal must not interrupt the clean-up
    cd /
    while line=$(tail -n 1 "$deferred") && [[ -n $line ]]; do
        sed -i '$d' "$deferred"
        eval "${line#*$'\t'}" >/dev/null 2>&1 || true
    done
    left=$(descendants $$) || true
    # shellcheck disable=SC2086 # a list
    kill -KILL $left 2>/dev/null || true
    # They may still be creating files. A zombie is not, and not each of them is a child of this process.
    # shellcheck disable=SC2016 # the other shell expands it
    timeout 60 bash -c 'while ps -o stat= -p "$1" | grep -qv "^Z"; do sleep 0.1; done' - "${left//$'\n'/,}" 2>/dev/null || true
    rm -rf --one-file-system "$work"
}
# In this process only: a signal to a child that has not yet dropped its parent's traps would run them.
trap '((BASHPID != $$)) || cleanup' EXIT
set -E
trap 'echo "FAIL: ${BASH_SOURCE[0]##*/}:$LINENO: status $?: $BASH_COMMAND" >&2' ERR
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
cd "$work" || exit 1

skip() {
    echo "SKIP: $1"
    exit 77
}
pass() {
    echo "PASS"
    exit 0
}
fail() {
    local log
    for log in "$work"/*.log; do
        [[ -s $log ]] && tail -v -n 25 "$log" >&2
    done
    echo "FAIL: $1" >&2
    exit 1
}

need() {
    local tool
    for tool in "$@"; do
        command -v "$tool" >/dev/null || skip "$tool is not installed"
    done
}
# has PROGRAM...: whether all are installed. `command -v` with several names succeeds if one of them is.
has() {
    local tool
    for tool in "$@"; do
        command -v "$tool" >/dev/null || return 1
    done
}
need_root() {
    ((EUID == 0)) || skip "not root"
}
need_loop() {
    local device
    need_root
    need losetup
    truncate -s 1M probe-loop.img
    device=$(losetup -f --show probe-loop.img 2>/dev/null) || skip "no loop device can be set up here"
    losetup -d "$device"
    rm probe-loop.img
}
# Sets strace: a wrapper for start_daemon, to be followed by options. With -D, the daemon stays our child. Turns off the
# sanitizers' search for leaks, which fails in a traced process.
have_strace() {
    # shellcheck disable=SC2034 # for the caller
    strace=(env ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0" strace -D -f)
    command -v strace >/dev/null && strace -o probe-strace true 2>/dev/null
}
need_nbdfuse() {
    need nbdkit nbdfuse fusermount3
    [[ -c /dev/fuse ]] || skip "no /dev/fuse"
}

# --- clean-up commands: one line "KEY <tab> command" each, run in reverse order

defer() {
    local key=$1
    shift
    printf '%s\t%s\n' "$key" "${*@Q}" >>"$deferred"
}
undo() {
    local key=$1 line
    line=$(awk -F '\t' -v key="$key" '$1 == key' "$deferred" | tail -n 1)
    [[ -n $line ]] || return 0
    awk -F '\t' -v key="$key" '$1 != key' "$deferred" >"$deferred.new"
    mv "$deferred.new" "$deferred"
    eval "${line#*$'\t'}"
}

# --- devices

noise_file() {
    head -c "$2M" /dev/zero | LC_ALL=C tr '\0' '\245' >"$1"
}
attach_loop() {
    local file=$1 device
    shift
    device=$(losetup -f --show "$@" "$file") || fail "losetup $* $file"
    defer "$device" remove_loop "$device" "$(backing_file "$device")"
    echo "$device"
}
detach_loop() {
    undo "$1"
}
backing_file() {
    cat "/sys/block/${1#/dev/}/loop/backing_file" 2>/dev/null
}
# While another program, such as udev, looks at the device, losetup only marks it: the last one that closes it detaches it. Until then
# the file is in use. Another script may attach the device to a file of its own at once.
remove_loop() {
    local device=$1 file=$2 i
    losetup -d "$device" || return
    for ((i = 0; i < 300; i++)); do
        [[ $(backing_file "$device") == "$file" ]] || return 0
        sleep 0.02
    done
}
mount_at() {
    local folder=$work/$1
    shift
    mkdir -p "$folder"
    mount "$@" "$folder"
    defer "$folder" umount "$folder"
}
unmount() {
    undo "$work/$1"
}
can_mount() {
    grep -qw "$1" /proc/filesystems || modprobe -q "$1" 2>/dev/null
}

# With direct I/O: otherwise the loop device would read data from the page cache that the disk has discarded.
start_nbd() {
    local name=$1 folder=$work/nbd-$1 pid
    shift
    mkdir -p "$folder"
    rm -f "$folder.pid"
    mkfifo "$folder.pid" # its end is reached when nbdfuse is ready
    { nbdfuse -P "$folder.pid" "$folder/disk" [ nbdkit --exit-with-parent "$@" ] || : <>"$folder.pid"; } \
        </dev/null >"$folder.out" 2>&1 &
    pid=$!
    defer "nbd-$name" stop_nbdfuse "$folder" "$pid"
    timeout 60 cat "$folder.pid" >/dev/null || true
    [[ -e $folder/disk ]] || {
        cat "$folder.out" >&2
        fail "nbdfuse $* does not start"
    }
    attach_loop "$folder/disk" --direct-io=on
}
stop_nbdfuse() {
    local loop i
    for loop in $(losetup -nO NAME -j "$1/disk"); do
        undo "$loop"
    done
    # What has the loop device open, such as udev after a write, delays its removal.
    for ((i = 0; i < 600; i++)); do
        [[ -n $(losetup -nO NAME -j "$1/disk") ]] || break
        sleep 0.1
    done
    fusermount3 -u "$1"
    # nbdfuse ends with nbdkit, which has the backing file open, or is killed.
    timeout 10 tail --pid="$2" -s 0.1 -f /dev/null || pkill -KILL -P "$2"
}
stop_nbd() {
    undo "nbd-$1"
}

# --- images

# fill_folder FOLDER MIB: makes the files of make_file_system.
fill_folder() {
    local folder=$1 mib=$2
    mkdir -p "$folder/tree" "$folder/small"
    find /usr/share/doc /usr/include -xdev -type f -size -48k -print0 >"$work/some" 2>/dev/null || true
    head -z -n 300 "$work/some" | xargs -0 cp --no-preserve=all --backup=numbered -t "$folder/tree"
    head -c 2000000 /dev/urandom | split -b 3001 -a 3 - "$folder/small/f"
    head -c "$((mib << 19))" /dev/urandom >"$folder/large"
    head -c "$((mib * 350001))" /dev/urandom >"$folder/odd"
    sync -f "$folder" # so that deleted files have occupied space on the disk
    find "$folder/small" -name 'f??[acegikmoqsuwy]' -delete
    head -c "$((mib * 174001))" /dev/urandom >"$folder/last"
}

make_file_system() {
    local fs=$1 device=$2 mib=${3:-12}
    case $fs in
    ext4) mkfs.ext4 -q -F -b 1024 -N 4096 "$device" ;;
    xfs) mkfs.xfs -q -f "$device" ;;
    btrfs) mkfs.btrfs -q -f "$device" ;;
    ntfs) mkntfs -q -F -f "$device" ;;
    vfat) mkfs.vfat -F 32 -s 1 "$device" ;;
    *) fail "make_file_system: $fs" ;;
    esac >mkfs.out 2>&1 || fail "mkfs of $fs on $device: $(<mkfs.out)"
    if [[ $fs == vfat ]] && ! can_mount vfat; then
        local name
        mkdir -p content
        fill_folder "$work/content" "$mib"
        # Make the holes by deleting files: mcopy fills the disk from its beginning.
        for name in 1 2; do head -c 1500000 /dev/urandom | split -b 2999 -a 3 - "content/gap$name"; done
        {
            mcopy -Q -s -i "$device" content/* ::/ &&
                mdel -i "$device" '::/gap1??[acegikmoqsuwy]' '::/gap2??[acegikmoqsuwy]'
        } >mtools.out 2>&1 || fail "mtools on $device: $(<mtools.out)"
        rm -r content
    else
        case $fs in
        ntfs)
            mkdir -p filling
            ntfs-3g "$device" filling || fail "ntfs-3g $device"
            defer "$work/filling" umount "$work/filling"
            ;;
        *) mount_at filling -t "$fs" "$device" ;;
        esac
        fill_folder "$work/filling" "$mib"
        sync -f filling
        unmount filling
    fi
    blockdev --flushbufs "$device" 2>/dev/null || sync "$device"
}

flip() {
    /usr/bin/python3 -c 'import os, sys
with open(sys.argv[1], "r+b", buffering=0) as file:
    file.seek(int(sys.argv[2]))
    byte = file.read(1)
    file.seek(int(sys.argv[2]))
    file.write(bytes([byte[0] ^ 1]))
    os.fsync(file.fileno())' "$1" "$2"
}

capture() {
    local fs=$1 device=$2 name=$3
    mkdir -p "captured-$name"
    # Its log goes elsewhere: partclone empties its output folder.
    "partclone.$fs" -c -t -f 0 -s "$device" -O "captured-$name" --buffer_size 16777216 -L "captured-$name.log" \
        >"captured-$name.out" 2>&1 || {
        tail -n 20 "captured-$name.out" "captured-$name.log" >&2
        fail "partclone.$fs could not capture $device"
    }
    mv "captured-$name/torrent.info" "$name.info"
    "$seedbed" create --partclone "$name.info" --name "$name" -o "$name.torrent" --force >"captured-$name/created" ||
        fail "seedbed create of $name"
}
capture_files() {
    mkdir -p files/sda1
    partclone.ext4 -c -T -f 0 -s "$1" -O files/sda1 --buffer_size 16777216 -L partclone.log >partclone.out 2>&1 ||
        fail "partclone.ext4 -T could not capture $1"
    mv files/sda1/torrent.info image.info
}
compare_extents() {
    /usr/bin/python3 "$here/lib_extents.py" equal "$@" || fail "$2 and $3 are not equal in every extent of $1"
}
gaps_are_noise() {
    /usr/bin/python3 "$here/lib_extents.py" noise "$@" || fail "$2 was written outside the extents of $1"
}
extent() {
    /usr/bin/python3 "$here/lib_extents.py" one "$@"
}
image_bytes() {
    /usr/bin/python3 "$here/lib_extents.py" total "$1"
}
equal_bytes() {
    /usr/bin/python3 "$here/lib_extents.py" pieces "$@"
}

# --- daemons

# Below the kernel's ports for outgoing connections.
free_port() {
    local port
    while port=$((20000 + RANDOM % 12000)); do
        if ! grep -qx "$port" "$work/.ports" 2>/dev/null && [[ -z $(ss -Hltn "sport = :$port") ]]; then
            echo "$port" | tee -a "$work/.ports"
            return
        fi
    done
}

write_config() {
    local file=$1 port=$2
    shift 2
    printf '%s\n' '[control]' "socket = \"$(basename "$file").sock\"" '[tracker]' 'enabled = false' '[network]' "listen = \"127.0.0.1:$port\"" \
        'local_discovery = false' "$@" >"$file"
}
add_image() {
    local file=$1 name=$2 torrent=$3 device=$4 mode=$5
    shift 5
    printf '%s\n' '[[image]]' "name = \"$name\"" "torrent = \"$torrent\"" "device = \"$device\"" "mode = \"$mode\"" "$@" \
        >>"$file"
}

start_daemon() {
    local name=$1 config=$2
    shift 2
    : >"$work/$name.log"
    "$@" "$seedbed" daemon --config "$config" </dev/null >>"$work/$name.log" 2>&1 &
    daemon_pid[$name]=$!
    defer "daemon-$name" end_process "$!"
}

start_status() {
    local name=$1 config=$2
    shift 2
    rm -f "$name.notify"
    : >"$name.status"
    /usr/bin/python3 "$here/lib_notify.py" "$work/$name.notify" </dev/null >"$name.status" 2>&1 &
    defer "status-$name" end_process "$!" TERM
    expect_line "$name.status" '^bound'
    start_daemon "$name" "$config" "$@" env NOTIFY_SOCKET="$work/$name.notify"
}

# The process may have ended, and its id may belong to another one: kill only our own children.
end_process() {
    if [[ " $(jobs -p | tr '\n' ' ') " == *" $1 "* ]]; then
        kill -"${2:-KILL}" "$1"
        wait "$1"
    fi
}

wait_for_line() {
    local file=$1 pattern=$2 seconds=${3:-60} name lines reader status=0
    local options=()
    name=$(basename "$file" .log)
    [[ -z ${daemon_pid[$name]:-} ]] || options=(--pid="${daemon_pid[$name]}")
    exec {lines}< <(exec timeout "$seconds" tail -n +1 -F "${options[@]}" -- "$file" 2>/dev/null)
    reader=$!
    grep -m 1 -E -e "$pattern" <&"$lines" || status=1
    exec {lines}<&-
    kill "$reader" 2>/dev/null || true
    return $status
}
expect_line() {
    wait_for_line "$@" >/dev/null || fail "$(basename "$1") does not contain: $2"
}
never_line() {
    ! grep -E -e "$2" "$1" >&2 || fail "$(basename "$1") contains: $2"
}

await_exit() {
    local name=$1 seconds=$2 pid=${daemon_pid[$1]} watcher began=${EPOCHREALTIME/[.,]/} ended
    # No subshell with traps: a signal that arrives before it has set them would run its parent's traps.
    perl -e 'sleep shift; kill "KILL", shift' "$seconds" "$pid" >/dev/null 2>&1 &
    watcher=$!
    exit_status=0
    { wait "$pid"; } 2>/dev/null || exit_status=$? # suppresses bash's message about a SIGKILL
    ended=${EPOCHREALTIME/[.,]/}
    # shellcheck disable=SC2034 # for the caller
    stop_milliseconds=$(((ended - began) / 1000))
    kill -KILL "$watcher" 2>/dev/null || true
    wait "$watcher" 2>/dev/null || true
    unset "daemon_pid[$name]"
    undo "daemon-$name" || true
    undo "status-$name" 2>/dev/null || true
}
stop_daemon() {
    local name=$1 seconds=${2:-60}
    kill -TERM "${daemon_pid[$name]}" || fail "the daemon $name has ended by itself"
    await_exit "$name" "$seconds"
    ((exit_status != 137)) || fail "the daemon $name did not stop within $seconds s"
    ((exit_status == 0)) || fail "the daemon $name ended with exit status $exit_status"
}
kill_daemon() {
    kill -KILL "${daemon_pid[$1]}" || fail "the daemon $1 has ended by itself"
    await_exit "$1" 30
}
