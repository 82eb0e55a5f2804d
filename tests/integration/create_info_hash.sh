#!/bin/bash
# From partclone's output, seedbed create makes the same torrent as the recipe with libtorrent's Python bindings: the same info
# dictionary and therefore the same info-hash. Also checks its refusals and exit statuses. SEEDBED is the program.
# Needs partclone, mkfs.ext4, debugfs, mkfs.vfat, mtools and python3-libtorrent; uses image files and mounts nothing.
# Labels: once
set -euo pipefail

here=$(dirname "$(readlink -f "$0")")
seedbed=${SEEDBED:?path of the seedbed program}
python=/usr/bin/python3

skip() {
    echo "SKIP: $1"
    exit 77
}
fail() {
    echo "FAIL: $1" >&2
    exit 1
}

export PATH=$PATH:/usr/sbin:/sbin
for tool in partclone.ext4 partclone.vfat mkfs.ext4 debugfs mkfs.vfat mcopy mdel; do
    command -v "$tool" >/dev/null || skip "$tool is not installed"
done
"$python" -c 'import libtorrent' 2>/dev/null || skip "python3-libtorrent is not installed"

work=$(mktemp -d "${TMPDIR:-/tmp}/seedbed-create-XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"
mkdir files out

# capture FS IMAGE FOLDER: makes partclone's torrent.info of an image file.
capture() {
    mkdir -p "$3"
    "partclone.$1" -c -t -f 0 -s "$2" -O "$3" --buffer_size 16777216 -L "$work/partclone.log" >"$work/partclone.out" 2>&1 || {
        cat "$work/partclone.out" "$work/partclone.log" >&2
        fail "partclone.$1 could not capture $2"
    }
    [[ -s $3/torrent.info ]] || fail "partclone.$1 wrote no torrent.info"
}

# info_dict TORRENT: prints its info dictionary, bencoded.
info_dict() {
    "$python" -c 'import libtorrent, sys
torrent = libtorrent.bdecode(open(sys.argv[1], "rb").read())
sys.stdout.buffer.write(libtorrent.bencode(torrent[b"info"]))' "$1"
}

# compare TORRENT_INFO NAME LEAST_EXTENTS: fails unless create and the recipe agree.
compare() {
    local info=$1 name=$2 least=$3 expected line hash extents
    expected=$("$python" "$here/partclone_recipe.py" "$info" "$name" expected.torrent)
    line=$("$seedbed" create --partclone "$info" --name "$name" --tracker http://10.0.0.1:6969/announce \
        --tracker http://10.0.0.2:6969/announce -o made.torrent --force)
    echo "$line"
    hash=$(sed -n 's/.*info-hash \([0-9a-f]\{40\}\)$/\1/p' <<<"$line")
    [[ $hash == "$expected" ]] || fail "info-hash of $name: $hash, the recipe gives $expected"
    cmp <(info_dict made.torrent) <(info_dict expected.torrent) || fail "info dictionaries of $name differ"
    extents=$(grep -c '^offset: ' "$info")
    ((extents >= least)) || fail "$info has only $extents extents, the test needs $least"
    [[ $line == "$name: $extents extent"* ]] || fail "the line does not begin with the name and the extents: $line"
    "$seedbed" create --partclone "$info" --name "$name" -o made.torrent --force --json >made.json
    "$python" -c 'import json, sys
made = json.load(open("made.json"))
want = {"format": 1, "name": sys.argv[1], "path": "made.torrent", "extents": int(sys.argv[2]), "bytes": made["bytes"],
        "pieces": int(sys.argv[3]), "piece_size": 16 << 20, "info_hash": sys.argv[4], "seconds": made["seconds"]}
sys.exit(made != want or made["bytes"] <= 0)' "$name" "$extents" "$(grep -c '^sha1: ' "$info")" "$expected" ||
        fail "unexpected --json output for $name: $(<made.json)"
}

# File systems with many extents: small files, half of them deleted.
for i in $(seq 1500); do
    head -c $((1000 + i % 5 * 1000)) /dev/urandom >"files/f$i"
done
head -c 20M /dev/urandom >files/large

truncate -s 96M ext4.img
mkfs.ext4 -q -F -b 1024 -N 8192 ext4.img
{
    for i in $(seq 1500); do echo "write files/f$i f$i"; done
    echo "write files/large large"
    for i in $(seq 1 2 1500); do echo "rm f$i"; done
} | debugfs -w -f - ext4.img >debugfs.out 2>&1
capture ext4 ext4.img ext4
compare ext4/torrent.info sda1 300
compare ext4/torrent.info vg/root 300
compare ext4/torrent.info deep/er/path 300

truncate -s 64M vfat.img
mkfs.vfat -F 32 -s 1 vfat.img >mkfs.out
mcopy -i vfat.img files/f1* ::/
mcopy -i vfat.img files/large ::/
for i in $(seq 101 2 199); do mdel -i vfat.img "::/f$i"; done
capture vfat vfat.img vfat
compare vfat/torrent.info nvme0n1p1 40

# One extent: the used clusters of an empty vfat are contiguous.
truncate -s 16M one.img
mkfs.vfat -F 16 one.img >mkfs.out
capture vfat one.img one
[[ $(grep -c '^offset: ' one/torrent.info) -eq 1 ]] || fail "an empty vfat has more than one extent"
compare one/torrent.info sda1 1
compare one/torrent.info vg/root 1

# create keeps an existing file, and leaves no temporary file next to it.
# expect STATUS PATTERN ARGUMENT...: expects create to fail with this exit status and one line on standard error.
expect() {
    local want=$1 pattern=$2 status=0
    shift 2
    "$seedbed" create "$@" >stdout 2>stderr || status=$?
    [[ $status -eq $want ]] || fail "create $*: exit status $status instead of $want: $(<stderr)"
    grep -q -- "$pattern" stderr || fail "create $*: '$(<stderr)' does not contain '$pattern'"
    [[ $(wc -l <stderr) -eq 1 && ! -s stdout ]] || fail "create $*: more than one line"
}
good=(--partclone ext4/torrent.info --name sda1)
echo mine >out/mine.torrent
expect 1 'out/mine.torrent: already exists' "${good[@]}" -o out/mine.torrent
[[ $(<out/mine.torrent) == mine ]] || fail "a file was overwritten without --force"
expect 1 '/dev/full: not a regular file' "${good[@]}" -o /dev/full --force
expect 1 'out/missing/x.torrent: No such file' "${good[@]}" -o out/missing/x.torrent
expect 2 "unrecognised option '--nonsense'" "${good[@]}" -o out/x.torrent --nonsense
expect 2 '--output is missing' "${good[@]}"
expect 2 '--name is missing' --partclone ext4/torrent.info -o out/x.torrent
expect 2 '--partclone is missing' --name sda1 -o out/x.torrent
expect 2 "--name: image name '/dev/sda1' starts with a slash" --partclone ext4/torrent.info --name /dev/sda1 -o out/x.torrent
expect 2 "--tracker 'ftp://x' is not a tracker" "${good[@]}" -o out/x.torrent --tracker ftp://x
expect 2 'SOURCE cannot be combined' "${good[@]}" -o out/x.torrent extra
expect 3 'out/torrent.info: No such file' --partclone out/torrent.info --name sda1 -o out/x.torrent
sed '$d' ext4/torrent.info >short.info
expect 3 'short.info: .* sha1 lines\?, but' --partclone short.info --name sda1 -o out/x.torrent
sed '5s/length/lenght/;4s/length/lenght/' ext4/torrent.info >typo.info
expect 3 'typo.info:4: expected' --partclone typo.info --name sda1 -o out/x.torrent
[[ $(ls -A out) == mine.torrent ]] || fail "files were left behind: $(ls -A out)"
"$seedbed" create --help | grep -- --partclone >/dev/null || fail "--help does not name --partclone"

echo "PASS"
