#!/usr/bin/env bash
# The service under a real systemd: boots Debian 12 in a container, with the files of `cmake --install`. Not a ctest test, since the
# first run downloads about 90 MB of packages (kept in SEEDBED_CACHE, ~/.cache/seedbed by default).
#
# Usage: tests/systemd_boot.sh [SECONDS]     the time limit without the download, 300 by default
#
# Needs root, loop devices, debootstrap and systemd-container. SEEDBED is the program in its build folder, by default
# build/dev/seedbed. Exit status: 0 passed, 77 skipped, anything else failed.
set -euo pipefail
limit=${1:-300}
tests=$(dirname "$(readlink -f "$0")")
SEEDBED=${SEEDBED:-$tests/../build/dev/seedbed}
# shellcheck source-path=SCRIPTDIR source=lib_booted.sh
. "$tests/lib_booted.sh"
debian_tree systemd,systemd-sysv,dbus,procps,iproute2,libtorrent-rasterbar2.0,libtomlplusplus3,libspdlog1.10,libboost-program-options1.74.0,liburing2,libzstd1,libxxhash0,libsqlite3-0
# shellcheck source-path=SCRIPTDIR source=integration/lib_daemon.sh
. "$tests/integration/lib_daemon.sh"

need_loop
need partclone.ext4 mkfs.ext4 jq
need_container
perl -e 'my ($seconds, $script) = @ARGV; sleep $seconds; print STDERR "FAIL: not done within $seconds s\n"; kill "TERM", $script' \
    "$limit" $$ &
defer watcher end_process "$!"

# --- images: the service seeds sda1 and deploys sda2; a second daemon does the opposite

truncate -s 64M source
source=$(attach_loop source)
make_file_system ext4 "$source" 16
capture ext4 "$source" sda1
"$seedbed" create --partclone sda1.info --name sda2 -o sda2.torrent >created
source_again=$(attach_loop source -r)
noise_file target1 64
noise_file target2 64
target1=$(attach_loop target1)
target2=$(attach_loop target2)

# --- the container: the tree below a layer that is removed at the end, and its own cgroups

make_root
DESTDIR=$work/root cmake --install "$(dirname "$seedbed")" >install.log 2>&1 || fail "cmake --install"
unit=$(cd root && find usr etc -name seedbed.service)
[[ -n $unit ]] || fail "no unit was installed"
mkdir -p root/srv
cp sda1.torrent sda2.torrent root/srv
cp sda2.torrent root/srv/broken.torrent

boot_root
await_boot "$limit"
# root:disk 0660, as udev would make them. The machine's own nodes do not change.
node() {
    inside mknod -m 660 "/dev/$1" b $((16#$(stat -c %t "$2"))) $((16#$(stat -c %T "$2")))
    inside chgrp disk "/dev/$1"
}
node source "$source"
node source-again "$source_again"
node target1 "$target1"
node target2 "$target2"

# await PROPERTY VALUE SECONDS: waits until the service's property has VALUE; fails after SECONDS.
await() {
    for ((i = 0; i < $3 * 5; i++)); do
        [[ $(show_unit "$1") != "$2" ]] || return 0
        sleep 0.2
    done
    return 1
}
# journal FILTER: prints the service's journal entries, as JSON, for which FILTER is true.
journal() {
    inside journalctl --sync
    inside journalctl -u "${2:-seedbed}" -o json --no-pager >journal.json
    jq -c "select($1)" journal.json
}
await_journal() {
    for ((i = 0; i < $2 * 5; i++)); do
        [[ -z $(journal "$1" "${3:-seedbed}") ]] || return 0
        sleep 0.2
    done
    inside journalctl -u "${3:-seedbed}" --no-pager >"journal.log" || true
    fail "no journal entry within $2 s for which $1"
}
config=root/etc/seedbed/seedbed.toml

# --- a daemon that cannot start

printf '[network]\nlisten = "192.0.2.1:6881"\n' >"$config"
! inside systemctl start seedbed >start.log 2>&1 || fail "active without an address to listen on"
inside systemctl stop seedbed
echo 'nonsense = 1' >"$config"
! inside systemctl start seedbed >start.log 2>&1 || fail "active with a bad configuration"
sleep 6 # more than RestartSec
[[ $(show_unit ActiveState) == failed ]] || fail "after a bad configuration, it is $(show_unit ActiveState): was it restarted?"
inside systemctl reset-failed seedbed

# --- start and status

write_config "$config" 6881
sed -i '/^\[control\]$/,/^socket = /d' "$config" # use the default socket
add_image "$config" sda1 /srv/sda1.torrent /dev/source seed
add_image "$config" broken /srv/broken.torrent /dev/missing deploy
# drop_in LINE...: adds lines to the [Service] section.
drop_in() {
    mkdir -p root/etc/systemd/system/seedbed.service.d
    printf '%s\n' '[Service]' "$@" >root/etc/systemd/system/seedbed.service.d/test.conf
    inside systemctl daemon-reload
}
program=$(sed -n 's/^ExecStart=\([^ ]*\).*/\1/p' "root/$unit")
drop_in ExecStart= "ExecStart=/bin/sh -c 'sleep 1; exec $program daemon --config /etc/seedbed/seedbed.toml'"
inside systemctl start seedbed || fail "the service does not start"
[[ $(show_unit ActiveState) == active ]] || fail "started, but $(show_unit ActiveState)"
took=$(($(show_unit ActiveEnterTimestampMonotonic) - $(show_unit ExecMainStartTimestampMonotonic)))
((took >= 1000000)) || fail "active $took us after its start, a second before it was ready"
rm root/etc/systemd/system/seedbed.service.d/test.conf
inside systemctl daemon-reload
inside systemctl status seedbed >status.log || true
grep -q 'Status: ".*sda1: seeding' status.log || fail "systemctl status shows no status"
[[ $(inside stat -c %U "/proc/$(show_unit MainPID)") == seedbed ]] || fail "it does not run as the user seedbed"
[[ -n $(journal '.SEEDBED_IMAGE == "sda1" and .PRIORITY == "6" and .SYSLOG_IDENTIFIER == "seedbed"') ]] ||
    fail "no entry of sda1 with its fields: $(tail -n 3 journal.json)"
[[ -n $(journal '.SEEDBED_IMAGE == "broken" and .PRIORITY == "3"') ]] || fail "an error has another priority in the journal"
plain=$(journal "._TRANSPORT == \"stdout\" and ._PID == \"$(show_unit MainPID)\"")
[[ -z $plain ]] || fail "lines on standard error instead of entries: $plain"
[[ $(inside stat -c '%U %G %a' /run/seedbed/seedbed.sock) == 'seedbed seedbed 660' ]] ||
    fail "the control socket is $(inside stat -c '%U %G %a' /run/seedbed/seedbed.sock)"
told=0
inside "$program" status >status.txt || told=$?
((told == 3)) || fail "an image has failed, but seedbed status ends with $told: $(<status.txt)"
grep -qE '^sda1 +seeding ' status.txt || fail "seedbed status does not show sda1: $(<status.txt)"
grep -q '^broken: failed: ' status.txt || fail "seedbed status does not show the failed image: $(<status.txt)"
echo "start, status and journal: correct"

# --- a reload of a broken file fails, with the reason in the journal, and the daemon keeps its configuration

cp "$config" good.toml
echo '[nonsense]' >>"$config"
! inside systemctl reload seedbed || fail "the reload of a broken file succeeds"
await_journal '.MESSAGE | test("seedbed.toml:[0-9]+: nonsense")' 10
[[ $(show_unit ActiveState) == active ]] || fail "after a refused reload, it is $(show_unit ActiveState)"
[[ -z $(journal '.MESSAGE | test("^reloading ")') ]] || fail "the daemon was told to reload a broken file"
cp good.toml "$config"

# --- the service cannot write to disks; with the drop-in, it deploys

sed -i '/^name = "broken"/,$d' "$config"
sed -i '$d' "$config" # its [[image]]
add_image "$config" sda2 /srv/sda2.torrent /dev/target2 deploy 'peers = ["127.0.0.1:6882"]'
inside systemctl reload seedbed || fail "systemctl reload"
if [[ -n $(journal '.MESSAGE | test("^reload: ")') ]]; then echo "reload: waited for"; else echo "reload: NOT waited for"; fi
await_journal '.MESSAGE | test("^reload: 1 image closed, 1 opened")' 10
await_journal '.MESSAGE | test("^sda2: .*writing is not permitted")' 10
mkdir -p root/etc/systemd/system/seedbed.service.d
cp root/usr/share/seedbed/deploy.conf root/etc/systemd/system/seedbed.service.d/
inside systemctl daemon-reload
inside systemctl restart seedbed || fail "with the drop-in, the service does not start"

# --- from and to block devices within the sandbox

mkdir root/etc/other
write_config root/etc/other/seedbed.toml 6882
add_image root/etc/other/seedbed.toml sda1 /srv/sda1.torrent /dev/target1 deploy 'peers = ["127.0.0.1:6881"]'
add_image root/etc/other/seedbed.toml sda2 /srv/sda2.torrent /dev/source-again seed
inside systemd-run --quiet --unit=other -p Type=notify "$program" daemon --config /etc/other/seedbed.toml ||
    fail "a second daemon does not start"
await_journal '.MESSAGE | test("^sda1: done: ")' 60 other
await_journal '.MESSAGE | test("^sda2: done: ")' 60
inside systemctl stop other
compare_extents sda1.info "$source" "$target1"
compare_extents sda1.info "$source" "$target2"
gaps_are_noise sda1.info "$target2"
echo "seeded from and deployed to block devices within the sandbox"

# --- stop and watchdog

began=${EPOCHREALTIME/[.,]/}
inside systemctl stop seedbed
took=$(((${EPOCHREALTIME/[.,]/} - began) / 1000))
((took < 5000)) || fail "a stop took $took ms"
[[ $(show_unit Result) == success ]] || fail "after a stop, its result is $(show_unit Result)"
drop_in WatchdogSec=2 RestartSec=1
inside systemctl start seedbed
[[ $(show_unit WatchdogUSec) == 2s ]] || fail "WatchdogUSec is $(show_unit WatchdogUSec)"
sleep 5 # more than twice the timeout: the daemon must feed the watchdog
[[ $(show_unit NRestarts) -eq 0 ]] || fail "the watchdog killed a working daemon"
inside systemctl kill --kill-whom=main --signal=STOP seedbed
await NRestarts 1 30 || fail "a hanging daemon was not restarted"
await ActiveState active 10 || fail "after the restart, it is $(show_unit ActiveState)"
inside journalctl -u seedbed --no-pager >journal.txt
grep -q 'Watchdog timeout' journal.txt || fail "the watchdog was not the reason for the restart"
inside systemctl stop seedbed
echo "stopped in $took ms; the watchdog works"
pass
