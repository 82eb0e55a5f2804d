#!/bin/bash
# Packed images of whole disks over the network: the partition table is written last, also on a larger disk with a grown partition,
# after an interruption, and never by a deployment that fails. SEEDBED is the program.
# Labels: once
set -euo pipefail
# shellcheck source=lib_daemon.sh
. "$(dirname "$0")/lib_daemon.sh"
# shellcheck source=lib_packed.sh
. "$here/lib_packed.sh"

need_loop
need partclone.ext4 partclone.vfat mkfs.ext4 mkfs.vfat mkswap sfdisk sgdisk e2fsck resize2fs blkid jq ss
export TMPDIR=$work/tmp
mkdir tmp

# check DISK: its table has no faults, and its partitions the content of the source's.
check() {
    local number
    check_ext4 "$1" 2
    for number in 1 2 3; do
        [[ $(content "$1" "$number") == "${contents[number]}" ]] || fail "$1: partition $number is $(content "$1" "$number")"
    done
    file_of "$1" 2 data
    cmp dumped files/data || fail "$1: the file differs"
    check_table "$1"
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

truncate -s 120M disk.img
sfdisk -q disk.img <<'TABLE'
label: gpt
size=16M, type=U, name=EFI
size=80M, type=L, name=root
size=16M, type=S
TABLE
packed_files files 9
on_partition disk.img 1 mkfs.vfat >mkfs.out 2>&1
on_partition disk.img 2 mkfs.ext4 -q -L root -d files >mkfs.out 2>&1
on_partition disk.img 3 mkswap -L swap >mkfs.out 2>&1
contents=()
for number in 1 2 3; do contents[number]=$(content disk.img "$number"); done
disk=$(attach_loop disk.img)
"$seedbed" create "$disk" --pack --piece-size "1 MiB" -o disk.sbi >line 2>progress || fail "create: $(<progress)"
detach_loop "$disk"

seed_port=$(free_port)
# start_seed NAME FILE [LINE...]: LINEs are added to [network].
start_seed() {
    local name=$1 file=$2
    shift 2
    write_config "$name.toml" "$seed_port" "$@"
    add_image "$name.toml" disk disk.torrent "$work/$file" seed 'verify = "none"'
    start_daemon "$name" "$name.toml"
    expect_line "$name.log" ' ready$'
}
printf '%s\n' '[memory]' 'pool = "16 MiB"' '[resume]' 'interval = "1s"' '[network]' 'local_discovery = false' >config.toml

# A deployment from a damaged source, to which it returns several times: meanwhile, the other cases.
cp disk.sbi bad.sbi
flip bad.sbi $(((4 << 20) + 3000))
noise_file broken.img 120
sfdisk -q broken.img <<<'label: gpt
size=10M'
start_seed bad bad.sbi
"$seedbed" deploy disk.torrent broken.img --yes --config config.toml --state "$work/broken-state" --peer "127.0.0.1:$seed_port" \
    --listen "127.0.0.1:$(free_port)" </dev/null >broken.log 2>&1 &
damaged=$!
seed_port=$(free_port)

# --- the same size, onto the remains of another disk

start_seed seed disk.sbi
noise_file same.img 120
sfdisk -q same.img <<<'label: dos
size=10M'
deploy same same.img 0
expect_line same.log 'and these signatures of earlier content will be erased'
expect_line same.log '  dos at byte 510'
[[ $(table same.img) == "$(table disk.img)" ]] || fail "the table differs: $(table same.img)"
check same.img
jq -e '.verified and .layout.table == "gpt" and (.layout.partitions | length) == 3 and .warnings == []
    and (.layout.partitions[1] | .number == 2 and .size == 83886080 and .file_system == "ext4")' \
    same.json >found || fail "the receipt is: $(<same.json)"

# --- a larger disk, whose last partition grows into it... which is swap; then the file system before it

truncate -s 220M last.img
deploy last last.img 0 --grow last
check last.img
(($(sfdisk -J last.img | jq '.partitiontable.partitions[2].size') > 100 * 2048)) || fail "swap has not grown: $(table last.img)"
truncate -s 220M grown.img
deploy grown grown.img 0 --grow 2
expect_line grown.log 'grow partition 2 \(ext4\)'
check grown.img
on_partition grown.img 2 dumpe2fs -h 2>/dev/null | awk -F: '/^Block count/ {n = $2} /^Block size/ {exit !(n * $2 > 170 * 1048576)}' ||
    fail "the file system has not grown"
jq -e '.layout.partitions[1].size > 170 * 1048576' grown.json >found || fail "the receipt is: $(<grown.json)"

# --- refusals: nothing is written

noise_file tiny.img 90
cp tiny.img expected.img
deploy tiny tiny.img 3
expect_line tiny.log 'MiB|bytes'
deploy nine same.img 3 --grow 9
cmp tiny.img expected.img || fail "a refused deployment has written"
check same.img

# --- interrupted by SIGKILL: no table, and the same command completes it

stop_daemon seed
start_seed seed disk.sbi 'upload_limit = "1 MiB"' # the kill comes long before the end
rm -rf state
noise_file cut.img 120
sfdisk -q cut.img <<<'label: gpt
size=10M'
target=$(attach_loop cut.img)
"$seedbed" deploy disk.torrent "$target" --yes --config config.toml --state "$work/state" --peer "127.0.0.1:$seed_port" \
    --listen "127.0.0.1:$(free_port)" </dev/null >killed.log 2>&1 &
killed=$!
until compgen -G 'state/*.resume' >found || ! kill -0 "$killed" 2>/dev/null; do sleep 0.05; done
kill -KILL "$killed" || fail "the deployment was not interrupted"
wait "$killed" 2>/dev/null || true
detach_loop "$target"
expect_no_table cut.img
stop_daemon seed
start_seed seed disk.sbi
deploy resumed cut.img 0
jq -e '.verified and .bytes.reused > 0' resumed.json >found || fail "the receipt is: $(<resumed.json)"
check cut.img

# --- stopped, then continued with another partition growing: what was written in the old places does not count

truncate -s 90M two.img
sfdisk -q two.img <<'TABLE'
label: gpt
size=40M, type=L
size=40M, type=L
TABLE
for number in 1 2; do on_partition two.img "$number" mkfs.ext4 -q -d files >mkfs.out 2>&1; done
disk=$(attach_loop two.img)
"$seedbed" create "$disk" --pack --piece-size "1 MiB" -o two.sbi >line 2>progress || fail "create: $(<progress)"
detach_loop "$disk"
mv two.torrent disk.torrent
stop_daemon seed
start_seed seed two.sbi 'upload_limit = "2 MiB"'
rm -rf state
noise_file moved.img 180
target=$(attach_loop moved.img)
"$seedbed" deploy disk.torrent "$target" --yes --config config.toml --state "$work/state" --peer "127.0.0.1:$seed_port" \
    --listen "127.0.0.1:$(free_port)" --grow 1 </dev/null >stopped.log 2>&1 &
stopped=$!
until compgen -G 'state/*.resume' >found || ! kill -0 "$stopped" 2>/dev/null; do sleep 0.05; done
kill -INT "$stopped" || fail "the deployment was not interrupted: $(<stopped.log)"
wait "$stopped" 2>/dev/null || true
stop_daemon seed
start_seed seed two.sbi
"$seedbed" deploy disk.torrent "$target" --yes --config config.toml --state "$work/state" --peer "127.0.0.1:$seed_port" \
    --listen "127.0.0.1:$(free_port)" --grow 2 --no-verify </dev/null >moved.log 2>&1 || fail "the deployment is not completed: $(<moved.log)"
detach_loop "$target"
expect_line moved.log 'ignoring the checkpoint: its partitions were to grow or move otherwise'
for number in 1 2; do
    check_ext4 moved.img "$number"
    file_of moved.img "$number" data
    cmp dumped files/data || fail "moved.img: partition $number: the file differs"
done

# --- a damaged source: no table, though the disk had one

status=0
wait "$damaged" || status=$?
((status == 10)) || fail "a damaged source: exit status $status"
expect_no_table broken.img
pass
