#!/bin/bash
# Fault: the source cannot be read in one place
# Required: its image fails with the offset and the errno, and no piece that contains this place is served; another image is served from the same daemon
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

need_loop
need_nbdfuse
make_image sda1
other_image
# shellcheck disable=SC2016 # the disk expands it
device=$(faulty_disk bad sda1.source 'pread=if [ $4 -le 20971520 ] && [ $(($4 + $3)) -gt 20971520 ]; then eval "$eio"; fi; eval "$read"')
add_target sda1 "$work/sda1.img"
seed_lines=('upload_limit = "2 MiB"')
seed other
stop_daemon seed
add_image seed.toml sda1 sda1.torrent "$device" seed
start_daemon seed seed.toml
start_daemon deploy deploy.toml
failed sda1 "read $device: offset [0-9]+, length [0-9]+: .*\\(EIO\\)" seed.log
other_is_deployed
stop_daemon deploy
never_line deploy.log ' sda1: (downloaded|done)| (warning|error) '
partly_deployed sda1
cmp -s -n 1048576 sda1.img sda1.expected 20971520 20971520 && fail "the unreadable piece was deployed"
pass
