#!/bin/bash
# Fault: the target rejects every write
# Required: exit status 6 with the errno; neither durable nor verified; the old data stays
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

need_loop
need_nbdfuse
make_image sda1
# shellcheck disable=SC2016 # the disk expands it
device=$(faulty_disk bad sda1.img 'pwrite=eval "$eio"')
seed sda1
deploy 6 sda1 "$device"
receipt sda1 '.outcome == "device_failed" and (.verified or .durable | not)' '.errors[0] | test("EIO")'
never_line sda1.log '(durable|verified|done)'
untouched sda1.img
pass
