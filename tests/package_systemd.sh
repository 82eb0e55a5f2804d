#!/usr/bin/env bash
# The Debian package under a booted systemd: a container with Debian 12 installs it by apt, serves an image, which a deployment in it
# writes to a disk, reloads, mails and posts the result of a deployment and wakes machines by the installed examples, boots again,
# upgrades the package with a changed configuration, stops, removes and purges it. Prints the commands. Not part of run.sh: the first
# run downloads 150 MB (kept in SEEDBED_CACHE, ~/.cache/seedbed by default). package.sh has the tests that need no systemd.
#
# Usage: tests/package_systemd.sh [DEB]     build/release/seedbed_*.deb by default
#
# Needs root, loop devices, debootstrap and systemd-container. Exit status: 0 passed, 77 skipped, anything else failed.
set -euo pipefail
tests=$(dirname "$(readlink -f "$0")")
deb=$(readlink -f "${1:-$(ls "$tests"/../build/release/seedbed_*.deb)}")

# download DEPENDENCIES TREE: the packages that apt needs to install the package, which the container, without a network, cannot get.
# shellcheck disable=SC2317 # called by debian_tree
download() {
    chroot "$2" apt-get -q update
    cp "$deb" "$2/seedbed.deb"
    chroot "$2" apt-get -q -y --download-only install /seedbed.deb
    rm "$2/seedbed.deb"
}
# shellcheck source-path=SCRIPTDIR source=lib_booted.sh
. "$tests/lib_booted.sh"
debian_tree systemd,systemd-sysv,dbus,procps,iproute2,curl,jq,netbase,wakeonlan download "$(dpkg-deb -f "$deb" Depends Recommends)"
SEEDBED=$deb # for the library; the program comes from the package
# shellcheck source-path=SCRIPTDIR source=integration/lib_daemon.sh
. "$tests/integration/lib_daemon.sh"

need_loop
need dpkg-deb jq
need_container

# run COMMAND...: in the container; what it prints is shown only if it fails.
run() {
    printf '[%3d s] # %s\n' $SECONDS "$*"
    inside "$@" >run.log 2>&1 || fail "$*: $(tail -n 20 run.log)"
}
apt() {
    run apt-get -q -y "$@"
}
# unit_is PROPERTY VALUE
unit_is() {
    [[ $(show_unit "$1") == "$2" ]] || fail "$1 of seedbed.service is $(show_unit "$1") and not $2"
}
get() {
    inside curl -sS --max-time 10 "$@"
}
# await COMMAND...: until it succeeds, at most 20 s.
await() {
    local end=$((SECONDS + 20))
    until "$@" >await.log 2>&1; do
        ((SECONDS < end)) || fail "waited 20 s for: $*: $(tail -n 12 await.log)"
        sleep 0.1
    done
}
# shellcheck disable=SC2317 # called by await
serves() {
    [[ $(get "http://127.0.0.1:6969/images" | jq -r '.images[].name') == golden ]]
}
# shellcheck disable=SC2317 # called by await
reloaded() {
    inside journalctl --sync
    (($(inside journalctl -u seedbed -o cat --no-pager | grep -c '^reload: ') >= $1))
}

# set_key TABLE LINE: adds a line to a table of the installed configuration.
set_key() {
    sed -i "s/^\[$1\]\$/&\n$2/" root/etc/seedbed/seedbed.toml
    grep -qxF "$2" root/etc/seedbed/seedbed.toml || fail "seedbed.toml has no table [$1]"
}

make_root
cp "$deb" root/root/seedbed.deb
boot_root
await_boot 120

# --- installed: the user and the folders exist; nothing was started
apt install /root/seedbed.deb
unit_is LoadState loaded
unit_is ActiveState inactive
unit_is UnitFileState disabled
[[ $(inside id -nG seedbed) == *disk* ]] || fail "the user seedbed is not in the group disk"

# --- started, as README says: without an image at first; then it serves one
run systemctl enable --now seedbed
unit_is ActiveState active
run mkdir -p /srv/images
head -c 12345678 /dev/urandom >root/srv/images/golden.img
run seedbed create /srv/images/golden.img -o /srv/images/golden.torrent
run seedbed image add golden /srv/images/golden.torrent /srv/images/golden.img
await serves
[[ $(inside stat -c %U "/proc/$(show_unit MainPID)") == seedbed ]] || fail "it does not run as the user seedbed"
inside systemctl status seedbed >status.log || fail "systemctl status: $(<status.log)"
grep -q 'Status: ".*golden: seeding' status.log || fail "systemctl status shows no image: $(<status.log)"

# --- a deployment from it, in the same container
noise_file target.img 16
target=$(attach_loop target.img)
inside mknod -m 660 /dev/target b $((16#$(stat -c %t "$target"))) $((16#$(stat -c %T "$target")))
run seedbed deploy golden --server 127.0.0.1 /dev/target --yes
cmp -n 12345678 target.img root/srv/images/golden.img || fail "the disk differs from the image"
await inside seedbed history --image golden
inside seedbed history --json | jq -e '[.deployments[] | [.image, .verified, .device]] == [["golden", true, "/dev/target"]]' >/dev/null ||
    fail "the history: $(inside seedbed history --json)"

# --- a reload of a changed configuration, by systemctl and by the signal alone
main=$(show_unit MainPID)
set_key web 'listen = "127.0.0.1:8080"'
run systemctl reload seedbed
await get -f -o /dev/null http://127.0.0.1:8080/
set_key metrics 'listen = "127.0.0.1:9150"'
run systemctl kill --kill-whom=main --signal=HUP seedbed
await get -f -o /dev/null http://127.0.0.1:9150/healthz
unit_is ActiveState active
unit_is MainPID "$main"
await reloaded 3 # with that of `image add`

# --- the installed examples as their comments say, under the restrictions of the service: the result of a deployment is mailed and posted
# listen NAME PORT PROGRAM...: runs a program of this machine in the container's network, with its output in NAME.log, and waits for
# its port.
listen() {
    local name=$1 port=$2
    shift 2
    : >"$name.log"
    nsenter -t "$init" -n "$@" </dev/null >>"$name.log" 2>&1 &
    defer "$name" end_process "$!"
    await listens "$port"
}
# shellcheck disable=SC2317 # called by await
listens() {
    [[ -n $(inside ss -Hlntu "sport = :$1") ]]
}
# has LOG PATTERN: whether a line of the log matches; otherwise it prints the end of the journal.
# shellcheck disable=SC2317 # called by await
has() {
    inside journalctl --sync
    inside journalctl -u seedbed -u seedbed-wake -o cat --no-pager >journal.log
    grep -qE "$2" "$1.log" || { tail -n 12 journal.log && false; }
}
listen smtp 25 /usr/bin/python3 -u -W ignore -m smtpd -n -c DebuggingServer 127.0.0.1:25
listen hooks 8000 /usr/bin/python3 -u -c '
import http.server
class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        print(self.path, self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.send_response(204)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", 8000), Receiver).serve_forever()'
examples=/usr/share/seedbed/examples
for image in mailed posted; do
    head -c 3456789 /dev/urandom >root/srv/images/$image.img
    run seedbed create /srv/images/$image.img -o /srv/images/$image.torrent
    run seedbed image add $image /srv/images/$image.torrent /srv/images/$image.img
done
printf '%s\n' 'expect = 1' \
    "on_complete = [\"$examples/deployed-mail\", \"smtp://127.0.0.1\", \"seedbed@example.org\", \"admin@example.org\"]" \
    >>root/etc/seedbed/images.d/mailed.toml
printf '%s\n' 'expect = 1' "on_complete = [\"$examples/deployed-webhook\", \"http://127.0.0.1:8000/hooks/TOKEN\"]" \
    >>root/etc/seedbed/images.d/posted.toml
run systemctl reload seedbed
for image in mailed posted; do
    run seedbed deploy $image --server 127.0.0.1 /dev/target --yes
done
await has smtp 'Subject: mailed: deployed to 1 of 1 machines'
await has smtp '127\.0\.0\.1  verified  [0-9]+ s  /dev/target'
await has hooks '^/hooks/TOKEN .*"text":"posted: 1 of 1 machines have the image'
for image in mailed posted; do
    await has journal "^$image: .*/deployed-.*: exit status 0"
    run seedbed image remove $image
done

# --- the timer wakes the machines that wait
ip link add machines netns "$init" type veth peer name switch netns "$init"
inside ip address add 192.0.2.1/24 broadcast 192.0.2.255 dev machines
inside ip link set switch up
inside ip link set machines up
inside ip route add default dev machines
listen packets 9 /usr/bin/python3 -u -c '
import socket
listening = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
listening.bind(("", 9))
while True:
    print(listening.recv(2000).hex())'
printf '%s\n' 'name,mac,image,disk' 'PC-17,52:54:00:00:00:17,golden,auto' >root/root/room.csv
run seedbed machine import /root/room.csv
run systemctl reload seedbed
run cp "$examples/seedbed-wake.service" "$examples/seedbed-wake.timer" /etc/systemd/system/
mkdir -p root/etc/systemd/system/seedbed-wake.timer.d
printf '%s\n' '[Timer]' 'OnCalendar=' 'OnCalendar=*-*-* *:*:00/5' 'AccuracySec=100ms' \
    >root/etc/systemd/system/seedbed-wake.timer.d/often.conf
run systemctl daemon-reload
run systemctl enable --now seedbed-wake.timer
await has packets '^f{12}(525400000017){16}$'
run systemctl disable --now seedbed-wake.timer
[[ $(inside systemctl show seedbed-wake.service --value -p Result) == success ]] || fail "seedbed-wake.service has failed"

# --- the machine boots again: the service starts by itself
printf '[%3d s] # systemctl reboot\n' $SECONDS
reboot_root
await_boot 120
await serves
unit_is ActiveState active

# --- an upgrade keeps the changed configuration, and restarts the daemon
dpkg-deb -R "$deb" next
sed -i 's/^Version: .*/&+next/' next/DEBIAN/control
echo '# new' >>next/etc/seedbed/seedbed.toml
(cd next && find . -type f ! -path './DEBIAN/*' -printf '%P\0' | xargs -0 md5sum >DEBIAN/md5sums)
dpkg-deb --root-owner-group -b next root/root/next.deb >/dev/null
main=$(show_unit MainPID)
apt -o Dpkg::Options::=--force-confold install /root/next.deb
# shellcheck disable=SC2016 # dpkg-query expands it
[[ $(inside dpkg-query -W -f '${Version}' seedbed) == *+next ]] || fail "not upgraded"
unit_is ActiveState active
[[ $(show_unit MainPID) != "$main" ]] || fail "the daemon was not restarted"
await serves
get -f -o /dev/null http://127.0.0.1:8080/ || fail "the upgrade replaced the changed configuration"
[[ $(tail -n 1 root/etc/seedbed/seedbed.toml.dpkg-dist) == '# new' ]] || fail "the new configuration is not beside the changed one"

# --- a stop; an upgrade does not start a stopped service
began=${EPOCHREALTIME/[.,]/}
run systemctl stop seedbed
took=$(((${EPOCHREALTIME/[.,]/} - began) / 1000))
((took < 5000)) || fail "the stop took $took ms"
unit_is ActiveState inactive
unit_is Result success
! get http://127.0.0.1:6969/images >/dev/null 2>&1 || fail "stopped, but it answers"
apt -o Dpkg::Options::=--force-confold install --reinstall /root/next.deb
unit_is ActiveState inactive
run systemctl start seedbed
await serves

# --- removed while it runs: the service ends; configuration, images and history stay
apt remove seedbed
unit_is LoadState not-found
unit_is ActiveState inactive
! get http://127.0.0.1:6969/images >/dev/null 2>&1 || fail "removed, but it answers"
for file in etc/seedbed/seedbed.toml etc/seedbed/images.d/golden.toml var/lib/seedbed/history.sqlite srv/images/golden.img; do
    [[ -s root/$file ]] || fail "removal took /$file"
done
[[ ! -e root/etc/systemd/system/multi-user.target.wants/seedbed.service ]] || fail "the service is still enabled"

# --- installed again, it serves as before; purged, nothing of it is left but the images
apt install /root/next.deb
run systemctl start seedbed
await serves
apt purge seedbed
unit_is LoadState not-found
[[ ! -e root/etc/seedbed && ! -e root/var/lib/seedbed ]] || fail "left: $(find root/etc/seedbed root/var/lib/seedbed 2>/dev/null)"
[[ -s root/srv/images/golden.img ]] || fail "purging took the image"
[[ -z $(inside systemctl --failed --no-legend --plain) ]] || fail "failed units: $(inside systemctl --failed --no-legend --plain)"
pass
