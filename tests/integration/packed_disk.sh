#!/bin/bash
# Packed images of whole disks: what create takes of each partition, and disks restored to the same size, to a larger one with a
# grown partition before others, and refused on a smaller one. A restoration that fails, or is killed while it grows a file system,
# leaves no partition table, and the same command completes it. verify of restored disks; receipts; new ids.
# SEEDBED is the program.
# Labels: once
set -euo pipefail
# shellcheck source=lib_daemon.sh
. "$(dirname "$0")/lib_daemon.sh"
# shellcheck source=lib_packed.sh
. "$here/lib_packed.sh"

need_loop
need partclone.ext4 partclone.ntfs partclone.vfat mkfs.ext4 mkfs.ntfs mkfs.vfat mkswap sfdisk sgdisk e2fsck resize2fs ntfsresize \
    ntfscp ntfscat fsck.vfat mcopy zstd jq
export TMPDIR=$work/tmp
mkdir tmp

# restore IMAGE FILE [OPTION...]: restores to a loop device of FILE.
restore() {
    local image=$1 file=$2 device status=0
    shift 2
    device=$(attach_loop "$file")
    "$seedbed" restore "$image" "$device" --yes "$@" >stdout 2>stderr || status=$?
    detach_loop "$device"
    return "$status"
}
# to_fat DEVICE, to_ntfs DEVICE: copy the tree in files to a file system. same_fat, same_ntfs, same_ext4: succeed if it has this tree.
to_fat() { mcopy -s -i "$1" files/* ::/; }
same_fat() {
    rm -rf dumped
    mkdir dumped
    mcopy -s -n -i "$1" '::/*' dumped/ && diff -r files dumped
}
same_ext4() {
    rm -rf dumped
    mkdir dumped
    debugfs -R "rdump / dumped" "$1" && diff -r -x lost+found files dumped
}
if [[ -c /dev/fuse ]] && command -v ntfs-3g >/dev/null; then
    to_ntfs() {
        mount_at mounted -t ntfs-3g "$1"
        cp -r files/. mounted
        unmount mounted
    }
    same_ntfs() {
        local status=0
        mount_at mounted -t ntfs-3g -o ro "$1"
        diff -r files mounted || status=$?
        unmount mounted
        return "$status"
    }
else # only a file
    to_ntfs() { ntfscp -q -f "$1" files/data data; }
    same_ntfs() { ntfscat -f "$1" data | cmp - files/data; }
fi
# check_partitions DISK: the table, the checkers of vfat (1), ext4 (4) and NTFS (3, 6), the contents, and the trees of files.
check_partitions() {
    check_ext4 "$1" 4
    on_partition "$1" 1 fsck.vfat -n >fsck.out 2>&1 || fail "$1: partition 1: $(<fsck.out)"
    on_partition "$1" 1 same_fat >diff.out 2>&1 || fail "$1: partition 1: $(<diff.out)"
    on_partition "$1" 4 same_ext4 >diff.out 2>&1 || fail "$1: partition 4: $(<diff.out)"
    for number in 3 6; do
        on_partition "$1" "$number" ntfsresize -i -f >fsck.out 2>&1 || fail "$1: partition $number: $(<fsck.out)"
        on_partition "$1" "$number" same_ntfs >diff.out 2>&1 || fail "$1: partition $number: $(<diff.out)"
    done
    for number in 1 3 4 5 6; do
        [[ $(content "$1" "$number") == "${contents[number]}" ]] || fail "$1: partition $number is $(content "$1" "$number")"
    done
    check_table "$1"
}

truncate -s 170M disk.img
sfdisk -q disk.img <<'TABLE'
label: gpt
size=16M, type=U, name=EFI
size=4M, type=E3C9E316-0B5C-4DB8-817D-F92DF00215AE
size=32M, type=EBD0A0A2-B9E5-4433-87C0-68B6B72699C7, name=Windows
size=72M, type=L, name=root
size=8M, type=S
size=24M, type=DE94BBA4-06D1-4D40-A16A-BFD50179D6AC, name=recovery
TABLE
mkdir -p files/many "files/a folder with a long name/deep/empty"
head -c 9M /dev/urandom >files/data
: >files/empty
for ((i = 0; i < 300; i++)); do
    head -c $((i * 37)) files/data >"files/many/file $i"
done
head -c 70000 files/data >"files/a folder with a long name/deep/some of it.bin"
on_partition disk.img 1 mkfs.vfat >mkfs.out 2>&1
on_partition disk.img 3 mkfs.ntfs -q -f >mkfs.out 2>&1
on_partition disk.img 4 mkfs.ext4 -q -L root -d files >mkfs.out 2>&1
on_partition disk.img 5 mkswap -L swap >mkfs.out 2>&1
on_partition disk.img 6 mkfs.ntfs -q -f >mkfs.out 2>&1
on_partition disk.img 1 to_fat
for number in 3 6; do on_partition disk.img "$number" to_ntfs >copy.out 2>&1 || fail "partition $number: $(<copy.out)"; done
for number in 3 6; do on_partition disk.img "$number" same_ntfs >diff.out 2>&1 || fail "partition $number: $(<diff.out)"; done
contents=()
for number in 1 3 4 5 6; do contents[number]=$(content disk.img "$number"); done

disk=$(attach_loop disk.img)
"$seedbed" create "$disk" --pack -o disk.sbi >line 2>progress || fail "create: $(<progress)"
detach_loop "$disk"
[[ -z $(ls -A tmp) ]] || fail "left in TMPDIR: $(ls -A tmp)"
for line in 'partition 1 \(vfat\): .* of 16 MiB: used blocks' \
    'partition 2: 4 MiB of 4 MiB: all bytes, because nothing is recognised in it' \
    'partition 4 \(ext4\): .* of 72 MiB: used blocks' \
    'partition 5 \(swap\): 8 MiB: none; the target gets a new swap area with its UUID and label'; do
    grep -qxE "$line" progress || fail "create does not print '$line': $(<progress)"
done
(($(stat -c %s disk.sbi) < 48 << 20)) || fail "the packed file has $(stat -c %s disk.sbi) bytes"
"$seedbed" probe disk.sbi | grep -q '^disk.sbi: disk of 170 MiB in sectors of 512 bytes, gpt$' || fail "probe fails"

# Another reader, which knows seedbed-image(5) only: what it unpacks is equal on the disk.
/usr/bin/python3 "$(dirname "$here")/support/unpack_image.py" disk.torrent disk.sbi unpacked >extents || fail "another reader refuses the image"
while read -r offset length; do
    cmp -s -i "$offset" -n "$length" unpacked disk.img || fail "another reader's disk differs at $offset, length $length"
done <extents
(($(awk '{ sum += $2 } END { print sum }' extents) > 40 << 20)) || fail "another reader finds: $(<extents)"
rm unpacked

# The same size, onto the remains of another disk; then a larger one, with its ext4 grown before two other partitions.
noise_file same.img 170
sfdisk -q same.img <<<'label: dos
size=10M'
restore disk.sbi same.img || fail "restore: $(<stderr)"
[[ $(table same.img) == "$(table disk.img)" ]] || fail "the table differs: $(table same.img)"
check_partitions same.img

truncate -s 270M large.img
restore disk.sbi large.img --grow 4 || fail "restore --grow: $(<stderr)"
grep -qx 'grow partition 4 (ext4)' stderr || fail "restore does not name the growth: $(<stderr)"
check_partitions large.img
grown=$(($(field large.img 4 size) - $(field disk.img 4 size)))
((grown >= 99 * 2048)) || fail "partition 4: $(table large.img)"
(($(field large.img 6 start) == $(field disk.img 6 start) + grown)) || fail "partition 6: $(table large.img)"
((270 * 2048 - $(field large.img 6 start) - $(field large.img 6 size) < 2 * 2048)) || fail "the disk's end: $(table large.img)"
on_partition large.img 4 dumpe2fs -h 2>/dev/null | awk -F: '/^Block count/ {n = $2} /^Block size/ {exit !(n * $2 > 168 * 1048576)}' ||
    fail "the file system has not grown"

# The NTFS grows, and the recovery partition moves with what is between them.
truncate -s 270M windows.img
restore disk.sbi windows.img --grow 3 || fail "restore --grow 3: $(<stderr)"
grep -qx 'grow partition 3 (ntfs)' stderr || fail "restore does not name the growth: $(<stderr)"
check_partitions windows.img
grown=$(($(field windows.img 3 size) - $(field disk.img 3 size)))
((grown >= 99 * 2048)) || fail "partition 3: $(table windows.img)"
for number in 4 5 6; do
    (($(field windows.img "$number" start) == $(field disk.img "$number" start) + grown)) || fail "partition $number: $(table windows.img)"
done
on_partition windows.img 3 ntfsresize -i -f | awk '/^Current volume size/ {n = $4} END {exit !(n > 130 * 1000000)}' || fail "the NTFS has not grown"
"$seedbed" verify disk.torrent windows.img >stdout || fail "verify of the disk with a grown NTFS: $(<stdout)"
rm windows.img

# --discard: what the image does not use leaves the file behind the loop device, also around a grown partition.
for options in '' '--grow 4'; do
    noise_file trimmed.img $((170 + ${#options} * 10))
    before=$(stat -c %b trimmed.img)
    # shellcheck disable=SC2086 # several words, or none
    restore disk.sbi trimmed.img --discard $options || fail "restore --discard: $(<stderr)"
    grep -qxE 'discarding the [0-9.]+ MiB that the image does not use' stderr || fail "restore --discard prints: $(<stderr)"
    (($(stat -c %b trimmed.img) < before - 80 * 2048)) || fail "nothing is discarded: $before, $(stat -c %b trimmed.img) blocks"
    check_partitions trimmed.img
    "$seedbed" verify disk.torrent trimmed.img >stdout || fail "verify of the trimmed disk: $(<stdout)"
done
rm trimmed.img

# verify finds the partitions by the disk's own table; what growing has changed is not counted, but everything else is.
"$seedbed" verify disk.torrent same.img >stdout || fail "verify: $(<stdout)"
! grep -q 'has grown' stdout || fail "verify finds growth: $(<stdout)"
"$seedbed" verify disk.torrent large.img >stdout || fail "verify of the larger disk: $(<stdout)"
grep -qE '^large.img: partition 4 \(ext4\) has grown by [0-9]+ MiB, which changes its file system: [1-9][0-9]* of its [0-9]+ chunks differ' \
    stdout || fail "verify of the larger disk prints: $(<stdout)"
"$seedbed" verify disk.torrent large.img --json | jq -e '.equal and .grown.partition == 4 and .grown.differing_chunks > 0' >found ||
    fail "verify --json of the larger disk"
damaged=$(($(field large.img 6 start) * 512 + 0x1c)) # the corrected field, beside its correction
printf '\377' | dd of=large.img bs=1 seek="$damaged" conv=notrunc status=none
status=0
"$seedbed" verify disk.torrent large.img >stdout || status=$?
((status == 1)) || fail "verify misses a damaged boot sector: $(<stdout)"
grep -q "^offset $((damaged - 0x1c)), " stdout || fail "verify names another place than $((damaged - 0x1c)): $(<stdout)"
status=0
"$seedbed" verify disk.torrent disk.sbi >stdout 2>stderr || status=$?
((status == 1)) || fail "verify of something else: exit status $status: $(<stderr)"
grep -q '^seedbed verify: disk.sbi: no partition table' stderr || fail "verify of something else prints: $(<stderr)"

# Killed before, while and after the file system grows: no table, and the same command completes the disk.
mkdir wrappers
resize2fs=$(PATH=$PATH:/usr/sbin:/sbin command -v resize2fs)
for how in "" "timeout -s KILL 0.03 $resize2fs" "$resize2fs"; do
    printf '#!/bin/bash\n%s "$@"\nkill -KILL $PPID\n' "${how:-:}" >wrappers/resize2fs
    chmod +x wrappers/resize2fs
    rm -f killed.img
    cp --sparse=always same.img killed.img
    truncate -s 270M killed.img
    status=0
    PATH=$work/wrappers:$PATH "$seedbed" restore disk.sbi killed.img --yes --grow 4 >stdout 2>stderr || status=$?
    ((status == 137)) || fail "killed with '$how': exit status $status: $(<stderr)"
    expect_no_table killed.img
    # The program that was killed leaves its loop device to the kernel, which detaches it a moment later.
    until [[ -z $(losetup -j killed.img) ]]; do sleep 0.05; done
    "$seedbed" restore disk.sbi killed.img --yes --grow 4 >stdout 2>stderr || fail "after '$how': $(<stderr)"
    check_partitions killed.img
done
printf '#!/bin/bash\nkill -INT $PPID\nexit 130\n' >wrappers/resize2fs
status=0
PATH=$work/wrappers:$PATH "$seedbed" restore disk.sbi killed.img --yes --grow 4 >stdout 2>stderr || status=$?
((status == 8)) || fail "interrupted: exit status $status: $(<stderr)"
expect_no_table killed.img
rm killed.img

# A smaller disk is refused, and nothing is written.
noise_file tiny.img 120
status=0
restore disk.sbi tiny.img || status=$?
((status == 3)) || fail "a smaller disk: exit status $status: $(<stderr)"
noise_file expected.img 120
cmp tiny.img expected.img || fail "a refused restoration has written"

# A damaged piece, or one wrong byte in the .torrent: no table, though the disk had one.
cp same.img broken.img
cp disk.sbi bad.sbi
flip bad.sbi 4200000
status=0
restore bad.sbi broken.img --torrent disk.torrent || status=$?
((status == 10)) || fail "a damaged piece: exit status $status: $(<stderr)"
expect_no_table broken.img
restore disk.sbi broken.img || fail "restore after a failure: $(<stderr)"
check_partitions broken.img

# A partition is not accepted for a disk's image, nor --grow for a partition's.
status=0
"$seedbed" restore disk.sbi same.img --yes --grow 9 >stdout 2>stderr || status=$?
((status == 3)) || fail "--grow 9: exit status $status: $(<stderr)"

# Windows needs its ids; a receipt says so, and what was written.
status=0
"$seedbed" restore disk.sbi same.img --yes --new-ids --receipt refused.json >stdout 2>stderr || status=$?
((status == 3)) || fail "--new-ids with a Windows: exit status $status: $(<stderr)"
grep -q 'new ids refused: partition 2 is a Microsoft reserved partition' stderr || fail "--new-ids prints: $(<stderr)"
jq -e '.outcome == "refused" and .layout == null and (.errors | length) == 1' refused.json >found || fail "receipt: $(<refused.json)"
"$seedbed" restore disk.sbi same.img --yes --receipt done.json >stdout 2>stderr || fail "restore --receipt: $(<stderr)"
jq -e --argjson start $(($(field disk.img 4 start) * 512)) --arg uuid "$(field disk.img 4 uuid)" \
    '.outcome == "done" and .verified and .image.name == "disk.sbi" and .content.partition_table == "gpt" and .bytes.written > 0 and
    .layout.table == "gpt" and (.layout.partitions | length) == 6 and .layout.partitions[3] == (.layout.partitions[3] +
    {number: 4, start: $start, size: 75497472, uuid: $uuid, file_system: "ext4"})' done.json >found || fail "receipt: $(<done.json)"

# --- an MBR with logical partitions, from a file to a file

truncate -s 100M mbr.img
sfdisk -q mbr.img <<'TABLE'
label: dos
label-id: 0x1234abcd
1: size=20M, type=83, bootable
2: size=50M, type=5
5: size=15M, type=83
6: size=10M, type=82
TABLE
printf 'boot code' | dd of=mbr.img bs=1 conv=notrunc status=none
on_partition mbr.img 1 mkfs.ext4 -q >mkfs.out 2>&1
on_partition mbr.img 3 mkfs.ext4 -q -L logical >mkfs.out 2>&1 # number 5, the third of the list
"$seedbed" create mbr.img --pack -o mbr.sbi >line 2>progress || fail "create: $(<progress)"
noise_file mbr_target.img 100
"$seedbed" restore mbr.sbi mbr_target.img --yes >stdout 2>stderr || fail "restore: $(<stderr)"
[[ $(table mbr_target.img) == "$(table mbr.img)" ]] || fail "the table differs: $(table mbr_target.img)"
"$seedbed" verify mbr.torrent mbr_target.img >stdout || fail "verify of the MBR disk: $(<stdout)"
[[ $(head -c 9 mbr_target.img) == 'boot code' ]] || fail "the boot code is lost"
check_ext4 mbr_target.img 3
[[ $(content mbr_target.img 3) == "$(content mbr.img 3)" ]] || fail "the logical partition: $(content mbr_target.img 3)"
sfdisk --verify mbr_target.img >sfdisk.out 2>&1 || fail "sfdisk: $(<sfdisk.out)"
# Larger: the logical partition grows, with the extended one around it, and the last one moves.
truncate -s 200M mbr_large.img
restore mbr.sbi mbr_large.img --grow 5 || fail "restore --grow 5: $(<stderr)"
sfdisk --verify mbr_large.img >sfdisk.out 2>&1 || fail "sfdisk: $(<sfdisk.out)"
check_ext4 mbr_large.img 1
check_ext4 mbr_large.img 3
[[ $(content mbr_large.img 3) == "$(content mbr.img 3)" ]] || fail "the grown logical partition: $(content mbr_large.img 3)"
grown=$(($(field mbr_large.img 3 size) - $(field mbr.img 3 size)))
((grown >= 99 * 2048 && $(field mbr_large.img 2 size) == $(field mbr.img 2 size) + grown &&
    $(field mbr_large.img 4 start) == $(field mbr.img 4 start) + grown)) || fail "the partitions: $(table mbr_large.img)"
on_partition mbr_large.img 3 dumpe2fs -h 2>/dev/null | awk -F: '/^Block count/ {n = $2} /^Block size/ {n *= $2} END {exit !(n > 110 * 1048576)}' ||
    fail "the file system in the logical partition has not grown"
"$seedbed" verify mbr.torrent mbr_large.img >stdout || fail "verify of the larger MBR disk: $(<stdout)"
noise_file mbr_small.img 60
cp mbr_small.img expected.img
status=0
restore mbr.sbi mbr_small.img || status=$?
((status == 3)) || fail "a smaller MBR disk: exit status $status: $(<stderr)"
cmp mbr_small.img expected.img || fail "a refused restoration has written"

"$seedbed" restore mbr.sbi mbr_target.img --yes --new-ids --receipt new.json >stdout 2>stderr || fail "restore --new-ids: $(<stderr)"
id=$(sfdisk -J mbr_target.img | jq -r .partitiontable.id)
[[ $id != 0x1234abcd && $id == 0x$(jq -r .layout.id new.json) ]] || fail "the new id is $id: $(<new.json)"
"$seedbed" verify mbr.torrent mbr_target.img >stdout || fail "verify of the MBR disk with a new id: $(<stdout)"

# --- a GPT without a Windows gets new ids

linux_disk linux.img files
"$seedbed" create linux.img --pack -o linux.sbi >line 2>progress || fail "create: $(<progress)"
noise_file linux_target.img 60
restore linux.sbi linux_target.img --new-ids --receipt ids.json || fail "restore --new-ids: $(<stderr)"
# ids DISK: of the disk, and of its partitions.
ids() { sfdisk -J "$1" | jq -r '.partitiontable | .id, .partitions[].uuid'; }
[[ $(ids linux.img | sort -u | wc -l) == 3 && -z $(comm -12 <(ids linux.img | sort) <(ids linux_target.img | sort)) ]] ||
    fail "the ids are: $(ids linux_target.img)"
[[ $(ids linux_target.img) == "$(jq -r '.layout | .id, .partitions[].uuid' ids.json)" ]] || fail "the receipt is: $(<ids.json)"
without_ids() { table "$1" | sed -e '/^label-id:/d' -e 's/, uuid=[^,]*//'; }
[[ $(without_ids linux_target.img) == "$(without_ids linux.img)" ]] || fail "the table differs: $(table linux_target.img)"
check_table linux_target.img
check_ext4 linux_target.img 1
[[ $(content linux_target.img 1) == "$(content linux.img 1)" ]] || fail "partition 1 is $(content linux_target.img 1)"
[[ $(content linux_target.img 2) == "$(content linux.img 2)" ]] || fail "partition 2 is $(content linux_target.img 2)"
"$seedbed" verify linux.torrent linux_target.img >stdout || fail "verify of the disk with new ids: $(<stdout)"
pass
