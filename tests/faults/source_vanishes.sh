#!/bin/bash
# Fault: the source's disk is removed while it is served
# Required: its image fails with the device and the errno; the target waits, with only bytes of the image, and another image is deployed
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

need_loop
need_nbdfuse
make_image sda1
other_image
device=$(faulty_disk disk sda1.source)
add_target sda1 "$work/sda1.img"
seed_lines=('upload_limit = "2 MiB"')
seed other
stop_daemon seed
sed -i 's/pool = .*/pool = "16 MiB"/' seed.toml
add_image seed.toml sda1 sda1.torrent "$device" seed
start_daemon seed seed.toml
start_daemon deploy deploy.toml
await_percent sda1 10
kill -KILL "$(<disk.nbdkit)"
full_speed
failed sda1 "(read $device: offset [0-9]+, length [0-9]+: .*\\([A-Z]+\\)|the source is gone)" seed.log
other_is_deployed
stop_daemon deploy
never_line deploy.log ' sda1: (downloaded|done)|failed its hash check'
partly_deployed sda1
pass
