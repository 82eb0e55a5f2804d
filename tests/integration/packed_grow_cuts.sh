#!/bin/bash
# Power cuts while a deployed disk is completed: a file system grows, a swap area is made, and the partition table is written. The
# disk is served by lib_power_cut.py, which loses, reorders or tears the writes that no flush has covered. After each cut, the disk
# shows no table or is whole, and the same command completes it. The ext4 and the NTFS grow in turn.
# SEEDBED is the program.
# Usage: packed_grow_cuts.sh [CUTS]; 4 cuts by default. SEEDBED_TEST_SEED repeats a run.
# Labels: once
set -euo pipefail
# shellcheck source=lib_daemon.sh
. "$(dirname "$0")/lib_daemon.sh"
# shellcheck source=lib_packed.sh
. "$here/lib_packed.sh"

need_loop
need_nbdfuse
need partclone.ext4 partclone.ntfs mkfs.ext4 mkfs.ntfs mkswap sfdisk sgdisk e2fsck resize2fs ntfsresize ntfscp ntfscat debugfs blkid jq
export TMPDIR=$work/tmp
mkdir tmp
cuts=${1:-4}
RANDOM=${SEEDBED_TEST_SEED:-$$}
echo "SEEDBED_TEST_SEED=${SEEDBED_TEST_SEED:-$$}"

packed_files files 4
truncate -s 90M disk.img
sfdisk -q disk.img <<'TABLE'
label: gpt
size=40M, type=L, name=root
size=24M, type=EBD0A0A2-B9E5-4433-87C0-68B6B72699C7, name=data
size=10M, type=S
TABLE
to_ntfs() { ntfscp -q -f "$1" files/data data; }
from_ntfs() { ntfscat -f "$1" data >dumped; }
on_partition disk.img 1 mkfs.ext4 -q -L root -d files >mkfs.out 2>&1
on_partition disk.img 2 mkfs.ntfs -q -f >mkfs.out 2>&1
on_partition disk.img 2 to_ntfs >ntfscp.out 2>&1 || fail "ntfscp: $(<ntfscp.out)"
on_partition disk.img 3 mkswap -L swap >mkfs.out 2>&1
serve_disk

# The programs that complete a disk begin the count.
mkdir wrappers
for program in e2fsck ntfsresize; do
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
    noise_file target.img 160
    sfdisk -q target.img <<<'label: gpt
size=10M'
}
# check N: the disk is whole, and partition N has grown.
check() {
    check_table target.img
    check_ext4 target.img 1
    file_of target.img 1 data
    cmp dumped files/data || fail "the file of partition 1 differs"
    on_partition target.img 2 ntfsresize -i -f >ntfs.out 2>&1 || fail "partition 2: $(<ntfs.out)"
    on_partition target.img 2 from_ntfs 2>fsck.out || fail "partition 2: $(<fsck.out)"
    cmp dumped files/data || fail "the file of partition 2 differs"
    [[ $(content target.img 3) == "$(content disk.img 3)" ]] || fail "swap is $(content target.img 3)"
    (($(field target.img "$1" size) > 80 * 2048)) || fail "partition $1 has not grown: $(table target.img)"
    if (($1 == 1)); then
        on_partition target.img 1 dumpe2fs -h 2>/dev/null | awk -F: '/^Block count/ {n = $2} /^Block size/ {exit !(n * $2 > 100 * 1048576)}' ||
            fail "the ext4 has not grown"
    else
        awk '/^Current volume size/ {n = $4} END {exit !(n > 90 * 1000000)}' ntfs.out || fail "the NTFS has not grown: $(<ntfs.out)"
    fi
}

steps=(0 0 0)
for number in 1 2; do
    new_disk
    power_on 1 0
    deploy "$number" || fail "the deployment fails"
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
    what="cut $cut, partition $number, $(tail -n 1 server.out)"
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
