#!/bin/bash
# Fault: the target confirms a write that it does not store
# Required: its image fails as not verified, with the offset, and is never done; another image is deployed
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

need_loop
need_nbdfuse
make_image sda1
other_image
# shellcheck disable=SC2016 # the disk expands it
device=$(faulty_disk bad sda1.img 'pwrite=if [ $4 -le 10485760 ] && [ $(($4 + $3)) -gt 10485760 ]; then
    cat >/dev/null; else eval "$write"; fi')
add_target sda1 "$device"
seed sda1 other
start_daemon deploy deploy.toml
failed sda1 "$device: not verified: [12] of 17 pieces differ on the device, the first one at offset [0-9]+"
other_is_deployed
stop_daemon deploy 30
partly_deployed sda1
! cmp -s sda1.img sda1.expected || fail "the disk has stored the write"
pass
