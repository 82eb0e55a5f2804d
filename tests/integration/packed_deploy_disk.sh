#!/bin/bash
# Packed images of whole disks over the network: the partition table is written last, also on a larger disk with a grown partition,
# after an interruption, and never by a deployment that fails. SEEDBED is the program.
# Labels: once
set -euo pipefail
# shellcheck source=lib_daemon.sh
. "$(dirname "$0")/lib_daemon.sh"

need_loop
need partclone.ext4 partclone.vfat mkfs.ext4 mkfs.vfat mkswap sfdisk sgdisk e2fsck resize2fs blkid jq ss
export TMPDIR=$work/tmp
mkdir tmp

# on_partition DISK N COMMAND...: runs COMMAND on a loop device of partition N, and removes it.
on_partition() {
    local disk=$1 offset size device status=0
    read -r offset size < <(sfdisk -J "$disk" | jq -r --argjson n "$2" '.partitiontable.partitions[$n - 1] | "\(.start * 512) \(.size * 512)"')
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
# check DISK: its table has no faults, and its partitions the content of the source's.
check() {
    local number
    on_partition "$1" 2 e2fsck -fn >fsck.out 2>&1 || fail "$1: ext4: $(<fsck.out)"
    for number in 1 2 3; do
        [[ $(on_partition "$1" "$number" blkid -p | sed 's/^[^:]*: //') == "$(on_partition disk.img "$number" blkid -p | sed 's/^[^:]*: //')" ]] ||
            fail "$1: partition $number differs"
    done
    on_partition "$1" 2 debugfs -R 'dump data dumped' >debugfs.out 2>&1
    cmp dumped files/data || fail "$1: the file differs"
    sgdisk -v "$1" >sgdisk.out 2>&1
    grep -q '^No problems found' sgdisk.out || fail "$1: sgdisk: $(<sgdisk.out)"
    sfdisk --verify "$1" >sfdisk.out 2>&1 || fail "$1: sfdisk: $(<sfdisk.out)"
}
# deploy NAME FILE STATUS [OPTION...]: deploys to a loop device of FILE; the output is in NAME.log, the receipt in NAME.json.
deploy() {
    local name=$1 file=$2 expected=$3 device status=0
    shift 3
    device=$(attach_loop "$file")
    "$seedbed" deploy disk.torrent "$device" --yes --config config.toml --state "$work/state" --peer "127.0.0.1:$seed_port" \
        --listen "127.0.0.1:$(free_port)" --receipt "$name.json" "$@" </dev/null >"$name.log" 2>&1 || status=$?
    detach_loop "$device"
    ((status == expected)) || fail "$name: exit status $status instead of $expected"
}

truncate -s 300M disk.img
sfdisk -q disk.img <<'TABLE'
label: gpt
size=40M, type=U, name=EFI
size=150M, type=L, name=root
size=40M, type=S
TABLE
mkdir files
head -c 9M /dev/urandom >files/data
cp -a /usr/share/perl* files/ 2>/dev/null || true
on_partition disk.img 1 mkfs.vfat >mkfs.out 2>&1
on_partition disk.img 2 mkfs.ext4 -q -L root -d files >mkfs.out 2>&1
on_partition disk.img 3 mkswap -L swap >mkfs.out 2>&1
disk=$(attach_loop disk.img)
"$seedbed" create "$disk" --pack --piece-size "1 MiB" -o disk.sbi >line 2>progress || fail "create: $(<progress)"
detach_loop "$disk"

seed_port=$(free_port)
# start_seed FILE [LINE...]: LINEs are added to [network].
start_seed() {
    local file=$1
    shift
    write_config seed.toml "$seed_port" "$@"
    add_image seed.toml disk disk.torrent "$work/$file" seed 'verify = "none"'
    start_daemon seed seed.toml
    expect_line seed.log ' ready$'
}
printf '%s\n' '[memory]' 'pool = "16 MiB"' '[resume]' 'interval = "1s"' '[network]' 'local_discovery = false' >config.toml

# --- the same size, onto the remains of another disk

start_seed disk.sbi
noise_file same.img 300
sfdisk -q same.img <<<'label: dos
size=10M'
deploy same same.img 0
expect_line same.log 'and these signatures of earlier content will be erased'
expect_line same.log '  dos at byte 510'
[[ $(table same.img) == "$(table disk.img)" ]] || fail "the table differs: $(table same.img)"
check same.img
jq -e '.verified and .layout.table == "gpt" and (.layout.partitions | length) == 3 and .warnings == []
    and (.layout.partitions[1] | .number == 2 and .size == 157286400 and .file_system == "ext4")' \
    same.json >found || fail "the receipt is: $(<same.json)"

# --- a larger disk, whose last partition grows into it... which is swap; then the file system before it

truncate -s 500M last.img
deploy last last.img 0 --grow last
check last.img
(($(sfdisk -J last.img | jq '.partitiontable.partitions[2].size') > 200 * 2048)) || fail "swap has not grown: $(table last.img)"
truncate -s 500M grown.img
deploy grown grown.img 0 --grow 2
expect_line grown.log 'grow partition 2 \(ext4\)'
check grown.img
on_partition grown.img 2 dumpe2fs -h 2>/dev/null | awk -F: '/^Block count/ {n = $2} /^Block size/ {exit !(n * $2 > 340 * 1048576)}' ||
    fail "the file system has not grown"
jq -e '.layout.partitions[1].size > 340 * 1048576' grown.json >found || fail "the receipt is: $(<grown.json)"

# --- refusals: nothing is written

noise_file tiny.img 200
cp tiny.img expected.img
deploy tiny tiny.img 3
expect_line tiny.log 'MiB|bytes'
deploy nine same.img 3 --grow 9
cmp tiny.img expected.img || fail "a refused deployment has written"
check same.img

# --- interrupted by SIGKILL: no table, and the same command completes it

stop_daemon seed
start_seed disk.sbi 'upload_limit = "3 MiB"'
rm -rf state
noise_file cut.img 300
sfdisk -q cut.img <<<'label: gpt
size=10M'
target=$(attach_loop cut.img)
"$seedbed" deploy disk.torrent "$target" --yes --config config.toml --state "$work/state" --peer "127.0.0.1:$seed_port" \
    --listen "127.0.0.1:$(free_port)" </dev/null >killed.log 2>&1 &
killed=$!
until compgen -G 'state/*.resume' >found || ! kill -0 "$killed" 2>/dev/null; do sleep 0.05; done
kill -KILL "$killed" || fail "the deployment was not interrupted"
wait "$killed" 2>/dev/null || true
[[ -z $(blkid -p "$target") ]] || fail "an incomplete disk shows: $(blkid -p "$target")"
detach_loop "$target"
stop_daemon seed
start_seed disk.sbi
deploy resumed cut.img 0
jq -e '.verified and .bytes.reused > 0' resumed.json >found || fail "the receipt is: $(<resumed.json)"
check cut.img

# --- a damaged source: no table, though the disk had one

stop_daemon seed
cp disk.sbi bad.sbi
printf X | dd of=bad.sbi bs=1 seek=$(((4 << 20) + 3000)) conv=notrunc status=none
start_seed bad.sbi
rm -rf state
noise_file broken.img 300
sfdisk -q broken.img <<<'label: gpt
size=10M'
deploy broken broken.img 10
[[ -z $(blkid -p broken.img) ]] || fail "the incomplete disk shows: $(blkid -p broken.img)"
pass
