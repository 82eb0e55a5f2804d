#!/bin/bash
# A deployment of a packed disk that SIGKILL ends before its file system grows, then at random moments of its last phases, in which a
# file system grows, a swap area is made and the partition table written: the disk shows no table or is whole, and the same command
# completes it. SEEDBED is the program.
# Usage: packed_kill.sh [ROUNDS]; 3 rounds by default. SEEDBED_TEST_SEED repeats a run.
# Labels: once
set -euo pipefail
# shellcheck source=lib_daemon.sh
. "$(dirname "$0")/lib_daemon.sh"
# shellcheck source=lib_packed.sh
. "$here/lib_packed.sh"

need_loop
need partclone.ext4 mkfs.ext4 mkswap sfdisk sgdisk e2fsck resize2fs debugfs blkid jq ss
export TMPDIR=$work/tmp
mkdir tmp
rounds=${1:-3}
RANDOM=${SEEDBED_TEST_SEED:-$$}
echo "SEEDBED_TEST_SEED=${SEEDBED_TEST_SEED:-$$}"

packed_files files 4
linux_disk disk.img files
serve_disk
# deploy: deploys to target.img, with the output in deploy.log.
deploy() {
    exec "$seedbed" deploy disk.torrent target.img --yes --config config.toml --state "$work/state" --peer "$peer" \
        --listen "127.0.0.1:$port" --grow 1 </dev/null >deploy.log 2>&1
}
# new_disk: another disk than the last one, with a table.
new_disk() {
    rm -rf state
    : >deploy.log # whose lines are awaited before the next deployment has opened it
    noise_file target.img 200
    sfdisk -q target.img <<<'label: gpt
size=10M'
}
check() {
    check_ext4 target.img 1
    check_table target.img
    file_of target.img 1 data
    cmp dumped files/data || fail "the file differs"
    [[ $(content target.img 2) == "$(content disk.img 2)" ]] || fail "swap is $(content target.img 2)"
    (($(field target.img 1 size) > 170 * 2048)) || fail "it has not grown: $(table target.img)"
}

# The time from the last line before these phases to the end.
new_disk
(deploy) &
deployment=$!
expect_line deploy.log ' verified | verifying: '
began=${EPOCHREALTIME/[.,]/}
wait "$deployment" || fail "the deployment fails"
length=$((${EPOCHREALTIME/[.,]/} - began))
check

mkdir wrappers
printf '#!/bin/bash\nkill -KILL $PPID\n' >wrappers/resize2fs
chmod +x wrappers/resize2fs
without=0 whole=0
for ((round = 0; round < rounds; round++)); do
    new_disk
    # The first time, what would let the file system grow kills it: that is before the table.
    if ((round == 0)); then
        (PATH=$work/wrappers:$PATH deploy) &
        deployment=$!
    else
        (deploy) &
        deployment=$!
        expect_line deploy.log ' verified | verifying: '
        sleep "$(printf '0.%06d' $(((RANDOM << 15 | RANDOM) % (length < 999999 ? length : 999999))))"
        kill -KILL "$deployment" 2>/dev/null || true
    fi
    wait "$deployment" 2>/dev/null || true
    if sfdisk -d target.img >sfdisk.out 2>&1; then
        ((round > 0)) || fail "the table is written before the file system grows"
        check
        whole=$((whole + 1))
    else
        expect_no_table target.img
        without=$((without + 1))
    fi
    # A program that was growing the file system ends by itself, and the kernel then detaches its loop device.
    timeout 60 bash -c 'until [[ -z $(losetup -j target.img) ]]; do sleep 0.05; done' || fail "a loop device remains"
    (deploy) || fail "round $round: the deployment is not completed"
    check
done
((without > 0)) || fail "SIGKILL has never come before the table"
echo "killed $rounds times: $without times without a table, $whole times with the whole disk"
pass
