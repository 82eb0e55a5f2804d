#!/bin/bash
# Fault: the target stores only the beginning of the last block
# Required: exit status 7 with the offset of the piece; neither durable nor verified
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

need_loop
need_nbdfuse
make_image sda1
# The image ends 512 bytes into a page: only this sector stays old.
last=$((image_end - 512))
device=$(faulty_disk bad sda1.img "pwrite=if [ \$4 -le $last ] && [ \$((\$4 + \$3)) -gt $last ]; then
    head -c \$(($last - \$4)) | dd of=sda1.img oflag=seek_bytes conv=notrunc seek=\$4 bs=1M status=none; cat >/dev/null
    else eval \"\$write\"; fi")
seed sda1
deploy 7 sda1 "$device"
receipt sda1 '.outcome == "not_verified" and (.verified or .durable | not)'
says sda1 "not verified: 1 of 17 pieces differ on the device, the first one at offset 24117248"
never_line sda1.log 'done:'
partly_deployed sda1
cmp sda1.img sda1.expected >where && fail "the last sector was stored"
[[ $(<where) == *"byte $((last + 1)),"* ]] || fail "another place differs: $(<where)"
pass
