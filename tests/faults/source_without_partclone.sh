#!/bin/bash
# Fault: partclone is not installed where a file system is captured
# Required: is refused with exit status 3 and the option that takes all bytes instead; no .torrent is made
# Labels: quick
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

need_root
need mkfs.ext4 unshare
truncate -s 16M ext4.img
mkfs.ext4 -q -F ext4.img
status=0
unshare --mount sh -c 'for program in $(command -v partclone.ext4) /usr/sbin/partclone.ext4; do
    [ ! -e "$program" ] || mount --bind /dev/null "$program"; done; exec "$@"' sh \
    "$seedbed" create ext4.img --capture -o ext4.torrent >create.log 2>&1 || status=$?
((status == 3)) || fail "create: exit status $status: $(<create.log)"
says create 'ext4.img: partclone.ext4 is not installed; pass --raw-if-needed to take a raw image of all its bytes'
[[ ! -e ext4.torrent ]] || fail "a .torrent was made"
pass
