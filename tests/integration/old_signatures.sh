#!/bin/bash
# Remains of an earlier use on a disk, outside the image: an md superblock at its end, which blkid prefers. It is wiped before the first
# write, and named if it is not; a LUKS header inside the image is overwritten by the image. Then the labels of a ZFS pool at both
# ends, btrfs below NTFS, ISO 9660 below XFS, and md 0.90. SEEDBED is the program.
# Labels: once
set -euo pipefail
# shellcheck source=lib_daemon.sh
. "$(dirname "$0")/lib_daemon.sh"

need_loop
need partclone.ext4 mkfs.ext4 blkid wipefs jq

truncate -s 32M source.img
mkfs.ext4 -q -F -L golden source.img
"$seedbed" create source.img --capture --name golden -o golden.torrent >created 2>create.err || fail "$(<create.err)"
port=$(free_port)
write_config seed.toml "$port"
add_image seed.toml golden golden.torrent "$work/source.img" seed
start_daemon seed seed.toml
expect_line seed.log ' ready$'

# leave_remains FILE: as an earlier use of the disk.
leave_remains() {
    /usr/bin/python3 - "$1" <<'PYTHON'
import struct, sys
size = 40 << 20
at = size - 8192
block = bytearray(4096)
block[0:8] = struct.pack("<II", 0xA92B4EFC, 1)  # md, metadata 1.0
block[16:32] = bytes(range(16))
block[144:152] = struct.pack("<Q", at // 512)
with open(sys.argv[1], "r+b") as disk:
    disk.truncate(size)
    disk.seek(at)
    disk.write(block)
    disk.seek(0)
    disk.write(b"LUKS\xba\xbe\0\1")
PYTHON
}
# deploy NAME [OPTION...]: deploys to a loop device of NAME.img.
deploy() {
    local name=$1
    shift
    : >"$name.img"
    leave_remains "$name.img"
    loop=$(attach_loop "$name.img")
    [[ $(blkid -p -o value -s TYPE "$loop") == linux_raid_member ]] || fail "blkid does not see the remains"
    "$seedbed" deploy golden.torrent "$loop" --yes --peer "127.0.0.1:$port" --no-local-discovery --state "$work/state-$name" \
        --receipt "$name.json" "$@" >"$name.out" 2>&1 || fail "deploy $name: $(<"$name.out")"
}

deploy wiped
grep -q "holds .*linux_raid_member.*crypto_LUKS" wiped.out || fail "the question does not name what the disk holds: $(<wiped.out)"
grep -A 2 '^and these signatures of earlier content will be erased$' wiped.out |
    grep -qx "  linux_raid_member at byte $(((40 << 20) - 8192))" || fail "the question does not name what is wiped: $(<wiped.out)"
grep -q "wiped the signature of earlier content: linux_raid_member at byte $(((40 << 20) - 8192))" wiped.out || fail "$(<wiped.out)"
(($(grep -c "wiped the signature" wiped.out) == 1)) || fail "wiped what the image overwrites: $(<wiped.out)"
[[ $(blkid -p -o value -s TYPE "$loop") == ext4 && $(blkid -p -o value -s LABEL "$loop") == golden ]] ||
    fail "blkid finds $(blkid -p "$loop")"
jq -e '.content.type == "ext4" and .content.label == "golden" and .warnings == []' wiped.json >found || fail "$(<wiped.json)"

deploy kept --no-wipe-signatures
! grep -q "will be erased" kept.out || fail "announces to wipe in spite of --no-wipe-signatures: $(<kept.out)"
! grep -q "wiped the signature" kept.out || fail "wiped in spite of --no-wipe-signatures: $(<kept.out)"
[[ $(blkid -p -o value -s TYPE "$loop") == linux_raid_member ]] || fail "the remains are gone"
grep -q "$loop: holds the remains of earlier content, which the image does not overwrite: linux_raid_member" kept.out ||
    fail "the remains are not named: $(<kept.out)"
jq -e '.content.type == "linux_raid_member" and (.warnings | length) >= 2' kept.json >found || fail "$(<kept.json)"

# The same without a network.
"$seedbed" create source.img --pack -o packed.sbi >created 2>create.err || fail "$(<create.err)"
: >restored.img
leave_remains restored.img
loop=$(attach_loop restored.img)
"$seedbed" restore packed.sbi "$loop" --yes --no-wipe-signatures --receipt restored.json >restored.out 2>restored.err ||
    fail "restore: $(<restored.err)"
grep -q 'warning: holds the remains of earlier content, which the image does not overwrite: linux_raid_member' restored.err ||
    fail "restore does not name the remains: $(<restored.err)"
jq -e '.content.type == "linux_raid_member" and (.warnings | length) >= 2' restored.json >found || fail "$(<restored.json)"
"$seedbed" restore packed.sbi "$loop" --yes --receipt restored.json >restored.out 2>restored.err || fail "restore: $(<restored.err)"
jq -e '.content.type == "ext4" and .warnings == []' restored.json >found || fail "$(<restored.json)"

# A member of a ZFS pool: each of its four labels describes the pool even without the magic bytes that blkid looks for.
/usr/bin/python3 - zfs.img <<'PYTHON'
import struct, sys
size, label = 64 << 20, 256 << 10
with open(sys.argv[1], "wb") as disk:
    disk.truncate(size)
    for at in (0, label, size - 2 * label, size - label):
        disk.seek(at + (16 << 10))
        disk.write(bytes.fromhex("01010000") + struct.pack(">II", 0, 1) + b"name: tank")
        disk.seek(at + (128 << 10) - 40)
        disk.write(struct.pack("<Q", 0x0210DA7AB10C7A11))
        for uberblock in range(128):
            disk.seek(at + ((128 + uberblock) << 10))
            disk.write(struct.pack("<QQ", 0x00BAB10C, 5000))
PYTHON
loop=$(attach_loop zfs.img)
[[ $(blkid -p -o value -s TYPE "$loop") == zfs_member ]] || fail "blkid does not see the pool"
"$seedbed" deploy golden.torrent "$loop" --yes --peer "127.0.0.1:$port" --no-local-discovery --state "$work/state-zfs" \
    --receipt zfs.json >zfs.out 2>&1 || fail "deploy: $(<zfs.out)"
(($(grep -c "wiped the signature of earlier content: zfs_member at byte" zfs.out) == 2)) || # the other two are in the image
    fail "not one line a label: $(<zfs.out)"
jq -e '.content.type == "ext4" and .warnings == []' zfs.json >found || fail "$(<zfs.json)"
wipefs "$loop" >left || fail "wipefs"
! grep -q zfs_member left || fail "wipefs still finds $(<left)"
! LC_ALL=C grep -aq "tank" "$loop" || fail "a description of the pool is still on the disk"
! command -v zdb >/dev/null || ! zdb -l "$loop" >labels 2>&1 || fail "zdb still finds $(<labels)"
stop_daemon seed

# --- signatures in holes of the image, and the oldest md superblock, 64 KiB to 128 KiB before the end

write_config holes.toml "$port"
add_image holes.toml golden golden.torrent "$work/source.img" seed
# make_image NAME FS SIZE: captures a new file system of this size, and adds it to what the daemon serves.
make_image() {
    truncate -s "$3" "$1.source"
    "mkfs.$2" "${@:4}" "$1.source" >mkfs.out 2>&1 || fail "mkfs.$2: $(<mkfs.out)"
    "$seedbed" create "$1.source" --capture --name "$1" -o "$1.torrent" >created 2>create.err || fail "$(<create.err)"
    add_image holes.toml "$1" "$1.torrent" "$work/$1.source" seed
}
# over NAME TARGET OLD NEW: deploys NAME to TARGET, a file that holds OLD; afterwards, it holds NEW and nothing else.
over() {
    local name=$1 old=$3 new=$4 loop
    loop=$(attach_loop "$2")
    [[ $(blkid -p -o value -s TYPE "$loop") == "$old" ]] || fail "blkid does not see $old, but $(blkid -p "$loop")"
    "$seedbed" deploy "$name.torrent" "$loop" --yes --peer "127.0.0.1:$port" --no-local-discovery --state "$work/state-$2" \
        --receipt over.json >over.out 2>&1 || fail "$new over $old: $(<over.out)"
    grep -q "wiped the signature of earlier content: $old at byte" over.out || fail "$new over $old: $(<over.out)"
    [[ $(blkid -p -o value -s TYPE "$loop") == "$new" ]] || fail "$new over $old: blkid finds $(blkid -p "$loop")"
    wipefs "$loop" >left || fail "wipefs"
    ! grep -q "$old" left || fail "$new over $old: wipefs still finds $(<left)"
    jq -e --arg type "$new" '.content.type == $type and .warnings == []' over.json >found || fail "$new over $old: $(<over.json)"
    detach_loop "$loop"
}
overs=()
if has mkfs.ntfs mkfs.btrfs partclone.ntfs; then
    make_image ntfs ntfs 256M -q -F -f
    truncate -s 256M btrfs.old
    mkfs.btrfs -q -f btrfs.old >mkfs.out 2>&1
    overs+=("ntfs btrfs.old btrfs ntfs")
else
    echo "left out: NTFS over btrfs"
fi
if has mkfs.xfs xorriso partclone.xfs; then
    make_image xfs xfs 320M -q
    mkdir files
    cp "$here"/lib_*.sh files
    xorriso -as mkisofs -quiet -o iso.old files >xorriso.out 2>&1 || fail "xorriso: $(<xorriso.out)"
    truncate -s 320M iso.old
    overs+=("xfs iso.old iso9660 xfs")
else
    echo "left out: XFS over ISO 9660"
fi
truncate -s 40M md.old
/usr/bin/python3 - md.old <<'PYTHON'
import struct, sys
size = 40 << 20
with open(sys.argv[1], "r+b") as disk:
    disk.seek((size // 65536 - 1) * 65536)
    # md, metadata 0.90: magic, version, number of words, identity, time, level, size, disks, number, identity
    disk.write(struct.pack("<16I", 0xA92B4EFC, 0, 90, 0, 0, 1, 1600000000, 1, size // 1024 - 64, 2, 2, 0, 0, 2, 3, 4))
PYTHON
overs+=("golden md.old linux_raid_member ext4")
start_daemon holes holes.toml
expect_line holes.log ' ready$'
for each in "${overs[@]}"; do
    # shellcheck disable=SC2086 # several words
    over $each
done
stop_daemon holes
pass
