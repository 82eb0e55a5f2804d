#!/bin/bash
# Fault: the target cannot be written in one place
# Required: its image fails with the offset and the errno, and is never done; another image is deployed
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

need_loop
need_nbdfuse
make_image sda1
other_image
# shellcheck disable=SC2016 # the disk expands it
device=$(faulty_disk bad sda1.img 'pwrite=if [ $4 -le 20971520 ] && [ $(($4 + $3)) -gt 20971520 ]; then eval "$eio"; fi; eval "$write"')
add_target sda1 "$device"
seed sda1 other
start_daemon deploy deploy.toml
failed sda1 "(write|flush) $device: offset [0-9]+, length [1-9][0-9]*: .*\\(EIO\\)"
other_is_deployed
stop_daemon deploy 30
never_line deploy.log ' sda1: durable'
partly_deployed sda1
! cmp -s sda1.img sda1.expected || fail "the bad place was written to"
pass
