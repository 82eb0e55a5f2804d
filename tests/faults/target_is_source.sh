#!/bin/bash
# Fault: the target is the source of a running seed
# Required: is refused with exit status 3; the source stays intact and is served to another target
# Labels: quick
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

make_image sda1
sha1sum sda1.source >before
seed sda1
deploy 3 sda1 "$work/sda1.source"
receipt sda1 '.guard == "held" and .bytes.written == 0'
sha1sum --quiet -c before || fail "the source was written to"
deploy 0 sda1 sda1.img
deployed sda1
pass
