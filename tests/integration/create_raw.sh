#!/bin/bash
# seedbed create on block devices and image files: raw, with and without holes, and through partclone (--capture, --bt-dir); its
# refusals and messages; no files left after a failure or an interruption. SEEDBED is the program.
# Labels: threads
set -euo pipefail
# shellcheck source=lib_daemon.sh
. "$(dirname "$0")/lib_daemon.sh"

need_loop
need partclone.ext4 mkfs.ext4 debugfs mkswap jq script unshare
/usr/bin/python3 -c 'import libtorrent' 2>/dev/null || skip "python3-libtorrent is not installed"
export TMPDIR=$work/tmp
mkdir tmp out

# check_torrent TORRENT SOURCE NAME PIECE_SIZE all|holes|any: checks TORRENT without Seedbed; prints extents, bytes, pieces and hash.
check_torrent() {
    /usr/bin/python3 "$here/lib_torrent.py" "$@" || fail "$1 is not a torrent of $2"
}
nothing_left() {
    [[ -z $(ls -A tmp) ]] || fail "$1: left in TMPDIR: $(ls -A tmp)"
    [[ -z $(ls -A out) ]] || fail "$1: left in the output folder: $(ls -A out)"
}
# refuse STATUS PATTERN ARGUMENT...: expects create to fail with this exit status and one line on standard error, without a file.
refuse() {
    local want=$1 pattern=$2 status=0
    shift 2
    "$seedbed" create "$@" >stdout 2>stderr || status=$?
    ((status == want)) || fail "create $*: exit status $status instead of $want: $(<stderr)"
    grep -qE -e "$pattern" stderr || fail "create $*: '$(<stderr)' does not contain '$pattern'"
    [[ $(wc -l <stderr) -eq 1 && ! -s stdout ]] || fail "create $*: more than one line: $(<stderr)"
    nothing_left "create $*"
}

# --- raw: a device whose size is not a multiple of a page, and files

head -c $(((40 << 20) + 512)) /dev/urandom >device.img
loop=$(attach_loop device.img)
"$seedbed" create "$loop" --name disk/one -o refused.torrent --piece-size "4 MiB" --json 2>progress >made.json
grep -qE '^hashed 40 MiB in ' progress || fail "the progress output is: $(<progress)"
jq -e --arg path refused.torrent '.format == 1 and .path == $path and .name == "disk/one" and
    .piece_size == 4194304 and .extents == 1 and .bytes == 41943552 and .pieces == 11 and .seconds > 0' made.json >found ||
    fail "the --json output is $(<made.json)"
rm refused.torrent

"$seedbed" create "$loop" -o device.torrent 2>progress >line
read -r extents bytes pieces hash <<<"$(check_torrent device.torrent device.img "${loop##*/}" 16777216 all)"
[[ $(head -n 1 line) == "${loop##*/}: 1 extent, $bytes bytes, $pieces pieces, info-hash $hash" ]] || fail "the output is: $(<line)"
[[ $extents,$bytes,$pieces == 1,41943552,3 ]] || fail "$extents extents, $bytes bytes, $pieces pieces"

truncate -s $(((30 << 20) + 777)) sparse.img
for mib in 0 7 8 21; do
    dd if=device.img of=sparse.img bs=1M seek="$mib" count=1 conv=notrunc status=none
done
printf end | dd of=sparse.img bs=1 seek=$(((30 << 20) + 774)) conv=notrunc status=none
"$seedbed" create sparse.img -o sparse.torrent --name sparse 2>progress >line
read -r extents bytes _ <<<"$(check_torrent sparse.torrent sparse.img sparse 16777216 holes)"
[[ $extents,$bytes == 4,$(((4 << 20) + 777)) ]] || fail "the sparse file has $extents extents, $bytes bytes"
"$seedbed" create sparse.img -o whole.torrent --name sparse --no-sparse --piece-size 65536 --private \
    --tracker http://10.0.0.1:6969/announce --tracker udp://10.0.0.2:6969 2>progress >line
read -r extents bytes _ <<<"$(check_torrent whole.torrent sparse.img sparse 65536 all)"
[[ $extents,$bytes == 1,$(((30 << 20) + 777)) ]] || fail "with its holes the file has $extents extents, $bytes bytes"
/usr/bin/python3 -c '
import libtorrent
torrent = libtorrent.bdecode(open("whole.torrent", "rb").read())
first, second = b"http://10.0.0.1:6969/announce", b"udp://10.0.0.2:6969"
assert torrent[b"announce"] == first and torrent[b"announce-list"] == [[first], [second]], torrent
assert torrent[b"info"][b"private"] == 1' || fail "trackers or --private are not in the torrent"

# --- an existing torrent is kept, except with --force

before=$(sha1sum device.torrent)
status=0
"$seedbed" create sparse.img -o device.torrent >stdout 2>stderr || status=$?
[[ $status -eq 1 && $(<stderr) == "seedbed create: device.torrent: already exists" ]] || fail "$status: $(<stderr)"
[[ $(sha1sum device.torrent) == "$before" ]] || fail "a torrent was replaced without --force"
cp device.torrent forced.torrent
"$seedbed" create sparse.img --name sparse -o forced.torrent --force >stdout 2>stderr
cmp -s forced.torrent sparse.torrent || fail "--force did not replace the torrent"

# --- partclone: the same torrent as with partclone run by hand

truncate -s 32M ext4.img
ext4=$(attach_loop ext4.img)
make_file_system ext4 "$ext4" 4
cp --sparse=always ext4.img unclean.img
debugfs -w -R "ssv state 0" unclean.img >debugfs.out 2>&1
# In parallel, since each partclone waits for two seconds before it exits.
"$seedbed" create unclean.img --capture -o out/x.torrent 2>unclean.out &
unclean=$!
capture ext4 "$ext4" ext4 &
by_hand=$!
partclone.ext4 -c -T -s "$ext4" -O bt --buffer_size 16777216 -L bt.log >bt.out 2>&1 &
with_data=$!
"$seedbed" create "$ext4" --capture --name ext4 -o captured.torrent 2>progress >line
wait "$by_hand"
# Its comment, which the info-hash does not cover, says what it was made of.
/usr/bin/python3 -c '
import libtorrent, sys
captured, by_hand = (libtorrent.bdecode(open(name, "rb").read()) for name in sys.argv[1:])
assert captured.pop(b"comment") == b"seedbed kind=partition content=ext4 sector=1024 size=33554432", captured
assert by_hand.pop(b"comment") == b"seedbed kind=partition", by_hand
assert captured == by_hand' captured.torrent ext4.torrent || fail "--capture makes a different torrent than partclone.ext4 and --partclone"
grep -qE '^partclone\.ext4 captured ' progress || fail "--capture prints $(<progress)"
status=0
wait "$unclean" || status=$?
[[ $status -eq 1 && $(<unclean.out) == "seedbed create: "*"partclone.ext4 could not capture unclean.img: "*"not cleanly unmounted; pass --raw-if-needed "* ]] ||
    fail "a file system that was not unmounted cleanly: exit status $status, $(<unclean.out)"
nothing_left "--capture"
wait "$with_data" || fail "partclone -T: $(<bt.out)"
"$seedbed" create --bt-dir bt --name ext4 -o bt.torrent >line 2>progress
cmp bt.torrent ext4.torrent || fail "--bt-dir makes a different torrent than --partclone"
file=$(find bt -name '0*' -size +64k -print -quit)
chmod u+w "$file"
flip "$file" 5000
refuse 3 "bt: its files do not match torrent.info: the SHA-1 of piece [0-9]+ differs" --bt-dir bt --name ext4 -o out/x.torrent
truncate -s -1 "$file"
refuse 3 "$file: has [0-9]+ bytes, the extent [0-9]+$" --bt-dir bt --name ext4 -o out/x.torrent

# --- without a usable partclone: refused, or with --raw-if-needed a raw image, and one line with the reason

# falls_back SOURCE REASON [COMMAND...]: expects a raw image and a line with the reason.
falls_back() {
    local source=$1 reason=$2
    shift 2
    rm -f fallen.torrent
    "$@" "$seedbed" create "$source" --capture --name fallen -o fallen.torrent >line 2>progress && fail "$source is captured" || ((status = $?, status == 3))
    grep -qxF "seedbed create: $source: $reason; pass --raw-if-needed to take a raw image of all its bytes" progress || fail "$source: $(<progress)"
    [[ ! -e fallen.torrent ]] || fail "$source: a torrent is left"
    "$@" "$seedbed" create "$source" --capture --raw-if-needed --name fallen -o fallen.torrent >line 2>progress
    grep -qxF "seedbed create: $source: $reason; taking a raw image" progress || fail "$source: $(<progress)"
    check_torrent fallen.torrent "$source" fallen 16777216 any >found
}
falls_back device.img "no file system found"
head -c 4M /dev/zero >swap.img
mkswap swap.img >mkfs.out 2>&1
falls_back swap.img "partclone does not support swap"
without_partclone() {
    unshare --mount sh -c 'mount --bind /dev/null "$(command -v partclone.ext4)" && exec "$@"' sh "$@"
}
falls_back ext4.img "partclone.ext4 is not installed" without_partclone

# --- refusals

mount_at rw -t ext4 "$ext4"
refuse 3 "$ext4: mounted read-write on $work/rw \(pass --allow-mounted " "$ext4" -o out/x.torrent
refuse 3 "$ext4: mounted read-write on " "$ext4" --capture -o out/x.torrent
"$seedbed" create "$ext4" --allow-mounted --name mounted -o mounted.torrent >line 2>progress
unmount rw
mount_at ro -t ext4 -o ro "$ext4"
"$seedbed" create "$ext4" --capture --name ext4 -o captured.torrent --force >line 2>progress || fail "$(<progress)"
unmount ro
: >empty.img
truncate -s 5M hollow.img
mkfifo pipe
refuse 3 'empty.img: is empty' empty.img -o out/x.torrent
refuse 3 'hollow.img: contains nothing but holes' hollow.img -o out/x.torrent
refuse 3 'missing.img: No such file' missing.img -o out/x.torrent
refuse 3 'pipe: a named pipe, neither' pipe -o out/x.torrent
refuse 2 'expected a power of two from 16 KiB to 64 MiB' device.img -o out/x.torrent --piece-size 17KiB
refuse 2 'not a size' device.img -o out/x.torrent --piece-size large
refuse 2 "piece-size does not apply to partclone's output" device.img --capture -o out/x.torrent --piece-size "1 MiB"
refuse 2 'need a SOURCE' --partclone ext4.info --name x -o out/x.torrent --no-sparse
refuse 2 'SOURCE cannot be combined' device.img --bt-dir bt --name x -o out/x.torrent
refuse 2 'SOURCE or --partclone is missing' -o out/x.torrent
refuse 1 'out/missing/x.torrent: No such file' device.img -o out/missing/x.torrent

# --- the progress line fits a terminal of 80 columns

script -qec "stty cols 80; '$seedbed' create device.img -o terminal.torrent" terminal.out >shown
grep -q $'\r\e\\[Khashing  *[0-9]*% \\[' terminal.out || fail "no progress bar: $(cat -v terminal.out)"
! tr '\r' '\n' <terminal.out | grep -E $'^\e\\[Khashing.{73}' || fail "a progress line is too long"

# --- a daemon seeds the raw image, and a target receives every byte

write_config seed.toml "$(free_port)"
seed_port=$(sed -n 's/.*127.0.0.1:\([0-9]*\).*/\1/p' seed.toml)
add_image seed.toml device device.torrent "$loop" seed
add_image seed.toml sparse sparse.torrent "$work/sparse.img" seed
"$seedbed" daemon -c seed.toml --check-config >foretold || fail "--check-config: $(<foretold)"
noise_file target.img 41
truncate -s "$(stat -c %s device.img)" target.img
write_config deploy.toml "$(free_port)"
add_image deploy.toml device device.torrent "$work/target.img" deploy "peers = [\"127.0.0.1:$seed_port\"]"
start_daemon seed seed.toml
start_daemon deploy deploy.toml
expect_line deploy.log ' device: done: '
stop_daemon deploy
stop_daemon seed
cmp device.img target.img || fail "the target differs from the source of the raw image"

# --- a slow disk and a failing one: no files are left

if ! has nbdkit nbdfuse fusermount3 || [[ ! -c /dev/fuse ]]; then
    echo "SKIP interruption and disk errors: nbdkit, nbdfuse or /dev/fuse is missing"
    pass
fi
slow=$(start_nbd slow --filter=rate file ext4.img rate=8M) # the disk takes 30 s, so that create is still reading when the signal arrives
# interrupt SIGNAL STATUS ARGUMENT...: sends SIGNAL while create reads the disk.
interrupt() {
    local signal=$1 want=$2 pid status=0 fields before
    shift 2
    read -ra fields <"/sys/block/${slow##*/}/stat"
    before=${fields[2]}
    env --default-signal="$signal" "$seedbed" create "$slow" -o out/x.torrent "$@" >stdout 2>stderr &
    pid=$!
    defer create end_process "$pid"
    until read -ra fields <"/sys/block/${slow##*/}/stat" && ((fields[2] > before + 4096)); do
        kill -0 "$pid" 2>/dev/null || fail "create ended before it could be interrupted: $(<stderr)"
        sleep 0.02
    done
    kill -s "$signal" "$pid"
    { wait "$pid"; } 2>/dev/null || status=$?
    ((status == want)) || fail "interrupted by $signal: exit status $status: $(<stderr)"
    grep -qxF 'seedbed create: interrupted; nothing was written' stderr || fail "interrupted by $signal: $(<stderr)"
    nothing_left "interrupted by $signal"
    ! pgrep -f "partclone.* -s $slow " >found || fail "partclone still runs: $(<found)"
}
interrupt INT 130
interrupt TERM 143 --capture
stop_nbd slow

failing=$(start_nbd failing --filter=error file ext4.img error-pread=EIO error-pread-rate=100% \
    error-pread-file="$work/trigger")
touch trigger
refuse 1 "read $failing: offset [0-9]+, length 4096: Input/output error \(EIO\)" "$failing" -o out/x.torrent
rm trigger
pass
