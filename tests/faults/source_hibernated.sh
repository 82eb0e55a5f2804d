#!/bin/bash
# Fault: Windows is hibernated on the source of a capture
# Required: is refused with exit status 3 and the option that allows it; no .torrent is made
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

need mkfs.ntfs ntfscp ntfscat partclone.ntfs
truncate -s 64M ntfs.img
mkfs.ntfs -q -F -f ntfs.img >mkfs.log 2>&1
{ printf 'hibr' && head -c 64K /dev/zero; } >hiberfil.sys
ntfscp -f ntfs.img hiberfil.sys hiberfil.sys >ntfscp.log 2>&1
sha1sum ntfs.img >before
status=0
"$seedbed" create ntfs.img --capture -o ntfs.torrent >create.log 2>&1 || status=$?
((status == 3)) || fail "create: exit status $status: $(<create.log)"
says create 'ntfs.img: Windows is hibernated on it, or was shut down with fast startup.*--allow-hibernated'
[[ ! -e ntfs.torrent ]] || fail "a .torrent was made"
sha1sum --quiet -c before || fail "the source was written to"
pass
