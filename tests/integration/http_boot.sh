#!/bin/bash
# The boot folder over HTTP, from a real daemon: files and parts of them, nothing outside the folder, large files with bounded memory,
# slow and hostile clients while the tracker answers, files that change while they are sent, reloads. SEEDBED is the program.
# Labels: once
set -euo pipefail
# shellcheck source=lib_daemon.sh
. "$(dirname "$0")/lib_daemon.sh"

need curl jq ss cmp sha256sum

http=127.0.0.1:$(free_port)
url=http://$http/boot
mkdir -p etc/boot/sub other outside
head -c 3000000 /dev/urandom >etc/boot/vmlinuz
echo '#!ipxe' >etc/boot/boot.ipxe
echo initramfs >etc/boot/sub/initrd.img
echo secret >etc/secret
echo secret >outside/secret
echo half >etc/boot/.vmlinuz.new
ln -s ../secret etc/boot/link
ln -s "$work/outside" etc/boot/way
mkfifo etc/boot/fifo
head -c 200M /dev/urandom >etc/boot/large.iso
printf '%s\n' '[control]' 'socket = "control"' '[tracker]' "listen = \"$http\"" '[network]' "listen = \"127.0.0.1:$(free_port)\"" \
    'local_discovery = false' 'allow = ["192.0.2.128/25"]' '[boot]' 'files = "boot"' >etc/seedbed.toml
start_daemon seed etc/seedbed.toml
expect_line seed.log " boot: the files in $work/etc/boot are served at /boot/\$"
expect_line seed.log ' ready$'
pid=${daemon_pid[seed]}

get() {
    curl -sS --max-time 60 -o body -D header "$@" || fail "curl $*"
    sed -i 's/\r$//' header
}
status_of() {
    curl -sS --max-time 60 -o body -w '%{http_code}' --path-as-is "$@" || fail "curl $*"
}
# await CONDITION...: until it is true, at most 60 s.
await() {
    local end=$((SECONDS + 60))
    until "$@"; do
        ((SECONDS < end)) || fail "waited 60 s for: $*"
        sleep 0.1
    done
}
# open_files COUNT: whether the daemon has so many files of the folder open.
open_files() {
    (($(find "/proc/$pid/fd" -lname "$work/*/large.iso*" 2>/dev/null | wc -l) == $1))
}
memory() {
    sed -n "s/^$1:[^0-9]*\([0-9]*\) kB/\1/p" "/proc/$pid/status"
}
# slow_reads_begun: whether the daemon has the files of all clients open.
# shellcheck disable=SC2317 # called by await
slow_reads_begun() {
    (($(find "/proc/${daemon_pid[slow]}/fd" -lname "$work/nbd-slow/disk" 2>/dev/null | wc -l) == 32))
}
# answers WHAT: the tracker must answer at once, and so must a small file. Of five answers, all but one may be late because the machine
# has other work.
answers() {
    local seconds i
    for ((i = 0; i < 5; i++)); do
        seconds=$(curl -sS --max-time 20 -o body -w '%{time_total}' "http://$http/scrape") || fail "the tracker does not answer $1"
        ((${seconds%%.*} >= 2)) || break
    done
    ((i < 5)) || fail "the tracker answers in $seconds s $1"
    [[ $(curl -sS --max-time 20 "$url/boot.ipxe") == '#!ipxe' ]] || fail "a small file is not sent $1"
}

# --- files
get "$url/vmlinuz"
cmp body etc/boot/vmlinuz || fail "the file differs"
for line in 'HTTP/1.1 200 OK' 'Content-Length: 3000000' 'Content-Type: application/octet-stream' 'Accept-Ranges: bytes'; do
    grep -qx "$line" header || fail "no header '$line': $(<header)"
done
tag=$(sed -n 's/^ETag: //p' header)
date=$(sed -n 's/^Last-Modified: //p' header)
[[ $(date -d "$date" +%s) == "$(stat -c %Y etc/boot/vmlinuz)" ]] || fail "Last-Modified: $date"
get "$url/sub/initrd.img"
cmp body etc/boot/sub/initrd.img || fail "the file in a subfolder differs"
get "$url/boot.ipxe?uuid=1"
grep -qx 'Content-Type: text/plain; charset=utf-8' header && [[ $(<body) == '#!ipxe' ]] || fail "the script: $(<header)"
get -I "$url/large.iso"
grep -qx 'Content-Length: 209715200' header && grep -qx 'Content-Type: application/vnd.efi-iso' header || fail "HEAD: $(<header)"
get -r 1000-1999999 "$url/vmlinuz"
grep -q '^HTTP/1.1 206' header && cmp body <(tail -c +1001 etc/boot/vmlinuz | head -c 1999000) || fail "a range: $(<header)"
get -r 3000000- "$url/vmlinuz"
grep -q '^HTTP/1.1 416' header || fail "a range beyond the end: $(<header)"
head -c 1234567 etc/boot/vmlinuz >resumed
curl -sS -C - -o resumed "$url/vmlinuz"
cmp resumed etc/boot/vmlinuz || fail "the resumed download differs"
[[ $(status_of -H "If-None-Match: $tag" "$url/vmlinuz") == 304 ]] || fail "the file is sent again to a client with its ETag"
[[ $(status_of -z "$date" "$url/vmlinuz") == 304 ]] || fail "the file is sent again to a client with its date"
[[ $(status_of -X POST "$url/vmlinuz") == 405 ]] || fail "POST is not refused"
curl -sS -o one -o two "$url/vmlinuz" "$url/vmlinuz" -w '%{num_connects}\n' >connects
[[ $(tr '\n' ' ' <connects) == "1 0 " ]] && cmp one etc/boot/vmlinuz && cmp two one || fail "two files on one connection: $(<connects)"

# --- nothing else
for name in '' . .. sub sub/ fifo link way/secret ../secret %2e%2e/secret ..%2fsecret sub/../../secret .vmlinuz.new none vmlinuz/ vmlinuz%00 \
    "%2f$work/etc/secret" "/$work/etc/secret"; do
    [[ $(status_of "$url/$name") == 404 && $(<body) == 'no such file' ]] || fail "/boot/$name: $(<body)"
done
[[ $(status_of "http://$http/boot") == 404 && $(status_of "http://$http/boot/../boot/vmlinuz") == 404 ]] || fail "another spelling is served"
[[ $(status_of "$url/%zz") == 400 ]] || fail "invalid percent-encoding: $(<body)"
expect_line seed.log " boot: not serving $work/etc/boot/link: it is a symbolic link"

# --- a large file for several clients: the memory stays bounded
before=$(memory VmRSS)
echo 5 >"/proc/$pid/clear_refs"
sum=$(sha256sum <etc/boot/large.iso)
downloads=()
for i in 1 2 3 4; do
    { [[ $(curl -sS --max-time 300 "$url/large.iso" | sha256sum) == "$sum" ]] || touch "differs-$i"; } &
    downloads+=("$!")
done
wait "${downloads[@]}"
! compgen -G 'differs-*' >/dev/null || fail "a large file differs"
peak=$(memory VmHWM)
((peak < before + 16384)) || fail "4 downloads of 200 MiB took $((peak - before)) KiB of memory"
await open_files 0

# --- 50 slow readers
echo 5 >"/proc/$pid/clear_refs"
slow=()
for ((i = 0; i < 50; i++)); do
    curl -sS --limit-rate 100k -o /dev/null "$url/large.iso" 2>/dev/null &
    slow+=("$!")
done
await open_files 50
answers "with 50 slow readers"
[[ $(curl -sS --max-time 60 "$url/large.iso" | sha256sum) == "$sum" ]] || fail "a fast reader gets another file"
answers "with 50 slow readers"
peak=$(memory VmHWM)
((peak < before + 24576)) || fail "50 slow readers took $((peak - before)) KiB of memory"
open_files 50 || fail "slow readers that keep receiving were disconnected"
kill "${slow[@]}"
wait "${slow[@]}" 2>/dev/null || true
await open_files 0

# --- clients that stop receiving, ask for much at once, leave, or take all connections
cat >hostile.py <<'END'
import os, socket, struct, sys, time
kind, count, port = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
request = b'GET /boot/large.iso HTTP/1.1\r\nHost: a\r\n\r\n'
def connect(source=None):
    s = socket.create_connection(('127.0.0.1', port), 10, (source, 0) if source else None)
    s.settimeout(90)
    return s
if kind == 'stalled': # many requests at once, and no reading
    sockets = [connect(f'127.0.{1 + i % 8}.1') for i in range(count)]
    for s in sockets:
        s.sendall(request * 20)
    print('stalled', flush=True)
    time.sleep(90)
elif kind == 'resets':
    for i in range(count):
        s = connect()
        s.sendall(request)
        s.recv(1 << (i % 18))
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        s.close()
elif kind == 'flood': # requests without an end, most of which find no file
    sockets = [connect() for _ in range(count)]
    end = time.monotonic() + 3
    received = 0
    print('flooding', flush=True)
    while time.monotonic() < end or not os.path.exists('flood.end'):
        for s in sockets:
            s.sendall(b'GET /boot/sub/none HTTP/1.1\r\nHost: a\r\n\r\n' * 5 + b'HEAD /boot/vmlinuz HTTP/1.1\r\nHost: a\r\n\r\n')
        for s in sockets:
            received += len(s.recv(1 << 20))
    print(received)
END
port=${http##*:}
/usr/bin/python3 hostile.py stalled 200 "$port" >stalled.log 2>&1 &
stalled=$!
defer stalled end_process "$stalled"
expect_line stalled.log stalled
await open_files 200
answers "with 200 clients that do not receive"
await open_files 0 # after the time limit
peak=$(memory VmHWM)
((peak < before + 49152)) || fail "200 clients that do not receive took $((peak - before)) KiB of memory"
kill "$stalled"
wait "$stalled" 2>/dev/null || true
/usr/bin/python3 hostile.py resets 200 "$port" || fail "resets"
await open_files 0
lines=$(wc -l <seed.log)
/usr/bin/python3 hostile.py flood 50 "$port" >flood.log 2>&1 &
flood=$!
expect_line flood.log flooding
answers "during a flood of requests"
touch flood.end
wait "$flood" || fail "the flood: $(<flood.log)"
(($(wc -l <seed.log) == lines)) || fail "clients can fill the log: $(tail -n 3 seed.log)"

# --- a file that is cut off, or overwritten in place, while it is sent; one that is replaced
# cut_while_sent COMMAND...: changes the file while a client is receiving it; the client must see that it is incomplete.
cut_while_sent() {
    local status=0
    rm -f cut
    cp etc/boot/large.iso etc/boot/cut.iso
    curl -sS --limit-rate 5M --max-time 60 -o cut "$url/cut.iso" 2>cut.err &
    local client=$!
    await test -s cut
    "$@"
    wait "$client" || status=$?
    ((status == 18)) || fail "after $*, curl ends with $status: $(<cut.err)"
    (($(stat -c %s cut) < 209715200)) || fail "after $*, a whole file was sent"
}
cut_while_sent truncate -s 1000000 etc/boot/cut.iso
expect_line seed.log " boot: cannot send to 127\\.0\\.0\\.1: $work/etc/boot/cut\\.iso: changed while being sent; ending the connection"
cut_while_sent dd if=/dev/urandom of=etc/boot/cut.iso bs=1M count=1 seek=150 conv=notrunc status=none
curl -sS --limit-rate 50M --max-time 60 -o replaced "$url/large.iso" &
client=$!
await test -s replaced
echo new >etc/boot/new
mv etc/boot/new etc/boot/large.iso
wait "$client" || fail "the client of a file that was replaced fails"
[[ $(sha256sum <replaced) == "$sum" ]] || fail "a file that was replaced while it was sent differs"
[[ $(curl -sS "$url/large.iso") == new ]] || fail "the new file is not sent"

# --- allow: an address outside it gets nothing
if [[ -n ${SEEDBED_OWN_NAMESPACES:-} ]]; then
    ip address add 192.0.2.1/32 dev lo
    ! curl -sS -o /dev/null --max-time 5 --interface 192.0.2.1 "$url/vmlinuz" 2>/dev/null || fail "an address that is not allowed gets a file"
else
    echo "without the address outside [network] allow: no network namespace can be made here"
fi

# --- reloads
reload() {
    kill -HUP "$pid"
    expect_line seed.log "$1"
}
echo another >other/vmlinuz
sed -i "s|^files = .*|files = \"$work/other\"|" etc/seedbed.toml
reload " boot: the files in $work/other are served at /boot/\$"
[[ $(curl -sS "$url/vmlinuz") == another && $(status_of "$url/boot.ipxe") == 404 ]] || fail "the folder has not changed"
sed -i "s|^files = .*|files = \"$work/later\"|" etc/seedbed.toml
reload " boot: cannot open $work/later: .*; its files are served once it can be opened"
[[ $(status_of "$url/vmlinuz") == 503 ]] || fail "a folder that does not exist: $(<body)"
mkdir later
echo there >later/vmlinuz
[[ $(curl -sS "$url/vmlinuz") == there ]] || fail "a folder that was made later is not served"
sed -i '/^files = /d' etc/seedbed.toml
reload " boot: the files in $work/later are no longer served"
[[ $(status_of "$url/vmlinuz") == 404 ]] || fail "files are served without the key"
stop_daemon seed

# --- a disk that takes 3 s for each read: the daemon stops after the reads that are under way, not after those that wait
if command -v nbdkit >/dev/null && command -v nbdfuse >/dev/null && [[ -c /dev/fuse ]]; then
    start_nbd slow --filter=delay memory 64M rdelay=3 >/dev/null
    sed -i "s|^\[boot\]\$|&\nfiles = \"$work/nbd-slow\"|" etc/seedbed.toml
    start_daemon slow etc/seedbed.toml
    expect_line slow.log ' ready$'
    clients=()
    for i in {0..31}; do
        curl -sS --max-time 60 -r "$((i << 20))-" -o /dev/null "$url/disk" 2>/dev/null &
        clients+=($!)
    done
    await slow_reads_begun
    stop_daemon slow 18 # 28 reads that wait for 4 threads would take 21 s
    echo "stopped in $stop_milliseconds ms with 32 clients of a disk that takes 3 s for each read"
    wait "${clients[@]}" || true # the daemon has closed their connections
else
    echo "without a slow disk: nbdkit, nbdfuse or /dev/fuse is missing"
fi
pass
