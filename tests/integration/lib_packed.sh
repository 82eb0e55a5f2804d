#!/bin/bash
# shellcheck disable=SC2154 # lib_daemon.sh sets them
# For the tests of packed images, after lib_daemon.sh.
#
#   packed_files FOLDER MIB           makes files to pack: text, MIB of random bytes in FOLDER/data, zeros in FOLDER/zeros
#
# DISK is a file with a partition table; N counts the lines of its table, from 1.
#   field DISK N KEY                  prints start or size of a partition, in sectors, or another field of sfdisk
#   on_partition DISK N COMMAND...    runs COMMAND with a loop device of partition N as its last argument
#   table DISK                        prints the table without the names of devices
#   content DISK N                    prints what blkid finds in a partition
#   check_ext4 DISK N                 fails unless the file system is clean
#   file_of DISK N NAME               copies a file of an ext4 to ./dumped
#   check_table DISK                  fails if sgdisk (GPT) or sfdisk finds a fault in the table
#   linux_disk DISK FOLDER            makes a GPT disk of 60 MiB with FOLDER in an ext4, and a swap area
#   serve_disk                        packs disk.img, in pieces of 1 MiB, and serves it from $peer; writes config.toml for a deployment
#                                     and sets its $port
#   expect_no_table DISK              fails if blkid or sfdisk finds anything on the disk

packed_files() {
    local folder=$1 mib=$2
    mkdir -p "$folder"
    cp -a /usr/share/perl5 /usr/share/bash-completion /usr/share/misc "$folder" 2>/dev/null || true
    head -c "${mib}M" /dev/urandom >"$folder/data"
    head -c 2M /dev/zero >"$folder/zeros"
}

field() {
    sfdisk -J "$1" | jq -r --argjson n "$2" --arg key "$3" '.partitiontable.partitions[$n - 1][$key]'
}
# place DISK N: sets start and size, in bytes.
place() {
    read -r start size < <(sfdisk -J "$1" | jq -r --argjson n "$2" '.partitiontable.partitions[$n - 1] | "\(.start * 512) \(.size * 512)"')
}
on_partition() {
    local disk=$1 start size device status=0
    place "$disk" "$2"
    shift 2
    device=$(attach_loop "$disk" -o "$start" --sizelimit "$size")
    "$@" "$device" || status=$?
    detach_loop "$device"
    return "$status"
}
table() {
    sfdisk -d "$1" | sed -e '/^device:/d; /^last-lba:/d' -e 's/^[^ ]* : //'
}
content() {
    local start size
    place "$1" "$2"
    blkid -p -O "$start" -S "$size" "$1" | sed 's/^[^:]*: //'
}
check_ext4() {
    local start size
    place "$1" "$2"
    e2fsck -fn "$1?offset=$start" >fsck.out 2>&1 || fail "$1: partition $2: $(<fsck.out)"
}
file_of() {
    local start size
    place "$1" "$2"
    debugfs -R "dump $3 dumped" "$1?offset=$start" >debugfs.out 2>&1
}
check_table() {
    sgdisk -v "$1" >sgdisk.out 2>&1
    grep -q '^No problems found' sgdisk.out || fail "$1: sgdisk: $(<sgdisk.out)"
    sfdisk --verify "$1" >sfdisk.out 2>&1 || fail "$1: sfdisk: $(<sfdisk.out)"
}
expect_no_table() {
    [[ -z $(blkid -p "$1") ]] || fail "$1 shows: $(blkid -p "$1")"
    ! sfdisk -d "$1" >sfdisk.out 2>&1 || fail "$1 has a table: $(<sfdisk.out)"
}
serve_disk() {
    "$seedbed" create disk.img --pack --piece-size "1 MiB" -o disk.sbi >line 2>progress || fail "create: $(<progress)"
    write_config seed.toml "$(free_port)"
    add_image seed.toml disk disk.torrent "$work/disk.sbi" seed 'verify = "none"'
    start_daemon seed seed.toml
    expect_line seed.log ' ready$'
    peer=$(sed -n 's/^listen = "\(.*\)"/\1/p' seed.toml)
    printf '%s\n' '[memory]' 'pool = "16 MiB"' '[network]' 'local_discovery = false' >config.toml
    port=$(free_port)
}
linux_disk() {
    truncate -s 60M "$1"
    sfdisk -q "$1" <<'TABLE'
label: gpt
size=40M, type=L, name=root
size=10M, type=S
TABLE
    on_partition "$1" 1 mkfs.ext4 -q -L root -d "$2" >mkfs.out 2>&1
    on_partition "$1" 2 mkswap -L swap >mkfs.out 2>&1
}
