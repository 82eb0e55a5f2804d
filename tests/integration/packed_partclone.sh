#!/bin/bash
# Packed images of what partclone and Clonezilla saved, without a disk in between: create --from-partclone, and a Clonezilla folder as
# SOURCE. Damaged and missing files are refused, and leave nothing. SEEDBED is the program.
# Labels: once
set -euo pipefail
# shellcheck source=lib_daemon.sh
. "$(dirname "$0")/lib_daemon.sh"

need_loop
need partclone.ext4 partclone.ntfs partclone.vfat partclone.dd mkfs.ext4 mkfs.ntfs mkfs.vfat mkswap sfdisk e2fsck ntfsresize split \
    zstd gzip jq
export TMPDIR=$work/tmp
mkdir tmp out saved

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
# content DISK N: what blkid finds in a partition.
content() {
    on_partition "$1" "$2" blkid -p | sed 's/^[^:]*: //'
}
# capture PROGRAM DEVICE: partclone's image on standard output.
capture() {
    "$1" -c -s "$2" -o - -L partclone.log 2>partclone.err || fail "$1: $(<partclone.err)"
}
# save PROGRAM N NAME COMMAND...: saves a partition as Clonezilla does, packed by COMMAND, in files of 1 MiB.
save() {
    local program=$1 number=$2 name=$3
    shift 3
    on_partition disk.img "$number" capture "$program" | "$@" | split -b 1M - "saved/$name."
}
# expect STATUS PATTERN COMMAND...: runs Seedbed, expects this exit status and a line on standard error, and no new file.
expect() {
    local want=$1 pattern=$2 status=0
    shift 2
    ls -A out >before
    "$seedbed" "$@" >stdout 2>stderr </dev/null || status=$?
    ((status == want)) || fail "$*: exit status $status instead of $want: $(<stderr)"
    grep -qE -e "$pattern" stderr || fail "$*: '$(<stderr)' does not contain '$pattern'"
    ls -A out | cmp - before || fail "$*: leaves $(ls -A out)"
}

truncate -s 400M disk.img
sfdisk -q disk.img <<'TABLE'
label: gpt
size=32M, type=U, name=EFI
size=16M, type=E3C9E316-0B5C-4DB8-817D-F92DF00215AE
size=64M, type=EBD0A0A2-B9E5-4433-87C0-68B6B72699C7, name=Windows
size=150M, type=L, name=root
size=40M, type=S
size=8M, type=L, name=empty
TABLE
mkdir files
head -c 9M /dev/urandom >files/data
printf 'boot code' | dd of=disk.img bs=1 conv=notrunc status=none
on_partition disk.img 1 mkfs.vfat -n ESP >mkfs.out 2>&1
dd if=/dev/urandom of=msr bs=1M count=16 status=none
dd if=msr of=disk.img bs=1M seek=33 conv=notrunc status=none
on_partition disk.img 3 mkfs.ntfs -q -f -L Windows >mkfs.out 2>&1
on_partition disk.img 4 mkfs.ext4 -q -L root -d files >mkfs.out 2>&1
on_partition disk.img 5 mkswap -L more >mkfs.out 2>&1

# --- a folder as Clonezilla's savedisk makes it

save partclone.vfat 1 sda1.vfat-ptcl-img.gz gzip -c
gzip -c msr | split -b 1M - saved/sda2.dd-ptcl-img.gz. # partclone.dd writes all bytes, without a head
save partclone.ntfs 3 sda3.ntfs-ptcl-img.zst zstd -qc
save partclone.ext4 4 sda4.ext4-ptcl-img.uncomp cat
sfdisk -d disk.img | sed -e 's|^device: .*|device: /dev/sda|' -e 's|^disk.img|/dev/sda|' >saved/sda-pt.sf
head -c 512 disk.img >saved/sda-mbr
echo sda >saved/disk
echo 'sda1 sda2 sda3 sda4' >saved/parts
printf 'UUID="%s"\nLABEL="more"\n' "$(on_partition disk.img 5 blkid -p -o value -s UUID)" >saved/swappt-sda5.info
(($(find saved -name 'sda4.*' | wc -l) > 5)) || fail "the image of sda4 is not split: $(ls saved)"

"$seedbed" create saved --pack -o out/disk.sbi >line 2>progress || fail "create: $(<progress)"
[[ -z $(ls -A tmp) ]] || fail "left in TMPDIR: $(ls -A tmp)"
for line in 'partition 1: .* of 32 MiB: used blocks, from sda1.vfat-ptcl-img.gz.aa' \
    'partition 2: 16 MiB of 16 MiB: all bytes, from sda2.dd-ptcl-img.gz.aa' \
    'partition 4: .* of 150 MiB: used blocks, from sda4.ext4-ptcl-img.uncomp.aa' \
    'partition 5 \(swap\): 40 MiB: none; the target gets a new swap area with its UUID and label' \
    'partition 6: 8 MiB: none, because Clonezilla has not saved it'; do
    grep -qxE "$line" progress || fail "create does not print '$line': $(<progress)"
done
grep -q 'sda3.ntfs-ptcl-img.zst.aa: the image leaves out the backup boot sector of NTFS' progress || fail "create prints: $(<progress)"
"$seedbed" probe out/disk.sbi | grep -q '^disk.sbi: disk of .* in sectors of 512 bytes, gpt$' || fail "probe fails"

noise_file restored.img 500
"$seedbed" restore out/disk.sbi restored.img --yes --receipt receipt.json >stdout 2>stderr || fail "restore: $(<stderr)"
[[ $(sfdisk -d restored.img | grep -v '^device:\|^last-lba:' | sed 's/^[^ ]* : //') == \
    "$(sfdisk -d disk.img | grep -v '^device:\|^last-lba:' | sed 's/^[^ ]* : //')" ]] || fail "the table differs: $(sfdisk -d restored.img)"
[[ $(head -c 9 restored.img) == 'boot code' ]] || fail "the boot code is lost"
for number in 1 3 4 5; do
    [[ $(content restored.img "$number") == "$(content disk.img "$number")" ]] ||
        fail "partition $number is $(content restored.img "$number")"
done
on_partition restored.img 4 e2fsck -fn >fsck.out 2>&1 || fail "ext4: $(<fsck.out)"
on_partition restored.img 3 ntfsresize -i -f >fsck.out 2>&1 || fail "NTFS: $(<fsck.out)"
cmp -n $((16 << 20)) -i $((33 << 20)) restored.img disk.img || fail "the bytes of partition 2 differ"
on_partition restored.img 4 debugfs -R 'dump data dumped' >debugfs.out 2>&1
cmp dumped files/data || fail "the file differs"
jq -e '[.layout.partitions[].file_system] == ["vfat", null, "ntfs", "ext4", "swap", null]' receipt.json >found ||
    fail "the file systems are not recognised: $(<receipt.json)"
"$seedbed" verify out/disk.torrent restored.img >stdout || fail "verify: $(<stdout)"

# --- one partition

"$seedbed" create --from-partclone saved/sda4.ext4-ptcl-img.uncomp.* --pack -o out/root.sbi >line 2>progress || fail "create: $(<progress)"
"$seedbed" probe out/root.sbi | grep -q '^root.sbi: partition of 150 MiB in sectors of 512 bytes, ext4 "root"$' ||
    fail "probe prints: $("$seedbed" probe out/root.sbi)"
noise_file root.img 160
"$seedbed" restore out/root.sbi root.img --yes >stdout 2>stderr || fail "restore: $(<stderr)"
e2fsck -fn root.img >fsck.out 2>&1 || fail "the restored file system: $(<fsck.out)"
debugfs -R 'dump data dumped' root.img >debugfs.out 2>&1
cmp dumped files/data || fail "the file differs"
"$seedbed" create --from-partclone saved/sda3.ntfs-ptcl-img.zst.* --pack -o out/windows.sbi >line 2>progress || fail "create: $(<progress)"
"$seedbed" probe out/windows.sbi | grep -q 'ntfs "Windows"$' || fail "probe prints: $("$seedbed" probe out/windows.sbi)"

# --- what is damaged or missing

pack=(--pack -o out/bad.sbi)
last=$(find saved -name 'sda4.*' | sort | tail -n 1)
cp "$last" kept
head -c -1000 kept >"$last"
expect 1 'sda4.ext4-ptcl-img.uncomp.aa: the image ends within its blocks' create saved "${pack[@]}"
expect 1 'sda4.ext4-ptcl-img.uncomp.aa: the image ends within its blocks' create --from-partclone saved/sda4.* "${pack[@]}"
cp kept "$last"
flip saved/sda4.ext4-ptcl-img.uncomp.ac 5000
expect 1 'sda4.ext4-ptcl-img.uncomp.aa: a checksum of its blocks is wrong' create saved "${pack[@]}"
flip saved/sda4.ext4-ptcl-img.uncomp.aa 60
expect 3 'sda4.ext4-ptcl-img.uncomp.aa: the checksum of its header is wrong' create saved "${pack[@]}"
rm saved/sda4.*
expect 3 'saved: has no partclone image of sda4, though its file "parts" lists it' create saved "${pack[@]}"
sed -i 's/ sda4//' saved/parts
mv saved/sda3.ntfs-ptcl-img.zst.aa kept
head -c 500 kept >saved/sda3.ntfs-ptcl-img.zst.aa
expect 3 'sda3.ntfs-ptcl-img.zst.aa: ' create saved "${pack[@]}"
expect 2 'need.* --pack' create --from-partclone kept -o out/bad.torrent
expect 2 "do not apply to partclone's files" create saved "${pack[@]}" --raw
expect 3 'not a Clonezilla folder: it has no DISK-pt.sf' create files "${pack[@]}"
expect 3 'not a partclone image' create --from-partclone files/data "${pack[@]}"
pass
