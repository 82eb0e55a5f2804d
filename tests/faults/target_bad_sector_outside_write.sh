#!/bin/bash
# Fault: the signature of earlier content on the target, outside the image, cannot be erased
# Required: exit status 0; a warning in the log and in the receipt; every byte of the image is verified
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

need_loop
need_nbdfuse
make_image sda1
raid_rest
cat rest >>sda1.img
cat rest >>sda1.expected
seed sda1
# shellcheck disable=SC2016 # the disk expands it
device=$(faulty_disk bad sda1.img 'pwrite=if [ $(($4 + $3)) -gt 33546240 ]; then eval "$eio"; fi; eval "$write"')
deploy 0 sda1 "$device"
says sda1 "$device: cannot wipe the signature of earlier content: linux_raid_member at byte 33546240 \\(flush .*\\(EIO\\)"
says sda1 "$device: holds the remains of earlier content, .*: linux_raid_member at byte 33546240"
receipt sda1 '.outcome == "done"' '.verified' '.warnings[0] | startswith("cannot wipe the signature")'
deployed sda1
pass
