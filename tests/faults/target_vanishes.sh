#!/bin/bash
# Fault: the target's disk is removed during the deployment
# Required: its image fails with the device and the errno, and is never done; another image is deployed
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

need_loop
need_nbdfuse
make_image sda1
other_image
device=$(faulty_disk disk sda1.img)
add_target sda1 "$device"
seed_lines=('upload_limit = "2 MiB"')
seed sda1 other
start_daemon deploy deploy.toml
await_percent sda1 20
kill -KILL "$(<disk.nbdkit)"
full_speed
failed sda1 "(flush $device|(read|write) $device: offset [0-9]+, length [0-9]+): .*\\([A-Z]+\\)"
other_is_deployed
stop_daemon deploy 30
partly_deployed sda1
! cmp -s sda1.img sda1.expected || fail "the disk was removed too late"
pass
