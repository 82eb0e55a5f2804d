#!/bin/bash
# Power cuts while a deployed disk is completed: a file system grows, a swap area is made, and the partition table is written. The
# disk is served by lib_power_cut.py, which loses, reorders or tears the writes that no flush has covered. After each cut, the disk
# shows no table or is whole, and the same command completes it. The two file systems grow in turn.
# SEEDBED is the program.
# Usage: packed_grow_cuts.sh [CUTS [KIND KIND]]; 4 cuts by default, of an ext4 and an NTFS; xfs and btrfs are slower, as they are
# larger. SEEDBED_TEST_SEED repeats a run.
# Labels: once
set -euo pipefail
# shellcheck source=lib_daemon.sh
. "$(dirname "$0")/lib_daemon.sh"
# shellcheck source=lib_packed.sh
. "$here/lib_packed.sh"

need_loop
need_nbdfuse
cuts=${1:-4}
kinds=(none "${2:-ext4}" "${3:-ntfs}")
declare -A mib=([ext4]=40 [ntfs]=24 [xfs]=320 [btrfs]=256)
# The programs that grow them: their start begins the count of steps.
declare -A grower=([ext4]=e2fsck [ntfs]=ntfsresize [xfs]=xfs_growfs [btrfs]=btrfs)
for kind in "${kinds[@]:1}"; do
    need "partclone.$kind" "mkfs.$kind" "${grower[$kind]}"
    case $kind in
    ext4) need resize2fs debugfs ;;
    ntfs) need ntfscp ntfscat ;;
    xfs) need xfs_repair xfs_db ;;
    esac
done
need mkswap sfdisk sgdisk blkid jq
export TMPDIR=$work/tmp
mkdir tmp mounted
RANDOM=${SEEDBED_TEST_SEED:-$$}
echo "SEEDBED_TEST_SEED=${SEEDBED_TEST_SEED:-$$}"

packed_files files 4
disk_mib=$((mib[${kinds[1]}] + mib[${kinds[2]}] + 26))
truncate -s "${disk_mib}M" disk.img
sfdisk -q disk.img <<TABLE
label: gpt
size=${mib[${kinds[1]}]}M, type=L, name=first
size=${mib[${kinds[2]}]}M, type=EBD0A0A2-B9E5-4433-87C0-68B6B72699C7, name=second
size=10M, type=S
TABLE
# with_mounted COMMAND... DEVICE: runs COMMAND while the file system is mounted on ./mounted.
with_mounted() {
    local status=0
    mount "${@: -1}" mounted
    "${@:1:$#-1}" || status=$?
    umount mounted
    return "$status"
}
# make KIND DEVICE: a file system with files/data.
make() {
    case $1 in
    ext4) mkfs.ext4 -q -d files "$2" ;;
    ntfs) mkfs.ntfs -q -f "$2" && ntfscp -q -f "$2" files/data data ;;
    xfs | btrfs) "mkfs.$1" -q -f "$2" && with_mounted cp files/data mounted/ "$2" ;;
    esac
}
# is_clean KIND DEVICE
is_clean() {
    case $1 in
    ext4) e2fsck -fn "$2" ;;
    ntfs) ntfsresize -i -f "$2" ;;
    xfs) xfs_repair -n "$2" ;;
    btrfs) btrfs check "$2" ;;
    esac
}
# dump KIND DEVICE: copies its file to ./dumped.
dump() {
    case $1 in
    ext4) debugfs -R 'dump data dumped' "$2" ;;
    ntfs) ntfscat -f "$2" data >dumped ;;
    xfs | btrfs) with_mounted cp mounted/data dumped "$2" ;;
    esac
}
# grown_to KIND DEVICE: prints the bytes of the file system.
grown_to() {
    case $1 in
    ext4) dumpe2fs -h "$2" 2>/dev/null | awk -F: '/^Block count/ { n = $2 } /^Block size/ { print n * $2 }' ;;
    ntfs) ntfsresize -i -f "$2" 2>&1 | awk '/^Current volume size/ { print $4 }' ;;
    xfs) xfs_db -r -c 'sb 0' -c 'p dblocks blocksize' "$2" | awk '{ n[NR] = $3 } END { print n[1] * n[2] }' ;;
    btrfs) btrfs inspect-internal dump-super "$2" | awk '$1 == "total_bytes" { print $2 }' ;;
    esac
}
for number in 1 2; do
    on_partition disk.img "$number" make "${kinds[number]}" >mkfs.out 2>&1 || fail "${kinds[number]}: $(<mkfs.out)"
done
on_partition disk.img 3 mkswap -L swap >mkfs.out 2>&1
serve_disk

mkdir wrappers
for program in "${grower[@]}"; do
    real=$(command -v "$program")
    printf '#!/bin/bash\nread -r server <%s/server.pid\nkill -USR1 "$server"\nexec %s "$@"\n' "$work" "$real" >"wrappers/$program"
    chmod +x "wrappers/$program"
done

# power_on SEED STEPS: mounts the disk, nbd/disk.
power_on() {
    rm -f socket ready
    mkdir -p nbd
    mkfifo ready
    /usr/bin/python3 "$here/lib_power_cut.py" socket target.img "$1" "$2" >server.out 2>&1 &
    server=$!
    echo "$server" >server.pid
    until [[ -S socket ]]; do
        kill -0 "$server" || fail "the disk does not start: $(<server.out)"
        sleep 0.02
    done
    nbdfuse -P ready nbd/disk "nbd+unix:///?socket=$work/socket" </dev/null >nbdfuse.out 2>&1 &
    nbdfuse=$!
    defer nbdfuse fusermount3 -u "$work/nbd"
    timeout 60 cat ready >/dev/null || true
    [[ -e nbd/disk ]] || fail "nbdfuse does not start: $(<nbdfuse.out)"
}
# power_off: what is left is in target.img. Programs that were growing end by themselves; the kernel then detaches their loop device.
power_off() {
    kill -TERM "$server" 2>/dev/null || true
    wait "$server" || fail "the disk: $(<server.out)"
    timeout 60 bash -c 'until [[ -z $(losetup -j nbd/disk) ]]; do sleep 0.05; done' || fail "a loop device remains"
    undo nbdfuse
    wait "$nbdfuse" || true
}
# deploy N: grows partition N; the output is in deploy.log.
deploy() {
    PATH=$work/wrappers:$PATH "$seedbed" deploy disk.torrent nbd/disk --yes --config config.toml --state "$work/state" \
        --peer "$peer" --listen "127.0.0.1:$port" --grow "$1" </dev/null >deploy.log 2>&1
}
# new_disk: another disk than the last one, with a table.
new_disk() {
    rm -rf state
    noise_file target.img $((disk_mib + 70))
    sfdisk -q target.img <<<'label: gpt
size=10M'
}
# check N: the disk is whole, and partition N has grown.
check() {
    local number kind size
    check_table target.img
    for number in 1 2; do
        kind=${kinds[number]}
        on_partition target.img "$number" is_clean "$kind" >fsck.out 2>&1 || fail "the $kind: $(<fsck.out)"
        on_partition target.img "$number" dump "$kind" >dump.out 2>&1 || fail "the $kind: $(<dump.out)"
        cmp dumped files/data || fail "the file of the $kind differs"
    done
    [[ $(content target.img 3) == "$(content disk.img 3)" ]] || fail "swap is $(content target.img 3)"
    kind=${kinds[$1]}
    (($(field target.img "$1" size) > (mib[$kind] + 60) * 2048)) || fail "partition $1 has not grown: $(table target.img)"
    size=$(on_partition target.img "$1" grown_to "$kind")
    ((size > (mib[$kind] + 60) * 1048576)) || fail "the $kind has $size bytes"
}

steps=(0 0 0)
for number in 1 2; do
    new_disk
    power_on 1 0
    deploy "$number" || fail "the deployment fails: $(<deploy.log)"
    power_off
    steps[number]=$(sed -n 's/ steps$//p' server.out)
    check "$number" # the power is cut as soon as it is done
done
((steps[1] > 20 && steps[2] > 20)) || fail "there are ${steps[*]} steps only"

without=0 whole=0
for ((cut = 0; cut < cuts; cut++)); do
    number=$((cut % 2 + 1))
    new_disk
    power_on "$RANDOM" $((RANDOM % steps[number] + 1))
    status=0
    deploy "$number" || status=$?
    power_off
    what="cut $cut, ${kinds[number]}, $(tail -n 1 server.out)"
    if sfdisk -d target.img >sfdisk.out 2>&1; then
        check "$number"
        whole=$((whole + 1))
    else
        expect_no_table target.img
        ((status != 0)) || fail "$what: reported as done, without a table"
        without=$((without + 1))
    fi
    echo "$what: exit status $status"
    power_on "$RANDOM" 0
    deploy "$number" || fail "$what: the deployment is not completed"
    power_off
    check "$number"
done
((without > 0)) || fail "no cut has come before the table"
echo "$cuts cuts in ${steps[1]} and ${steps[2]} steps: $without times without a table, $whole times with the whole disk"
pass
