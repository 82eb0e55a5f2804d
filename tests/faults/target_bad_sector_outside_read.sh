#!/bin/bash
# Fault: the target cannot be read in a place outside the image
# Required: exit status 0; a warning in the log and in the receipt; every byte of the image is verified
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

need_loop
need_nbdfuse
make_image sda1
noise_file rest 8
cat rest >>sda1.img
cat rest >>sda1.expected
# The last sectors, where RAID members and ZFS volumes have their signatures.
# shellcheck disable=SC2016 # the disk expands it
device=$(faulty_disk bad sda1.img 'pread=if [ $(($4 + $3)) -gt 33550336 ]; then eval "$eio"; fi; eval "$read"')
seed sda1
deploy 0 sda1 "$device"
says sda1 "$device: cannot be searched for signatures of earlier content \\(.*\\(EIO\\)\\)"
says sda1 "$device: cannot be probed: .*\\(EIO\\)"
receipt sda1 '.outcome == "done"' '.verified' '.content == null' \
    '.warnings | map(test("cannot be searched|cannot be probed")) == [true, true]'
deployed sda1
pass
