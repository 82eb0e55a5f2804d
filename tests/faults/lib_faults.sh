# shellcheck shell=bash disable=SC2034,SC2154 # variables of the rows, and of lib_daemon.sh
# Functions for the rows of the fault table. Not a row: source it right after `set -euo pipefail`. It includes lib_daemon.sh.
#
# Images are small, 17 pieces of 1 MiB, with gaps. Targets are noise (0xA5) of 24 MiB before a deployment; IMAGE.expected is the target
# afterwards: the image in its extents, noise everywhere else. One cmp of the whole target therefore decides.
#
#   $faults                             the folder of the rows
#   make_image IMAGE...                 makes IMAGE.source, IMAGE.torrent, IMAGE.img (the target) and IMAGE.expected
#   seed IMAGE...                       starts the daemon "seed", which serves these images on port $seed_port;
#                                       seed_lines=(LINE...) go into its [network], such as 'upload_limit = "4 MiB"'
#   seed_and_count IMAGE                the same for one image, of which it expects one machine; sets announce, the URL of its tracker
#   refused_at_seed IMAGE PATTERN       fails unless the daemon "seed" says that this machine has refused IMAGE, and why
#   full_speed                          removes the limit from the daemon "seed"
#   deploy STATUS IMAGE DEVICE [OPTION...]   runs `seedbed deploy`; fails unless it exits with STATUS, says so in its receipt,
#                                       IMAGE.json, and ends within 120 s; its output is in IMAGE.log
#   says IMAGE PATTERN                  fails unless IMAGE.log matches the extended regular expression
#   receipt IMAGE FILTER...             fails unless each filter of jq is true for IMAGE.json
#   deploy_config                       writes deploy.toml again, without images, with usual_lines=(LINE...)
#   add_target IMAGE DEVICE [LINE...]   adds an image to deploy.toml; its only peer is the daemon "seed"
#   other_image                         makes the image "other" and adds it to deploy.toml: the one without a fault
#   other_is_deployed                   fails unless "other" is done and its target is right in every byte
#   failed IMAGE PATTERN [LOG]          waits for the image's error line; fails unless it matches and is the only one
#   percent IMAGE [CONFIG]              prints how much of a download is done, as `seedbed status` shows it; 100 after that
#   await_percent IMAGE NUMBER [CONFIG] waits, at most 60 s, until that is NUMBER or more; fails if the download has ended
#   interrupt IMAGE TERM|KILL           deploys IMAGE, and ends the daemon with this signal half-way; sets checkpoint, its file. The
#                                       daemon "seed" is ended, too
#   untouched FILE...                   fails unless every byte is 0xA5
#   deployed IMAGE [FILE]               fails unless the target (IMAGE.img) is as expected in every byte
#   partly_deployed IMAGE               fails if a byte of the target is neither noise nor the image's, nor zero in the image's
#                                       ends, which are written last
#   idle_peers [MESSAGE]                connects 150 peers from 50 addresses to the daemon "seed", for sda1; each sends MESSAGE (in hexadecimal)
#                                       and then nothing, and connects again when it is disconnected
#   raid_rest                           makes the file "rest": 8 MiB of noise that, after an image's 24 MiB, end with the superblock of
#                                       a RAID member (md, version 1.0)
#   flip FILE OFFSET                    changes the byte there
#   faulty_disk NAME FILE METHOD=SCRIPT...   prints a loop device on FILE which works except for these methods of nbdkit's eval
#                                       plugin. In a SCRIPT, "$read" and "$write" do what a good disk does, $eio fails, and $3
#                                       and $4 are length and offset. The id of its server is in NAME.nbdkit
faults=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
# shellcheck source=../integration/lib_daemon.sh
. "$faults/../integration/lib_daemon.sh"

need jq ss
mib=$((1 << 20))
target_bytes=$((24 * mib))
image_bytes=$((17 * mib - 3584)) # in three extents, the last of which ends in the middle of a block
image_end=$((24 * mib - 3584))
seed_port=$(free_port)
seed_lines=()
usual_lines=('[memory]' 'pool = "32 MiB"' '[resume]' 'interval = "200 ms"')

make_image() {
    local name extent offset length
    for name in "$@"; do
        truncate -s $image_end "$name.source"
        noise_file "$name.img" 24
        cp "$name.img" "$name.expected"
        for extent in 0:6291456 9437184:5242880 18874368:6287872; do
            offset=${extent%:*} length=${extent#*:}
            head -c "$length" /dev/urandom >part
            dd if=part of="$name.source" oflag=seek_bytes seek="$offset" bs=1M conv=notrunc status=none
            dd if=part of="$name.expected" oflag=seek_bytes seek="$offset" bs=1M conv=notrunc status=none
        done
        "$seedbed" create "$name.source" --name "$name" --piece-size "1 MiB" -o "$name.torrent" >"$name.created"
    done
    rm part
}

seed() {
    local name
    write_config seed.toml "$seed_port" "${seed_lines[@]}" '[memory]' 'pool = "32 MiB"'
    for name in "$@"; do
        add_image seed.toml "$name" "$name.torrent" "$work/$name.source" seed
    done
    start_daemon seed seed.toml
    expect_line seed.log ' ready$'
}

seed_and_count() {
    local tracker
    tracker=$(free_port)
    announce=http://127.0.0.1:$tracker/announce
    write_config seed.toml "$seed_port"
    sed -i "s/^enabled = false/listen = \"127.0.0.1:$tracker\"/" seed.toml
    add_image seed.toml "$1" "$1.torrent" "$work/$1.source" seed 'expect = 1'
    start_daemon seed seed.toml
    expect_line seed.log ' ready$'
}
refused_at_seed() {
    expect_line seed.log " $1: 127.0.0.1 refused: .*$2"
    "$seedbed" status --json --socket seed.toml.sock >status.json
    jq -e '.images[0].fleet.hosts == [.images[0].fleet.hosts[] | select(.address == "127.0.0.1" and .state == "refused")] and
        (.images[0].fleet.hosts | length) == 1 and .images[0].fleet.complete == 0' status.json >found || fail "$(<status.json)"
}
full_speed() {
    sed -i '/^upload_limit/d' seed.toml
    kill -HUP "${daemon_pid[seed]}"
}

deploy() {
    local expected=$1 name=$2 device=$3 status=0
    shift 3
    [[ -e small.toml ]] || printf '%s\n' '[memory]' 'pool = "32 MiB"' >small.toml
    timeout -s KILL 120 "$seedbed" deploy "$name.torrent" "$device" --yes --no-local-discovery --state "$STATE_DIRECTORY" \
        --config small.toml --peer "127.0.0.1:$seed_port" --listen "127.0.0.1:$(free_port)" --receipt "$name.json" "$@" \
        </dev/null >"$name.log" 2>&1 || status=$?
    ((status == expected)) || fail "deploy: exit status $status instead of $expected"
    receipt "$name" ".exit_status == $expected"
}
says() {
    grep -qE -e "$2" "$1.log" || fail "$1.log does not contain: $2"
}
receipt() {
    local name=$1 filter
    shift
    for filter in "$@"; do
        [[ $(jq "$filter" "$name.json") == true ]] || fail "$name.json: $filter is not true: $(<"$name.json")"
    done
}

deploy_config() {
    write_config deploy.toml "$(free_port)" "${usual_lines[@]}"
}
add_target() {
    [[ -e deploy.toml ]] || deploy_config
    add_image deploy.toml "$1" "$1.torrent" "$2" deploy "peers = [\"127.0.0.1:$seed_port\"]" "${@:3}"
}
other_image() {
    make_image other
    add_target other "$work/other.img"
}
other_is_deployed() {
    expect_line deploy.log ' other: done: '
    deployed other
}

failed() {
    local lines log=${3:-deploy.log}
    expect_line "$log" " error $1: "
    lines=$(grep -E " error $1: " "$log")
    [[ $lines =~ error\ $1:\ failed:\ $2 ]] || fail "$1: expected '$2', but the log says: $lines"
    (($(wc -l <<<"$lines") == 1)) || fail "$1: more than one line: $lines"
    never_line "$log" " $1: done: "
}

percent() {
    "$seedbed" status --json --socket "$work/${2:-deploy.toml}.sock" 2>/dev/null >status.json || true
    jq --arg name "$1" '[.images[] | select(.name == $name)] | first |
        if .state == "downloading" then .progress * 100 | floor elif .state == "opening" or .state == "checking" then 0
        else 100 end' status.json 2>/dev/null | grep . || echo 0
}
await_percent() {
    local deadline=$((SECONDS + 60)) percent=0
    until ((percent >= $2)); do
        ((SECONDS < deadline)) || fail "$1 does not reach $2 %"
        sleep 0.05
        percent=$(percent "$1" "${3:-deploy.toml}")
    done
    ((percent < 100)) || fail "$1 is not stopped half-way"
}

interrupt() {
    add_target "$1" "$work/$1.img"
    seed_lines=('upload_limit = "1 MiB"')
    seed "$1"
    start_daemon deploy deploy.toml
    await_percent "$1" 30
    if [[ $2 == TERM ]]; then
        stop_daemon deploy
    else
        kill_daemon deploy
    fi
    stop_daemon seed
    never_line deploy.log ' (downloaded|done)'
    seed_lines=()
    checkpoint=$(echo "$STATE_DIRECTORY/$1.img"-*.resume)
    [[ -s $checkpoint ]] || fail "no checkpoint"
}

untouched() {
    local file
    for file in "$@"; do
        cmp "$file" <(head -c "$(stat -c %s "$file")" /dev/zero | LC_ALL=C tr '\0' '\245') || fail "$file was written to"
    done
}
deployed() {
    cmp "$1.expected" "${2:-$1.img}" || fail "${2:-$1.img} is not the image with untouched gaps"
}
partly_deployed() {
    /usr/bin/python3 -c '
import sys
target, expected = (open(path, "rb").read() for path in sys.argv[1:3])
assert len(target) == len(expected), "another size"
image_end = int(sys.argv[3])
last_end = (image_end - (768 << 10)) & ~4095
for at in range(0, len(target), 512):
    part = target[at:at + 512]
    erased = not part.strip(b"\0\xa5") and (at < 1 << 20 or last_end <= at < image_end)
    if part != expected[at:at + 512] and part.strip(b"\xa5") and not erased:
        sys.exit(f"neither old nor new data at offset {at}")' "$1.img" "$1.expected" "$image_end" || fail "$1.img holds foreign bytes"
}
raid_rest() {
    noise_file rest 8
    /usr/bin/python3 - <<'PYTHON'
import struct
block = bytearray(4096)
block[0:8] = struct.pack("<II", 0xA92B4EFC, 1)
block[16:32] = bytes(range(16))
block[144:152] = struct.pack("<Q", ((32 << 20) - 8192) // 512)
with open("rest", "r+b") as disk:
    disk.seek((8 << 20) - 8192)
    disk.write(block)
PYTHON
}
flip() {
    local byte
    byte=$(od -An -tu1 -j "$2" -N 1 "$1")
    printf '%b' "\\x$(printf %x $((byte ^ 1)))" | dd of="$1" oflag=seek_bytes conv=notrunc seek="$2" status=none
}

# shellcheck disable=SC2016 # the disk expands them
faulty_disk() {
    local name=$1 file=$work/$2 pair method
    local -A script=([get_size]="stat -c %s '$file'" [can_write]="exit 0" [can_flush]="exit 0" [flush]="sync '$file'"
        [pread]='eval "$read"' [pwrite]='eval "$write"')
    local read="dd if='$file' iflag=skip_bytes,count_bytes skip=\$4 count=\$3 bs=1M status=none"
    local write="dd of='$file' oflag=seek_bytes conv=notrunc seek=\$4 iflag=fullblock bs=1M status=none"
    local arguments=()
    shift 2
    for pair in "$@"; do
        script[${pair%%=*}]=${pair#*=}
    done
    for method in "${!script[@]}"; do
        arguments+=("$method=cd '$work'; read=\"$read\"; write=\"$write\"; eio='echo EIO bad sector >&2; exit 1'; ${script[$method]}")
    done
    start_nbd "$name" --pidfile="$work/$name.nbdkit" eval "${arguments[@]}"
}
idle_peers() {
    cat >idle.py <<'END'
import os, select, socket, sys, time
port, info_hash, message = int(sys.argv[1]), bytes.fromhex(sys.argv[2]), bytes.fromhex(sys.argv[3])
def connect(number):
    try:
        peer = socket.socket()
        peer.bind((f"127.0.0.{100 + number % 50}", 0))
        peer.connect(("127.0.0.1", port))
        peer.sendall(b"\x13BitTorrent protocol" + bytes(8) + info_hash + b"-XX0000-" + os.urandom(12) + message)
        return peer
    except OSError:
        return None
peers = [connect(number) for number in range(150)]
print("connected", flush=True)
while True:
    for number, peer in enumerate(peers):
        gone = peer is None
        if not gone and select.select([peer], [], [], 0)[0]:
            try:
                gone = not peer.recv(65536)
            except OSError:
                gone = True
        if gone:
            peers[number] = connect(number)
    time.sleep(0.2)
END
    /usr/bin/python3 idle.py "$seed_port" "$(grep -oE '[0-9a-f]{40}' sda1.created)" "${1:-}" >idle.out 2>&1 &
    defer idle end_process "$!"
    expect_line idle.out connected
}
