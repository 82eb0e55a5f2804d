#!/bin/bash
# A deployment without checkpoints that SIGTERM or SIGKILL interrupts continues at that point: the daemon checks the device and
# downloads only the missing pieces. After completion, a restart downloads nothing; after damage, only the damaged piece.
# SEEDBED is the program.
# Labels: once
set -euo pipefail
# shellcheck source=lib_daemon.sh
. "$(dirname "$0")/lib_daemon.sh"

need_loop
need partclone.ext4 mkfs.ext4 ss
need_nbdfuse # for a slow source
can_mount ext4 || skip "the kernel does not support ext4"

size=256
piece=$((16 << 20))
truncate -s ${size}M source.img
source=$(attach_loop source.img)
make_file_system ext4 "$source" 190
capture ext4 "$source" sda1
detach_loop "$source"
total=$(image_bytes sda1.info)
((total > 10 * piece)) || fail "an image of $total bytes has too few pieces"

# 32 MB/s: about six seconds for the image; those that are cut are slower, with a STATUS every second.
slow=$(start_nbd slow --filter=rate file source.img rate=256M)
seed_port=$(free_port)
write_config seed.toml "$seed_port"
add_image seed.toml sda1 sda1.torrent "$slow" seed
noise_file target.img $size
target=$(attach_loop target.img)
write_config deploy.toml "$(free_port)" '[resume]' 'interval = 0'
add_image deploy.toml sda1 sda1.torrent "$target" deploy "peers = [\"127.0.0.1:$seed_port\"]"

# tenths PATTERN FILE: prints the size that $number matches in the pattern, "12.5 MiB" or "12 MiB", in tenths of MiB.
tenths() {
    local line
    line=$(grep -E -m 1 "$1" "$2") || fail "$2 does not contain: $1"
    [[ $line =~ $1 ]]
    echo $((10#${BASH_REMATCH[1]}${BASH_REMATCH[3]:-0}))
}
number='([0-9]+)(\.([0-9]))? MiB'

# finish NAME EXPECTED: deploys to the end; fails unless that downloads EXPECTED bytes.
finish() {
    local name=$1 expected=$2 fetched downloaded
    start_daemon "$name" deploy.toml
    expect_line "$name.log" ' sda1: done: '
    stop_daemon "$name"
    never_line "$name.log" ' (error|warning) '
    fetched=$(tenths ": $number to download" "$name.log")
    downloaded=$(tenths "downloaded $number" "$name.log")
    # Sizes of 10 MiB and more are rounded to whole MiB.
    ((fetched * 104858 >= expected - 629146 && fetched * 104858 <= expected + 629146)) ||
        fail "$name: it announced $fetched tenths of MiB, but $expected bytes are missing"
    # Nothing was downloaded twice.
    ((downloaded - fetched <= 10 && fetched - downloaded <= 10)) ||
        fail "$name: it downloaded $downloaded tenths of MiB instead of $fetched"
    compare_extents sda1.info source.img "$target"
    gaps_are_noise sda1.info "$target"
    echo "$name: $expected of $total bytes were missing, downloaded ${downloaded%?}.${downloaded: -1} MiB"
}

for signal in TERM KILL; do
    start_daemon seed seed.toml # a new daemon: the old one could serve the whole image from memory, which would not be slow
    detach_loop "$target"
    noise_file target.img $size
    target=$(attach_loop target.img)
    sed -i "s|^device = .*|device = \"$target\"|" deploy.toml
    sed -i 's/^local_discovery.*/&\ndownload_limit = "8 MiB"/' deploy.toml
    start_status "cut_$signal" deploy.toml
    expect_line "cut_$signal.status" 'sda1: downloading [3-8][0-9]%'
    if [[ $signal == TERM ]]; then
        stop_daemon "cut_$signal"
    else
        kill_daemon "cut_$signal"
    fi
    sed -i '/^download_limit/d' deploy.toml
    never_line "cut_$signal.log" 'downloaded|done:'
    kept=$(equal_bytes sda1.info source.img "$target")
    ((kept > 0 && kept < total)) || fail "SIG$signal: the deployment was not interrupted half-way: the device has $kept of $total bytes"
    finish "after_$signal" $((total - kept))
    stop_daemon seed
done

# Already done: nothing is downloaded or written, and no seeder is needed.
before=$(sha1sum <target.img)
start_daemon again deploy.toml
expect_line again.log ' sda1: done: '
stop_daemon again
expect_line again.log 'downloaded: nothing was missing'
[[ $(sha1sum <target.img) == "$before" ]] || fail "a completed device has changed"

# Damaged: only this piece is downloaded again.
read -r offset length <<<"$(extent sda1.info 5)"
flip "$target" $((offset + length / 2))
kept=$(equal_bytes sda1.info source.img "$target")
((kept == total - piece)) || fail "expected one damaged piece: $kept of $total bytes are equal"
start_daemon seed seed.toml
finish damaged $piece
stop_daemon seed
pass
