#!/bin/bash
# Fault: the target holds several signatures, of which none is certainly the valid one
# Required: the question before it is overwritten names all of them; the image is deployed
# Labels: quick
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

make_image sda1
# Inside the image's extents, so that the image overwrites them.
printf -- '-rom1fs-' | dd of=sda1.img conv=notrunc status=none
printf 'ReIsEr4' | dd of=sda1.img oflag=seek_bytes seek=65536 conv=notrunc status=none
seed sda1
deploy 0 sda1 sda1.img
says sda1 '^  holds     several signatures: (reiser4 .*, romfs |romfs .*, reiser4 )'
deployed sda1
pass
