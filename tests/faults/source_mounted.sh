#!/bin/bash
# Fault: the source is mounted read-write
# Required: its image fails with the mount point; another image is served
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

need_loop
need mkfs.ext4
can_mount ext4 || skip "the kernel does not support ext4"
other_image
truncate -s 24M disk.img
device=$(attach_loop disk.img)
mkfs.ext4 -q -F "$device"
"$seedbed" create "$device" --name sda1 -o sda1.torrent >created
mount_at mounted -t ext4 "$device"
seed other
stop_daemon seed
add_image seed.toml sda1 sda1.torrent "$device" seed
start_daemon seed seed.toml
failed sda1 "$device: mounted read-write on $work/mounted" seed.log
start_daemon deploy deploy.toml
other_is_deployed
pass
