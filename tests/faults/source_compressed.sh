#!/bin/bash
# Fault: the source is not an image but a compressed one, a virtual machine's or a web page
# Required: is refused with exit status 3 and what it is; no .torrent is made
# Labels: quick
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

make_image sda1
gzip -c sda1.source >gzip.img
{ printf '\375\067zXZ\0' && head -c 1M /dev/urandom; } >xz.img
{ printf '\050\265\057\375' && head -c 1M /dev/urandom; } >zstd.img
{ printf 'QFI\373' && head -c 1M /dev/urandom; } >qcow2.img
{ printf 'partclone-image' && head -c 1M /dev/urandom; } >partclone.img
printf '<!DOCTYPE html>\n<title>404</title>' >html.img
for what in gzip:gzip xz:xz zstd:zstd qcow2:qcow2 partclone:partclone html:HTML; do
    status=0
    "$seedbed" create "${what%:*}.img" -o bad.torrent >create.log 2>&1 || status=$?
    ((status == 3)) || fail "$what: exit status $status: $(<create.log)"
    says create "${what%:*}.img: .*${what#*:}.*, not a raw image"
    [[ ! -e bad.torrent ]] || fail "$what: a .torrent was made"
done
pass
