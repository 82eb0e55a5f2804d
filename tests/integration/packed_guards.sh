#!/bin/bash
# What create DISK --pack does with partitions of which partclone cannot list the used blocks (dirty, encrypted), with a hibernated
# Windows, and with a mounted partition. SEEDBED is the program.
# Labels: once
set -euo pipefail
# shellcheck source=lib_daemon.sh
. "$(dirname "$0")/lib_daemon.sh"
# shellcheck source=lib_packed.sh
. "$here/lib_packed.sh"

need_loop
need partclone.ext4 partclone.ntfs mkfs.ext4 mkfs.ntfs ntfscp ntfscat debugfs sfdisk blkid unshare jq cmp
export TMPDIR=$work/tmp
mkdir tmp

# refuse STATUS PATTERN [OPTION...]: create refuses disk.img with this exit status, and writes no file.
refuse() {
    local want=$1 pattern=$2 status=0
    shift 2
    "$seedbed" create disk.img --pack -o refused.sbi "$@" >stdout 2>stderr || status=$?
    ((status == want)) || fail "create $*: exit status $status: $(<stderr)"
    grep -qxE -e "seedbed create: $pattern" stderr || fail "create $*: '$(<stderr)' does not contain '$pattern'"
    [[ ! -e refused.sbi && ! -e refused.torrent && -z $(ls -A tmp) ]] || fail "create $*: leaves $(ls -A tmp) refused.*"
}
# accept [OPTION...]: create packs disk.img; what it prints is in stderr.
accept() {
    "$seedbed" create disk.img --pack -o disk.sbi --force "$@" >stdout 2>stderr || fail "create $*: $(<stderr)"
}
# prints LINE...: fails unless create has printed each of these lines.
prints() {
    local line
    for line; do
        grep -qxE -e "$line" stderr || fail "create does not print '$line': $(<stderr)"
    done
}

truncate -s 160M disk.img
sfdisk -q disk.img <<'TABLE'
label: gpt
size=40M, type=L
size=40M, type=EBD0A0A2-B9E5-4433-87C0-68B6B72699C7
size=16M, type=L
size=16M, type=EBD0A0A2-B9E5-4433-87C0-68B6B72699C7
size=16M, type=L
TABLE
on_partition disk.img 1 mkfs.ext4 -q >mkfs.out 2>&1
on_partition disk.img 2 mkfs.ntfs -q -f >mkfs.out 2>&1
# The headers by which LUKS, BitLocker and LVM are recognised, in front of random bytes.
for number in 3 4 5; do
    place disk.img "$number"
    head -c 12M /dev/urandom | dd of=disk.img bs=1M seek=$(((start >> 20) + 1)) conv=notrunc status=none
    # shellcheck disable=SC2154 # place sets start
    /usr/bin/python3 - disk.img "$number" "$start" <<'END'
import struct, sys, uuid, zlib

name, number, start = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
head = bytearray(4096)
if number == 3:
    head[0:8] = b"LUKS\xba\xbe\0\1"
    head[168:204] = str(uuid.UUID(int=5)).encode()
elif number == 4:
    head[0:11] = b"\xeb\x58\x90-FVE-FS-"
    head[160:176] = uuid.UUID("4967d63b-2e29-4ad8-8399-f6a339e3d001").bytes_le
    head[176:184] = struct.pack("<Q", 2048)
    head[2048:2058] = b"-FVE-FS-" + struct.pack("<H", 100)
    head[2058:2060] = struct.pack("<H", 2)
else:
    label = bytearray(512)
    label[0:16] = b"LABELONE" + struct.pack("<Q", 1)
    label[20:32] = struct.pack("<I", 32) + b"LVM2 001"
    label[32:64] = b"0123456789abcdef0123456789abcdef"
    label[16:20] = struct.pack("<I", zlib.crc32(bytes(label[20:]), 0xF597A6CF ^ 0xFFFFFFFF) ^ 0xFFFFFFFF)
    head[512:1024] = label
with open(name, "r+b") as disk:
    disk.seek(start)
    disk.write(head)
END
done
for found in 3:crypto_LUKS 4:BitLocker 5:LVM2_member; do
    [[ $(content disk.img "${found%:*}") == *"TYPE=\"${found#*:}\""* ]] || fail "partition $found is $(content disk.img "${found%:*}")"
done

# --- encrypted partitions and physical volumes are taken whole, and said to be

accept
! grep -q '^seedbed create: ' stderr || fail "create warns: $(<stderr)"
prints 'partition 1 \(ext4\): [0-9.]+ MiB of 40 MiB: used blocks' 'partition 2 \(ntfs\): [0-9.]+ MiB of 40 MiB: used blocks' \
    'partition 3 \(crypto_LUKS\): 16 MiB of 16 MiB: all bytes, because partclone does not support crypto_LUKS' \
    'partition 4 \(BitLocker\): 16 MiB of 16 MiB: all bytes, because partclone does not support BitLocker' \
    'partition 5 \(LVM2_member\): 16 MiB of 16 MiB: all bytes, because partclone does not support LVM2_member'
noise_file restored.img 160
"$seedbed" restore disk.sbi restored.img --yes >stdout 2>stderr || fail "restore: $(<stderr)"
for number in 3 4 5; do
    place disk.img "$number"
    # shellcheck disable=SC2154 # place sets size
    cmp -i "$start" -n "$size" disk.img restored.img || fail "partition $number differs"
done

# --- a file system that was not unmounted

on_partition disk.img 1 debugfs -w -R 'ssv state 0' >debugfs.out 2>&1
refuse 1 'disk.img: partition 1 \(ext4\): .*partclone.ext4 could not capture it: .*not cleanly unmounted; pass --raw-if-needed to pack all its bytes'
accept --raw-if-needed
prints 'seedbed create: disk.img: partition 1 \(ext4\): .*not cleanly unmounted; packing all its bytes' \
    'partition 1 \(ext4\): 40 MiB of 40 MiB: all bytes, because partclone cannot capture it' \
    'partition 2 \(ntfs\): [0-9.]+ MiB of 40 MiB: used blocks'
noise_file restored.img 160
"$seedbed" restore disk.sbi restored.img --yes >stdout 2>stderr || fail "restore: $(<stderr)"
place disk.img 1
cmp -i "$start" -n "$size" disk.img restored.img || fail "the dirty file system differs"
# The same for a partition by itself.
dd if=disk.img of=part.img bs=1M skip=$((start >> 20)) count=$((size >> 20)) status=none
status=0
"$seedbed" create part.img --pack -o part.sbi >stdout 2>stderr || status=$?
((status == 1)) || fail "create part.img: exit status $status: $(<stderr)"
grep -q 'not cleanly unmounted; pass --raw-if-needed to pack all its bytes$' stderr || fail "create part.img: $(<stderr)"
"$seedbed" create part.img --pack -o part.sbi --raw-if-needed >stdout 2>stderr || fail "create part.img: $(<stderr)"
"$seedbed" verify part.torrent part.img >stdout || fail "verify part.img: $(<stdout)"
"$seedbed" create part.img --capture -o part_raw.torrent --raw-if-needed >stdout 2>stderr || fail "create part.img: $(<stderr)"
grep -q 'not cleanly unmounted; taking a raw image$' stderr || fail "create part.img --capture: $(<stderr)"
on_partition disk.img 1 debugfs -w -R 'ssv state 1' >debugfs.out 2>&1

# --- several signatures: which of them is valid is unknown

place disk.img 1
dd if=disk.img of=start bs=8 skip=$((start / 8)) count=1 status=none
printf -- '-rom1fs-' | dd of=disk.img bs=8 seek=$((start / 8)) conv=notrunc status=none
accept
prints 'partition 1: 40 MiB of 40 MiB: all bytes, because it has several signatures \((ext4, romfs|romfs, ext4)\), of which only one can be valid'
dd if=start of=disk.img bs=8 seek=$((start / 8)) conv=notrunc status=none

# --- a hibernated Windows

{ printf 'hibr' && head -c 64K /dev/zero; } >hiberfil.sys
# ntfscp DEVICE FILE NAME
hibernate() { ntfscp -f "$1" hiberfil.sys hiberfil.sys >ntfscp.out 2>&1; }
on_partition disk.img 2 hibernate || fail "ntfscp: $(<ntfscp.out)"
refuse 3 'disk.img: partition 2 \(ntfs\): Windows is hibernated on it, or was shut down with fast startup; .*--allow-hibernated'
accept --allow-hibernated
unshare --mount sh -c 'mount --bind /dev/null "$(command -v ntfscat)" && exec "$@"' sh \
    "$seedbed" create disk.img --pack -o disk.sbi --force >stdout 2>stderr || fail "without ntfscat: $(<stderr)"
prints 'seedbed create: disk.img: partition 2 \(ntfs\): cannot check for a hibernated Windows: ntfscat \(ntfs-3g\) is not installed'
# refuse_without REASON [OPTION...]: create refuses the partition while partclone.ntfs is missing.
refuse_without() {
    local reason=$1 status=0
    shift
    unshare --mount sh -c 'mount --bind /dev/null "$(command -v partclone.ntfs)" && exec "$@"' sh \
        "$seedbed" create disk.img --pack -o refused.sbi "$@" >stdout 2>stderr || status=$?
    ((status == 3)) || fail "create $* without partclone.ntfs: exit status $status: $(<stderr)"
    grep -qF "seedbed create: disk.img: partition 2 (ntfs): $reason" stderr || fail "create $* without partclone.ntfs: $(<stderr)"
    [[ ! -e refused.sbi ]] || fail "create $* without partclone.ntfs leaves an image"
}
# Its state is checked, and taking all its bytes needs the user's word.
refuse_without 'Windows is hibernated on it, '
refuse_without 'partclone.ntfs is not installed; pass --raw-if-needed to pack all its bytes' --allow-hibernated

# --- a mounted partition

place disk.img 1
device=$(attach_loop disk.img -o "$start" --sizelimit "$size")
mount_at mounted "$device"
refuse 3 "disk.img: .*mounted read-write on $work/mounted.*" --allow-hibernated
unmount mounted
detach_loop "$device"
pass
