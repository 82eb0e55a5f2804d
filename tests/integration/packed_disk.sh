#!/bin/bash
# Packed images of whole disks: what create takes of each partition, and disks restored to the same size, to a larger one with a
# grown partition before others, and refused on a smaller one. A restoration that fails leaves no partition table.
# SEEDBED is the program.
# Labels: once
set -euo pipefail
# shellcheck source=lib_daemon.sh
. "$(dirname "$0")/lib_daemon.sh"

need_loop
need partclone.ext4 partclone.ntfs partclone.vfat mkfs.ext4 mkfs.ntfs mkfs.vfat mkswap sfdisk sgdisk e2fsck resize2fs ntfsresize jq
export TMPDIR=$work/tmp
mkdir tmp

# field DISK N KEY: of partition N, in sectors.
field() {
    sfdisk -J "$1" | jq -r --argjson n "$2" --arg key "$3" '.partitiontable.partitions[$n - 1][$key]'
}
# on_partition DISK N COMMAND...: runs COMMAND on a loop device of partition N, and removes it.
on_partition() {
    local disk=$1 offset size device status=0
    offset=$(($(field "$1" "$2" start) * 512))
    size=$(($(field "$1" "$2" size) * 512))
    shift 2
    device=$(attach_loop "$disk" -o "$offset" --sizelimit "$size")
    "$@" "$device" || status=$?
    detach_loop "$device"
    return "$status"
}
# table DISK: the table without the names of devices.
table() {
    sfdisk -d "$1" | sed -e '/^device:/d; /^last-lba:/d' -e 's/^[^ ]* : //'
}
# content DISK N: what blkid finds in a partition.
content() {
    on_partition "$1" "$2" blkid -p | sed 's/^[^:]*: //'
}
# restore IMAGE FILE [OPTION...]: restores to a loop device of FILE.
restore() {
    local image=$1 file=$2 device status=0
    shift 2
    device=$(attach_loop "$file")
    "$seedbed" restore "$image" "$device" --yes "$@" >stdout 2>stderr || status=$?
    detach_loop "$device"
    return "$status"
}
# check_partitions DISK: the checkers of ext4 (4) and NTFS (3, 6), and the contents.
check_partitions() {
    on_partition "$1" 4 e2fsck -fn >fsck.out 2>&1 || fail "$1: ext4: $(<fsck.out)"
    for number in 3 6; do
        on_partition "$1" "$number" ntfsresize -i -f >fsck.out 2>&1 || fail "$1: partition $number: $(<fsck.out)"
    done
    for number in 1 3 4 5 6; do
        [[ $(content "$1" "$number") == "$(content disk.img "$number")" ]] ||
            fail "$1: partition $number is $(content "$1" "$number")"
    done
    sgdisk -v "$1" >sgdisk.out 2>&1
    grep -q '^No problems found' sgdisk.out || fail "sgdisk: $(<sgdisk.out)"
    sfdisk --verify "$1" >sfdisk.out 2>&1 || fail "sfdisk: $(<sfdisk.out)"
}
# file_of DISK N NAME: a file in an ext4.
file_of() {
    on_partition "$1" "$2" debugfs -R "dump $3 dumped" >debugfs.out 2>&1
    sha1sum <dumped
}

truncate -s 600M disk.img
sfdisk -q disk.img <<'TABLE'
label: gpt
size=32M, type=U, name=EFI
size=16M, type=E3C9E316-0B5C-4DB8-817D-F92DF00215AE
size=100M, type=EBD0A0A2-B9E5-4433-87C0-68B6B72699C7, name=Windows
size=200M, type=L, name=root
size=40M, type=S
size=64M, type=DE94BBA4-06D1-4D40-A16A-BFD50179D6AC, name=recovery
TABLE
mkdir files
head -c 9M /dev/urandom >files/data
on_partition disk.img 1 mkfs.vfat >mkfs.out 2>&1
on_partition disk.img 3 mkfs.ntfs -q -f >mkfs.out 2>&1
on_partition disk.img 4 mkfs.ext4 -q -L root -d files >mkfs.out 2>&1
on_partition disk.img 5 mkswap -L swap >mkfs.out 2>&1
on_partition disk.img 6 mkfs.ntfs -q -f >mkfs.out 2>&1

disk=$(attach_loop disk.img)
"$seedbed" create "$disk" --pack -o disk.sbi >line 2>progress || fail "create: $(<progress)"
detach_loop "$disk"
[[ -z $(ls -A tmp) ]] || fail "left in TMPDIR: $(ls -A tmp)"
for line in 'partition 1 \(vfat\): .* of 32 MiB: used blocks' \
    'partition 2: 16 MiB of 16 MiB: all bytes, because nothing is recognised in it' \
    'partition 4 \(ext4\): .* of 200 MiB: used blocks' \
    'partition 5 \(swap\): 40 MiB: none; the target gets a new swap area with its UUID and label'; do
    grep -qxE "$line" progress || fail "create does not print '$line': $(<progress)"
done
(($(stat -c %s disk.sbi) < 16 << 20)) || fail "the packed file has $(stat -c %s disk.sbi) bytes"
"$seedbed" probe disk.sbi | grep -q '^disk.sbi: disk of 600 MiB in sectors of 512 bytes, gpt$' || fail "probe fails"

# The same size, onto the remains of another disk; then a larger one, with its ext4 grown before two other partitions.
noise_file same.img 600
sfdisk -q same.img <<<'label: dos
size=10M'
restore disk.sbi same.img || fail "restore: $(<stderr)"
[[ $(table same.img) == "$(table disk.img)" ]] || fail "the table differs: $(table same.img)"
check_partitions same.img
[[ $(file_of same.img 4 data) == "$(sha1sum <files/data)" ]] || fail "the file differs"

truncate -s 900M large.img
restore disk.sbi large.img --grow 4 || fail "restore --grow: $(<stderr)"
grep -qx 'grow partition 4 (ext4)' stderr || fail "restore does not name the growth: $(<stderr)"
check_partitions large.img
grown=$(($(field large.img 4 size) - $(field disk.img 4 size)))
((grown >= 300 * 2048)) || fail "partition 4: $(table large.img)"
(($(field large.img 6 start) == $(field disk.img 6 start) + grown)) || fail "partition 6: $(table large.img)"
((900 * 2048 - $(field large.img 6 start) - $(field large.img 6 size) < 2 * 2048)) || fail "the disk's end: $(table large.img)"
[[ $(file_of large.img 4 data) == "$(sha1sum <files/data)" ]] || fail "the file differs after growing"
on_partition large.img 4 dumpe2fs -h 2>/dev/null | awk -F: '/^Block count/ {n = $2} /^Block size/ {exit !(n * $2 > 480 * 1048576)}' ||
    fail "the file system has not grown"

# A smaller disk is refused, and nothing is written.
noise_file tiny.img 400
status=0
restore disk.sbi tiny.img || status=$?
((status == 3)) || fail "a smaller disk: exit status $status: $(<stderr)"
noise_file expected.img 400
cmp tiny.img expected.img || fail "a refused restoration has written"

# A damaged piece, or one wrong byte in the .torrent: no table, though the disk had one.
cp same.img broken.img
cp disk.sbi bad.sbi
printf X | dd of=bad.sbi bs=1 seek=4200000 conv=notrunc status=none
status=0
restore bad.sbi broken.img --torrent disk.torrent || status=$?
((status == 10)) || fail "a damaged piece: exit status $status: $(<stderr)"
[[ -z $(blkid -p broken.img) ]] || fail "the incomplete disk shows: $(blkid -p broken.img)"
restore disk.sbi broken.img || fail "restore after a failure: $(<stderr)"
check_partitions broken.img

# A partition is not accepted for a disk's image, nor --grow for a partition's.
status=0
"$seedbed" restore disk.sbi same.img --yes --grow 9 >stdout 2>stderr || status=$?
((status == 3)) || fail "--grow 9: exit status $status: $(<stderr)"

# --- an MBR with logical partitions, from a file to a file

truncate -s 200M mbr.img
sfdisk -q mbr.img <<'TABLE'
label: dos
label-id: 0x1234abcd
size=40M, type=83, bootable
size=100M, type=5
size=30M, type=83
size=20M, type=82
TABLE
printf 'boot code' | dd of=mbr.img bs=1 conv=notrunc status=none
on_partition mbr.img 1 mkfs.ext4 -q >mkfs.out 2>&1
on_partition mbr.img 3 mkfs.ext4 -q -L logical >mkfs.out 2>&1 # sfdisk's list counts the fifth as the third
"$seedbed" create mbr.img --pack -o mbr.sbi >line 2>progress || fail "create: $(<progress)"
noise_file mbr_target.img 200
"$seedbed" restore mbr.sbi mbr_target.img --yes >stdout 2>stderr || fail "restore: $(<stderr)"
[[ $(table mbr_target.img) == "$(table mbr.img)" ]] || fail "the table differs: $(table mbr_target.img)"
[[ $(head -c 9 mbr_target.img) == 'boot code' ]] || fail "the boot code is lost"
on_partition mbr_target.img 3 e2fsck -fn >fsck.out 2>&1 || fail "the logical partition: $(<fsck.out)"
[[ $(content mbr_target.img 3) == "$(content mbr.img 3)" ]] || fail "the logical partition: $(content mbr_target.img 3)"
pass
