#!/bin/bash
# The service manager's watchdog: the daemon feeds it twice per timeout while it works, stops while a device hangs, which is logged
# once, and resumes with the device. /healthz and the status agree. The device is a loop device on nbdkit, which is stopped for a
# while. SEEDBED is the program.
# Labels: alone once
set -euo pipefail
# shellcheck source=lib_daemon.sh
. "$(dirname "$0")/lib_daemon.sh"

need_loop
need_nbdfuse
need partclone.ext4 mkfs.ext4 python3 ss curl jq promtool

truncate -s 32M source
source=$(attach_loop source)
make_file_system ext4 "$source" 8
capture ext4 "$source" sda1
truncate -s 32M target
target=$(start_nbd target -P "$work/nbdkit.pid" file target)
nbdkit=$(<nbdkit.pid)

metrics=$(free_port)
write_config daemon.toml "$(free_port)" '[metrics]' "listen = \"127.0.0.1:$metrics\""
add_image daemon.toml sda1 sda1.torrent "$target" deploy
/usr/bin/python3 "$here/lib_notify.py" "$work/notify" >notify.log &
defer notify end_process "$!"
expect_line notify.log '^bound$'

# fed: prints how often the watchdog was fed so far.
fed() {
    grep -c ' WATCHDOG=1$' notify.log || true
}
# seen: returns when notify.log has everything that was sent so far.
marks=0
seen() {
    marks=$((marks + 1))
    /usr/bin/python3 -c 'import socket, sys
socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(sys.argv[2].encode(), sys.argv[1])' "$work/notify" "MARK=$marks"
    expect_line notify.log " MARK=$marks\$"
}
# await_fed NUMBER SECONDS: waits until the watchdog was fed NUMBER times; fails after SECONDS.
await_fed() {
    for ((i = 0; i < $2 * 10; i++)); do
        (($(fed) < $1)) || return 0
        sleep 0.1
    done
    return 1
}

# health CODE PATTERN: fails unless /healthz returns CODE and PATTERN, over TCP and on the socket.
health() {
    local from code
    for from in "http://127.0.0.1:$metrics" "--unix-socket $work/daemon.toml.sock http://localhost"; do
        # shellcheck disable=SC2086 # an option and a URL
        code=$(curl -sS --max-time 10 -o body -w '%{http_code}' $from/healthz)
        [[ $code == "$1" ]] || fail "/healthz says $code instead of $1: $(<body)"
        grep -qxE -e "$2" body || fail "/healthz does not return '$2': $(<body)"
    done
}

# The device hangs from the start: the daemon reads it first, and no cache holds its data.
kill -STOP "$nbdkit"
# shellcheck disable=SC2016 # the inner shell's
start_daemon daemon daemon.toml env NOTIFY_SOCKET="$work/notify" WATCHDOG_USEC=2000000 \
    sh -c 'WATCHDOG_PID=$$ exec "$@"' sh
defer nbdkit kill -CONT "$nbdkit" # undone first: everything that waits for nbdkit can end only then
expect_line daemon.log ' ready$'
expect_line daemon.log " error sda1: no operation on $target has completed for 2 s; the watchdog is not fed\$"
expect_line daemon.log " warning sda1: $target hangs: no operation has completed since [0-9:]{8} \\([0-9.]+s\\); waiting\$"
hang="sda1: no operation on $target has completed for 2 s"
health 503 "$hang"
curl -sS --max-time 10 "http://127.0.0.1:$metrics/metrics" >metrics.txt
grep -qx 'seedbed_healthy 0' metrics.txt || fail "the metrics report a healthy daemon: $(<metrics.txt)"
promtool check metrics <metrics.txt >promtool.txt 2>&1 || fail "promtool: $(<promtool.txt)"
curl -sS --max-time 10 --unix-socket "$work/daemon.toml.sock" http://localhost/status >status.json
jq -e --arg hang "$hang" '.complaint == $hang' status.json >/dev/null || fail "the status does not report the hang: $(<status.json)"
"$seedbed" status --socket "$work/daemon.toml.sock" >shown
grep -qxF "hangs: $hang" shown || fail "seedbed status does not show the hang: $(<shown)"
seen
before=$(fed)
((before > 0)) || fail "the watchdog was not fed before the device had hung for the whole timeout"
! await_fed $((before + 1)) 4 || fail "the watchdog is fed while the device hangs"
kill -0 "${daemon_pid[daemon]}" || fail "the daemon has ended"
undo nbdkit
await_fed $((before + 1)) 60 || fail "the watchdog is not fed again although the device has resumed"
expect_line daemon.log ' sda1: checked '
health 200 ok

# At work and idle: every second, so that a late one does no harm. Of three times, a busy machine may lengthen one.
await_fed $((before + 5)) 60 || fail "the watchdog is not fed"
awk '/ WATCHDOG=1$/ { at[++n] = $1 } END { for (i = n - 3; i < n; i++) short += at[i + 1] - at[i] < 1500000; exit short < 2 }' notify.log ||
    fail "the watchdog is not fed every second: $(tail -n 4 notify.log)"
[[ $(grep -c 'the watchdog is not fed' daemon.log) -eq 1 ]] || fail "one hang was reported more than once"
expect_line daemon.log " info  sda1: $target answers again after "
[[ $(grep -c ' hangs: ' daemon.log) -eq 1 ]] || fail "one hang has more than one line"
stop_daemon daemon
expect_line notify.log ' STOPPING=1'

# The daemon feeds only its own watchdog: WATCHDOG_PID is another process.
before=$(fed)
start_daemon daemon daemon.toml env NOTIFY_SOCKET="$work/notify" WATCHDOG_USEC=200000 WATCHDOG_PID=1
expect_line daemon.log ' sda1: checked '
! await_fed $((before + 1)) 1 || fail "the watchdog of another process is fed"
stop_daemon daemon
pass
