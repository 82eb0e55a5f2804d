#!/bin/bash
# create refuses a file system whose journal was not replayed: what was written last is not in its lists of used blocks. All its bytes
# can be taken, and a system that mounts them finds every file. SEEDBED is the program.
# Labels: once
set -euo pipefail
# shellcheck source=lib_daemon.sh
. "$(dirname "$0")/lib_daemon.sh"
# shellcheck source=lib_packed.sh
. "$here/lib_packed.sh"

need_loop
need mkfs.ext4 partclone.ext4 sfdisk

# crash TYPE: makes crash.img, the bytes of a file system as a power failure leaves them, with a file that its journal knows of.
crash() {
    local device
    rm -f live.img crash.img
    truncate -s 320M live.img
    "mkfs.$1" -q live.img >mkfs.out 2>&1
    device=$(attach_loop live.img)
    mount_at tree "$device" -o "$([[ $1 == ext4 ]] && echo commit=600 || echo noatime)"
    echo first >tree/first
    sync -f tree
    cp noise tree/last
    sync tree/last # and not the blocks that it changes in place
    cp --sparse=never live.img crash.img
    unmount tree
    detach_loop "$device"
}
# refused SOURCE OPTION...: create refuses it with a line, and leaves no file behind.
refused() {
    local status=0
    mkdir out
    "$seedbed" create "$@" -o out/x.sbi >stdout 2>stderr || status=$?
    ((status == 3)) || fail "$type: create $*: exit status $status: $(<stderr)"
    grep -qE "^seedbed create: $1: .*it was not unmounted, so its journal holds changes .*; pass --raw-if-needed" stderr ||
        fail "create $*: $(<stderr)"
    rmdir out || fail "create $* leaves $(ls -A out)"
}
# finds_last FILE: a system that mounts it finds the file that was written last.
finds_last() {
    local device
    device=$(attach_loop "$1")
    mount_at restored "$device"
    cmp noise restored/last || fail "$1: the file that was written last differs"
    unmount restored
    detach_loop "$device"
}

noise_file noise 1 # btrfs logs a small file; for a large one, it commits everything
for type in ext4 xfs btrfs; do
    if ! has "mkfs.$type" "partclone.$type" || ! can_mount "$type"; then
        echo "left out: $type"
        continue
    fi
    crash "$type"
    refused crash.img --pack
    refused crash.img --capture
    "$seedbed" create crash.img --pack --raw-if-needed -o "$type.sbi" >stdout 2>stderr || fail "create: $(<stderr)"
    grep -q 'it was not unmounted, .*; packing all its bytes$' stderr || fail "create: $(<stderr)"
    noise_file target.img 320
    "$seedbed" restore "$type.sbi" target.img --yes >stdout 2>stderr || fail "restore: $(<stderr)"
    finds_last target.img

    # In a partition of a disk.
    truncate -s 330M disk.img
    printf 'label: gpt\nstart=1MiB, size=320MiB, type=L\n' | sfdisk -q disk.img
    dd if=crash.img of=disk.img bs=1M seek=1 conv=notrunc status=none
    refused disk.img --pack
    rm -f disk.img ./*.sbi ./*.torrent

    # Mounted and unmounted, its used blocks are known.
    finds_last crash.img
    "$seedbed" create crash.img --pack -o clean.sbi >stdout 2>stderr || fail "create of a clean $type: $(<stderr)"
    rm clean.*
done
pass
