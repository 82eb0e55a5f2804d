#!/bin/bash
# Fault: the source of a capture is one of two devices of a btrfs
# Required: is refused with exit status 3 and the number of devices; no .torrent is made
# Labels: quick
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

need mkfs.btrfs
truncate -s 256M first.img second.img
mkfs.btrfs -q -f first.img second.img >mkfs.log 2>&1
for member in first.img second.img; do
    status=0
    "$seedbed" create "$member" --capture -o btrfs.torrent >create.log 2>&1 || status=$?
    ((status == 3)) || fail "create: exit status $status: $(<create.log)"
    says create "$member: it is one of 2 devices of its btrfs"
    [[ ! -e btrfs.torrent ]] || fail "a .torrent was made"
done
pass
