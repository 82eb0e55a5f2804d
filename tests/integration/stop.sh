#!/bin/bash
# SIGTERM stops the daemon within 5 seconds and with exit status 0 at any time: while it starts, opens devices, checks, downloads,
# verifies, seeds or is idle. The daemon flushes the written data before it ends, even if a second signal arrives. SEEDBED is the
# program.
# Labels: threads
set -euo pipefail
# shellcheck source=lib_daemon.sh
. "$(dirname "$0")/lib_daemon.sh"

need_loop
need partclone.ext4 mkfs.ext4 ss
need_nbdfuse # for slow disks
can_mount ext4 || skip "the kernel does not support ext4"

# stop NAME PHASE: sends SIGTERM; fails unless the daemon stops within 5 s.
stop() {
    stop_daemon "$1" 30
    echo "$2: stopped after $stop_milliseconds ms"
    ((stop_milliseconds <= 5000)) || fail "$2: it took $stop_milliseconds ms to stop"
    [[ $(tail -n 1 "$1.log") == *" info  stopped" ]] || fail "$2: the last line is not 'stopped'"
    never_line "$1.log" ' error |may be lost|more than 5 s'
}

size=128
truncate -s ${size}M source.img
source=$(attach_loop source.img)
make_file_system ext4 "$source" 100
capture ext4 "$source" sda1
detach_loop "$source"
total=$(image_bytes sda1.info)

seed_port=$(free_port)
deploy_port=$(free_port)
# The source is slow, 16 MB/s: a deployment takes about six seconds, with a STATUS every second.
slow=$(start_nbd slow --filter=rate file source.img rate=128M)
write_config seed.toml "$seed_port"
add_image seed.toml sda1 sda1.torrent "$slow" seed
# deploy_to DEVICE [LINE...]: writes deploy.toml with these lines.
deploy_to() {
    write_config deploy.toml "$deploy_port" "${@:2}"
    add_image deploy.toml sda1 sda1.torrent "$1" deploy "peers = [\"127.0.0.1:$seed_port\"]"
}

# Without images, with SIGTERM and with SIGINT.
write_config empty.toml "$deploy_port"
start_daemon empty empty.toml
expect_line empty.log ' ready$'
stop empty "without images"
start_daemon empty empty.toml
expect_line empty.log ' ready$'
kill -INT "${daemon_pid[empty]}"
await_exit empty 30
((exit_status == 0)) || fail "SIGINT: exit status $exit_status"
expect_line empty.log ' stopping on SIGINT$'

# A signal that arrives early, while the daemon opens its configuration, is not lost and does not kill the process.
if have_strace; then
    for signal in HUP TERM; do
        start_daemon "first$signal" empty.toml "${strace[@]}" -o "first$signal.trace" -P "$work/empty.toml" -P empty.toml \
            -e "inject=openat:signal=$signal:when=1"
        if [[ $signal == HUP ]]; then
            expect_line firstHUP.log ' reload: .*nothing differs$'
            kill -TERM "${daemon_pid[firstHUP]}"
        fi
        await_exit "first$signal" 60
        grep -q "SIG$signal" "first$signal.trace" || fail "SIG$signal was not sent: $(<"first$signal.trace")"
        ((exit_status == 0)) || fail "SIG$signal at the start: exit status $exit_status"
        expect_line "first$signal.log" ' stopping on SIGTERM$'
        expect_line "first$signal.log" ' stopped$'
    done
else
    echo "SKIP signals at the start: strace cannot be used"
fi

# At the first line of the log.
noise_file target.img $size
target=$(attach_loop target.img)
deploy_to "$target"
start_daemon early deploy.toml
expect_line early.log ' Seedbed '
stop early "while opening"
never_line early.log 'done:'

# While downloading; the second time with strace, which records the order of writes and flushes.
for traced in no yes; do
    start_daemon seed seed.toml
    wrapper=()
    lines=()
    if [[ $traced == yes ]]; then
        if ! have_strace; then
            echo "SKIP the order of writes and flushes: strace cannot be used"
            stop_daemon seed
            continue
        fi
        # strace does not see the transfers of a ring.
        for class in hdd sata_ssd nvme; do lines+=("[profile.$class]" 'io_engine = "threads"'); done
        wrapper=("${strace[@]}" -y -o trace -e "trace=pwritev,fsync" --seccomp-bpf)
    fi
    detach_loop "$target"
    noise_file target.img $size
    target=$(attach_loop target.img)
    deploy_to "$target" 'download_limit = "8 MiB"' "${lines[@]}" # it is stopped long before its end
    start_status downloading deploy.toml "${wrapper[@]}"
    expect_line downloading.status 'sda1: downloading [3-8][0-9]%'
    reached=$(grep -o -m 1 -E 'sda1: downloading [3-8][0-9]' downloading.status)
    stop downloading "while downloading (strace: $traced)"
    never_line downloading.log 'downloaded|done:'
    # What the status has counted is on the device, except for the ends by which it is recognised.
    kept=$(/usr/bin/python3 "$here/lib_extents.py" bytes sda1.info source.img "$target")
    ((kept + (2 << 20) >= total * ${reached##* } / 100 && kept < total)) ||
        fail "the device has $kept of $total bytes, after the status '$reached'"
    if [[ $traced == yes ]]; then
        # The tracer is not our child: it ends after the daemon, and its file is complete only then.
        expect_line trace "^[0-9]+ +\+\+\+ exited with 0 \+\+\+"
        /usr/bin/python3 "$here/lib_flushed.py" trace "$target" || fail "written data is not flushed"
    fi
    expect_line seed.log ' sda1: seeding'
    stop seed "a seeder with a slow read under way"
done

# A target that is much slower than its peer, 16 MB/s: the blocks in memory must reach it within the 5 seconds.
noise_file disk.img $size
disk=$(start_nbd disk --filter=rate file disk.img rate=128M burstiness=0.1)
cp --sparse=always source.img fast.img
fast=$(attach_loop fast.img)
write_config fast.toml "$seed_port"
add_image fast.toml sda1 sda1.torrent "$fast" seed
deploy_to "$disk"
start_daemon fast fast.toml
start_status old_disk deploy.toml
expect_line old_disk.status 'sda1: downloading [1-9][0-9]%'
stop old_disk "with a disk of 16 MB/s and a peer that has no limit"
never_line old_disk.log 'done:'
stop_nbd disk
kept=$(equal_bytes sda1.info source.img disk.img)
((kept < total)) || fail "it was not stopped half-way"

# Slow reads: while checking, and while verifying.
noise_file disk.img $size
disk=$(start_nbd disk --filter=rate file disk.img rate=128M burstiness=0.1)
deploy_to "$disk"
start_status checking deploy.toml
expect_line checking.status 'sda1: checking [1-9][0-9]?%'
stop checking "while checking"
never_line checking.log ' checked |done:'
stop_nbd disk

rm -f slow_reads
cp --sparse=always source.img disk.img
# After the first flush, the target reads slowly and serially, at a few MB/s: one piece takes longer than a stop may take.
disk=$(start_nbd disk eval get_size="stat -c %s '$work/disk.img'" can_write="exit 0" can_flush="exit 0" \
    flush="sync '$work/disk.img'; touch '$work/slow_reads'" thread_model="echo serialize_all_requests" \
    pread="if [ -e '$work/slow_reads' ]; then sleep 0.03; fi
        dd if='$work/disk.img' iflag=skip_bytes,count_bytes skip=\$4 count=\$3 bs=1M status=none" \
    pwrite="dd of='$work/disk.img' oflag=seek_bytes conv=notrunc seek=\$4 iflag=fullblock bs=1M status=none")
rm -f slow_reads # losetup flushes, too
deploy_to "$disk"
start_status verifying deploy.toml
expect_line verifying.log ' sda1: verifying' 150
expect_line verifying.status 'sda1: verifying [1-9][0-9]?%' 150
stop verifying "while verifying"
never_line verifying.log ' verified |not verified|done:'
stop_nbd disk

# A flush that takes until the file "go" exists, and a second SIGTERM during it: the daemon waits for the flush.
noise_file disk.img $size
touch go # losetup flushes, too
disk=$(start_nbd disk eval get_size="stat -c %s '$work/disk.img'" can_write="exit 0" can_flush="exit 0" \
    flush="echo begin >>'$work/flushes'; timeout 60 sh -c 'until [ -e $work/go ]; do sleep 0.05; done'; sync '$work/disk.img'; echo end >>'$work/flushes'" \
    pread="dd if='$work/disk.img' iflag=skip_bytes,count_bytes skip=\$4 count=\$3 bs=1M status=none" \
    pwrite="dd of='$work/disk.img' oflag=seek_bytes conv=notrunc seek=\$4 iflag=fullblock bs=1M status=none")
rm go
: >flushes
deploy_to "$disk" 'download_limit = "8 MiB"'
# The slow seeder, without its page cache, which would serve the image at full speed.
stop_daemon fast
blockdev --flushbufs "$slow"
start_daemon seed seed.toml
start_status twice deploy.toml
expect_line twice.status 'sda1: downloading [1-9][0-9]?%'
kill -TERM "${daemon_pid[twice]}"
expect_line twice.log ' stopping on SIGTERM'
expect_line flushes '^begin'
kill -TERM "${daemon_pid[twice]}"
expect_line twice.log ' warning still stopping'
[[ $(tail -n 1 flushes) == begin ]] || fail "the second SIGTERM arrived after the flush"
touch go
await_exit twice 60
((exit_status == 0)) || fail "two signals: exit status $exit_status"
[[ $(tail -n 1 flushes) == end && $(tail -n 1 twice.log) == *" info  stopped" ]] || fail "two signals: the daemon ended before its flush"
echo "two signals: stopped"
stop_daemon seed
stop_nbd disk

# After completion: it seeds and has nothing to write.
detach_loop "$target" # a device on the file would refuse it
cp --sparse=always source.img target.img
deploy_to "$work/target.img"
start_daemon idle deploy.toml
expect_line idle.log ' sda1: done: '
stop idle "while idle"
pass
