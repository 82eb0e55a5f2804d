#!/bin/bash
# What uses the bytes of a device is found where mountinfo does not show it: a file system that is mounted in another mount namespace,
# below a loop device or on top of a file; the packed image that is below the target; a file that the result would replace. Nothing
# is written. SEEDBED is the program.
# Labels: once
set -euo pipefail
# shellcheck source=lib_daemon.sh
. "$(dirname "$0")/lib_daemon.sh"

need_loop
need mkfs.ext4 mkfs.vfat partclone.vfat unshare

# refused STATUS PATTERN ARGUMENT...: the command fails with one line that matches the pattern.
refused() {
    local want=$1 pattern=$2 status=0
    shift 2
    "$seedbed" "$@" >stdout 2>stderr || status=$?
    ((status == want)) || fail "$*: exit status $status: $(<stderr)"
    grep -qE -e "$pattern" stderr || fail "$*: '$(<stderr)' does not contain '$pattern'"
}
# done_with ARGUMENT...: the command succeeds.
done_with() {
    "$seedbed" "$@" >stdout 2>stderr || fail "$*: exit status $?: $(<stderr)"
}

head -c 1M /dev/urandom >small.img
done_with create small.img --pack --raw -o small.sbi
for name in used other; do
    truncate -s 64M "$name.img"
    mkfs.ext4 -q "$name.img"
done
lower=$(attach_loop used.img)
upper=$(attach_loop "$lower")
mkfifo ready over
# shellcheck disable=SC2016 # the other shell expands it
unshare --mount --propagation private bash -c 'mkdir elsewhere && mount "$1" elsewhere && echo precious >elsewhere/file && sync &&
    echo >ready && read -r _ <over; umount elsewhere' bash "$lower" &
other=$!
read -r _ <ready

# --- a target whose lower device is mounted elsewhere

refused 3 "$upper: its backing device $lower is in use by another program or device" restore small.sbi "$upper" --yes
# --- sources: the file, the loop device, and one on top of it

refused 3 "used.img: .*is on the same bytes and in use, perhaps mounted in another mount namespace \(pass --allow-mounted" \
    create used.img -o x.torrent
refused 3 "used.img: .*is on the same bytes and in use" create used.img --pack -o x.sbi
refused 3 "$lower: held by another program or device" create "$lower" --pack -o x.sbi
refused 3 "$upper: its backing device $lower is in use" create "$upper" --pack -o x.sbi
done_with create used.img --allow-mounted -o x.torrent
echo >over
wait "$other"
done_with create used.img -o y.torrent # a loop device that nothing uses is no obstacle
done_with restore small.sbi "$upper" --yes
cmp -n 1048576 small.img used.img || fail "used.img was not written"
detach_loop "$upper"
detach_loop "$lower"

# --- a packed image below the target

loop=$(attach_loop small.sbi)
cp small.sbi before
refused 2 'DEVICE is the packed image itself' restore small.sbi "$loop" --yes
detach_loop "$loop"
cmp small.sbi before || fail "the packed image was changed"

# --- a result that would replace what the command reads or writes

for file in small.sbi small.torrent other.img; do
    cp "$file" before
    refused 2 "--receipt .*$file: the result would replace .*$file; name another file" restore small.sbi other.img --yes --receipt "$file"
    cmp "$file" before || fail "$file was changed"
done
for file in small.torrent other.img; do
    cp "$file" before
    refused 2 "--receipt .*$file: the result would replace .*$file; name another file" deploy small.torrent other.img --yes --receipt "$file"
    cmp "$file" before || fail "$file was changed"
done
cp other.img before
refused 1 'other.img: the result would replace other.img' create other.img --force -o other.img
cp other.img other.sbi
refused 1 'other.sbi: the result would replace other.sbi' create other.sbi --pack --force -o other.sbi
cmp other.sbi before || fail "the source was changed"
cmp other.img before || fail "the source was changed"

# --- a capture whose file system is larger than the target, though all its used blocks fit

truncate -s 64M fat.img
mkfs.vfat -F 32 fat.img >mkfs.out
done_with create fat.img --capture -o fat.torrent
noise_file half.img 32
cp half.img before
refused 3 'half.img: too small: it has 33554432 bytes, the image needs 67108864' deploy fat.torrent half.img --yes
cmp half.img before || fail "a target that is too small was written"
pass
