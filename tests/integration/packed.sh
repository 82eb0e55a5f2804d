#!/bin/bash
# Packed images of partitions: create --pack, an independent reader, restore, verify, probe, and what one damaged byte does in the
# packed file, in the .torrent and on the target. SEEDBED is the program.
# Labels: threads
set -euo pipefail
# shellcheck source=lib_daemon.sh
. "$(dirname "$0")/lib_daemon.sh"
# shellcheck source=lib_packed.sh
. "$here/lib_packed.sh"

need_loop
need partclone.ext4 partclone.ntfs partclone.btrfs mkfs.ext4 mkfs.ntfs mkfs.btrfs e2fsck blkid zstd jq cmp
reader=$(dirname "$here")/support/unpack_image.py
mkdir out tmp
export TMPDIR=$work/tmp

# pack SOURCE NAME [OPTION...]: makes out/NAME.sbi; what it prints is in line and progress.
pack() {
    local source=$1 name=$2
    shift 2
    "$seedbed" create "$source" --pack -o "out/$name.sbi" "$@" >line 2>progress || fail "create $source: $(<progress)"
    [[ -z $(ls -A tmp) ]] || fail "left in TMPDIR: $(ls -A tmp)"
    [[ $(find out -name '.*' -type f) == '' ]] || fail "left beside the image: $(ls -A out)"
}
# read_back NAME SOURCE: unpacks out/NAME.sbi without Seedbed to NAME.unpacked; its extents, in NAME.extents, are equal on SOURCE.
read_back() {
    /usr/bin/python3 "$reader" "out/$1.torrent" "out/$1.sbi" "$1.unpacked" >"$1.extents" || fail "another reader refuses $1"
    local offset length
    while read -r offset length; do
        cmp -s -i "$offset" -n "$length" "$1.unpacked" "$2" || fail "$1 differs from $2 at $offset, length $length"
    done <"$1.extents"
}
# expect STATUS PATTERN COMMAND...: runs Seedbed, expects this exit status and a line on standard error.
expect() {
    local want=$1 pattern=$2 status=0
    shift 2
    "$seedbed" "$@" >stdout 2>stderr </dev/null || status=$?
    ((status == want)) || fail "$*: exit status $status instead of $want: $(<stderr)"
    [[ -z $pattern ]] || grep -qE -e "$pattern" stderr || fail "$*: '$(<stderr)' does not contain '$pattern'"
}
# tree FOLDER: everything in it, with contents.
tree() {
    (cd "$1" && find . -path ./lost+found -prune -o -printf '%p %y %m %U %G %s %l\n' | sort && find . -type f -print0 | sort -z |
        xargs -0 sha1sum)
}

# --- a file system with real files

packed_files files 6
truncate -s 20M files/sparse
truncate -s 80M ext4.img
mkfs.ext4 -q -F -L golden -d files ext4.img
source=$(attach_loop ext4.img)
pack "$source" ext4 --jobs 2
grep -qE '^packed [0-9.]+ MiB in ' progress || fail "the progress output is: $(<progress)"
grep -qE '^ext4\.sbi: [0-9]+ extents?, [0-9]+ bytes packed into [0-9]+ \([0-9.]+:1\), [0-9]+ pieces?, info-hash [0-9a-f]{40}$' line ||
    fail "the output is: $(<line)"
read_back ext4 ext4.img
e2fsck -fn ext4.unpacked >fsck.out 2>&1 || fail "the unpacked file system: $(<fsck.out)"
(($(stat -c %s out/ext4.sbi) * 2 < $(stat -c %b ext4.img) * 512)) || fail "the packed file is not smaller: $(<line)"

# A terminal shows how far it is: rate, time left and ratio.
script -qefc "'$seedbed' create '$source' --pack -o out/shown.sbi --level 15" typescript </dev/null >script.out ||
    fail "create on a terminal: $(<script.out)"
grep -qE '[0-9.]+/[0-9.]+ MiB.* MiB/s.* left.* [0-9]+\.[0-9]{2}:1' typescript || fail "the terminal shows: $(<typescript)"

# The bytes do not depend on the threads, and the .torrent not on the time.
pack ext4.img again --jobs 1 --json
jq -e '.format == 1 and .name == "again.sbi" and .path == "out/again.torrent" and .packed_path == "out/again.sbi"
    and .bytes > .packed_bytes and .piece_size == 4194304 and .pieces > 0 and .seconds > 0' line >found || fail "the JSON is: $(<line)"
cmp out/ext4.sbi out/again.sbi || fail "the packed bytes depend on the number of threads"
pack ext4.img small --level 12 --piece-size "1 MiB"
(($(stat -c %s out/small.sbi) < $(stat -c %s out/ext4.sbi))) || fail "level 12 is not smaller"
read_back small ext4.img

"$seedbed" probe out/ext4.sbi >probed || fail "probe fails"
grep -qx 'ext4.sbi: partition of 80 MiB in sectors of 512 bytes, ext4 "golden"' probed || fail "probe prints: $(<probed)"
"$seedbed" probe out/ext4.sbi --json >probed.json
jq -e '.packed_images[0] | .kind == "partition" and .content == "ext4" and .label == "golden" and .size == 83886080' probed.json \
    >found || fail "probe prints: $(<probed.json)"

# --- restore: to a device that holds something else

noise_file target.img 140
mkfs.btrfs -q -f -L old target.img >mkfs.out 2>&1
target=$(attach_loop target.img)
expect 9 'not a terminal; pass --yes' restore out/ext4.sbi "$target"
[[ $(blkid -p -o value -s LABEL "$target") == old ]] || fail "a restoration that was not confirmed has written"
"$seedbed" restore out/ext4.sbi "$target" --yes >stdout 2>stderr || fail "restore: $(<stderr)"
grep -qE "^$target: restored [0-9.]+ MiB in .* verified in " stdout || fail "restore prints: $(<stdout)"
grep -q 'holds     btrfs "old"' stderr || fail "the question does not name what the device holds: $(<stderr)"
[[ $(blkid -p -o value -s TYPE "$target") == ext4 ]] || fail "blkid finds: $(blkid -p "$target")"
while read -r offset length; do
    cmp -s -i "$offset" -n "$length" target.img ext4.img || fail "the target differs at $offset, length $length"
done <ext4.extents
e2fsck -fn "$target" >fsck.out 2>&1 || fail "the restored file system: $(<fsck.out)"
mount_at golden -o ro "$source"
mount_at restored -o ro "$target"
tree golden >golden.tree
tree restored >restored.tree
cmp golden.tree restored.tree || fail "the restored tree differs: $(diff golden.tree restored.tree | head -n 5)"
unmount golden
expect 3 'mounted on' restore out/ext4.sbi "$target" --yes
unmount restored
"$seedbed" verify out/ext4.torrent "$target" >stdout || fail "verify finds a difference: $(<stdout)"
grep -qE "^$target: equal: [0-9.]+ MiB in " stdout || fail "verify prints: $(<stdout)"

# --- one damaged byte on the target

read -r offset length < <(tail -n 1 ext4.extents)
damaged=$((offset + length - 1000))
sync "$target"
flip "$target" "$damaged"
sync "$target"
expect 1 '' verify out/ext4.torrent "$target"
[[ $(head -n 1 stdout) == "$target: 1 of "*" chunks differ: "*" in 1 extent" ]] || fail "verify prints: $(<stdout)"
read -r bad_offset bad_length < <(sed -n '2s/^offset \([0-9]*\), length \([0-9]*\)$/\1 \2/p' stdout)
((bad_offset <= damaged && damaged < bad_offset + bad_length)) || fail "verify names another place than $damaged: $(<stdout)"
"$seedbed" verify out/ext4.torrent "$target" --json >stdout && fail "verify --json finds no difference"
jq -e --argjson at "$damaged" '(.equal | not) and .bad_chunks == 1 and .bad_extents[0].offset <= $at and .complete' stdout >found ||
    fail "verify --json prints: $(<stdout)"

# --- one damaged byte in the packed file: nothing of that piece is written, and the target looks like nothing

pieces=$(jq -r '.packed_images[0].pieces' probed.json)
((pieces >= 2)) || fail "the image has only $pieces piece"
piece_size=$((4 << 20))
cp out/ext4.sbi bad.sbi
flip bad.sbi $(((pieces - 1) * piece_size + 3000))
expect 10 "bad.sbi: piece $((pieces - 1)) \(bytes .*\) is damaged: its SHA-1 differs from that in the .torrent; $target is incomplete" \
    restore bad.sbi "$target" --yes --torrent out/ext4.torrent
[[ -z $(blkid -p "$target") ]] || fail "an incomplete target looks like: $(blkid -p "$target")"
"$seedbed" restore out/ext4.sbi "$target" --yes --no-verify >stdout 2>stderr || fail "restore after a failure: $(<stderr)"
grep -q 'not verified$' stdout || fail "restore --no-verify prints: $(<stdout)"
"$seedbed" verify out/ext4.torrent "$target" >stdout || fail "the second restoration differs: $(<stdout)"

head -c -1 out/ext4.sbi >short.sbi
expect 3 'short.sbi: has [0-9]+ bytes, its .torrent states [0-9]+' restore short.sbi "$target" --yes --torrent out/ext4.torrent
expect 4 'No such file' restore short.sbi "$target" --yes
expect 1 'short.torrent: No such file' probe short.sbi

# --- one damaged byte in the .torrent

at=$(grep -abo 'seedbed index' out/ext4.torrent | cut -d: -f 1)
cp out/ext4.torrent bad.torrent
flip bad.torrent $((at + 100))
expect 4 'bad.torrent: its index is damaged: the SHA-256 differs' restore out/ext4.sbi "$target" --yes --torrent bad.torrent
expect 4 'bad.torrent: its index is damaged: the SHA-256 differs' verify bad.torrent "$target"
"$seedbed" verify out/ext4.torrent "$target" >stdout || fail "a refused restoration has written"

# --- targets that are refused

truncate -s 60M small.img
expect 3 'small.img: too small: it has 62914560 bytes, the image needs 83886080' restore out/ext4.sbi small.img --yes
expect 3 'serial' restore out/ext4.sbi "$target" --yes --serial OTHER
expect 2 'DEVICE is the packed image itself' restore out/ext4.sbi out/ext4.sbi --yes
expect 2 'mutually exclusive' restore out/ext4.sbi "$target" --verify --no-verify

# --- a file as the target: holes of the source are zeros

noise_file file.img 80
pack ext4.img raw --raw
"$seedbed" restore out/raw.sbi file.img --yes >stdout 2>stderr || fail "restore to a file: $(<stderr)"
cmp file.img ext4.img || fail "a packed image of all bytes is not restored"

# --- what partclone loses is in the image

truncate -s 16M ntfs.img
mkfs.ntfs -q -F -f ntfs.img >mkfs.out 2>&1
pack ntfs.img ntfs
! grep -q 'leaves out' progress || fail "the image leaves something out: $(<progress)"
read_back ntfs ntfs.img
grep -qx '16776704 512' ntfs.extents || fail "the backup boot sector is not in the image: $(<ntfs.extents)"
truncate -s 256M btrfs.img
mkfs.btrfs -q -f btrfs.img >mkfs.out 2>&1
pack btrfs.img btrfs
read_back btrfs btrfs.img
cmp -i 67108864 -n 4096 btrfs.unpacked btrfs.img || fail "the copy of the btrfs superblock is not in the image"

# --- sources and outputs that are refused; nothing is left

head -c 8M /dev/urandom >noise.img
expect 3 'noise.img: no file system found; pass --raw-if-needed to pack all its bytes' create noise.img --pack -o out/noise.sbi
pack noise.img noise --raw-if-needed
grep -q 'noise.img: no file system found; packing all its bytes' progress || fail "create prints: $(<progress)"
read_back noise noise.img
cmp noise.unpacked noise.img
expect 1 'out/noise.sbi: already exists' create noise.img --pack --raw -o out/noise.sbi
rm out/noise.sbi
expect 1 'out/noise.torrent: already exists' create noise.img --pack --raw -o out/noise.sbi
[[ ! -e out/noise.sbi ]] || fail "a refused creation has left a packed file"
expect 2 'must end in .sbi' create noise.img --pack --raw -o out/noise.img
head -c 1000 noise.img >odd.img
expect 3 'odd.img: a source of 1000 bytes: not whole sectors of 512 bytes' create odd.img --pack --raw -o out/odd.sbi
mount_at held "$source"
expect 3 "$source: mounted read-write on .*--allow-mounted" create "$source" --pack -o out/held.sbi
unmount held

# A full disk and an interruption leave no file.
mount_at tiny -t tmpfs -o size=1M tmpfs
expect 1 'tiny/x.sbi: .*No space left on device' create noise.img --pack --raw -o tiny/x.sbi
[[ -z $(ls -A tiny) ]] || fail "a full disk keeps: $(ls -A tiny)"
head -c 60M /dev/urandom >slow.img
ls out >before
"$seedbed" create slow.img --pack --raw --level 19 --jobs 1 -o out/slow.sbi >stdout 2>stderr &
creating=$!
until compgen -G 'out/.seedbed-*.new' >/dev/null || ! kill -0 "$creating" 2>/dev/null; do sleep 0.01; done
kill -INT "$creating" 2>/dev/null || true
kill -TERM "$creating" 2>/dev/null || true
status=0
wait "$creating" || status=$?
((status > 128)) || fail "an interrupted creation ends with $status: $(<stderr)"
ls out | cmp - before || fail "an interrupted creation leaves: $(ls -A out)"
[[ -z $(compgen -G 'out/.*.new' || true) ]] || fail "an interrupted creation leaves: $(ls -A out)"
pass
