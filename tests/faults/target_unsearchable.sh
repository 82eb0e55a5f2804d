#!/bin/bash
# Fault: the target of 'seedbed restore' cannot be read where old signatures are
# Required: exit status 6; nothing is written, so that no old partition table survives on a disk with half an image
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

need_loop
need_nbdfuse
need sfdisk partclone.ext4 mkfs.ext4
truncate -s 32M disk.img
sfdisk -q disk.img <<<'label: gpt
start=2048, size=24M'
source=$(attach_loop disk.img -o 1048576 --sizelimit 25165824)
mkfs.ext4 -q "$source" >mkfs.log 2>&1
detach_loop "$source"
"$seedbed" create disk.img --pack -o disk.sbi >create.log 2>&1 || fail "create: $(<create.log)"
# The target has another table, and its last sectors, where RAID members and ZFS volumes have their signatures, cannot be read.
noise_file target.img 32
sfdisk -q target.img <<<'label: dos
start=2048, size=8M'
cp target.img expected.img
# shellcheck disable=SC2016 # the disk expands it
device=$(faulty_disk bad target.img 'pread=if [ $(($4 + $3)) -gt 33550336 ]; then eval "$eio"; fi; eval "$read"')
status=0
"$seedbed" restore disk.sbi "$device" --yes >restore.log 2>&1 || status=$?
((status == 6)) || fail "restore: exit status $status instead of 6: $(<restore.log)"
says restore "cannot look for signatures of earlier content: .*\\(EIO\\); nothing was written"
cmp target.img expected.img || fail "the refused restoration has written"
pass
