#!/bin/bash
# Fault: the target cannot be read back
# Required: its image fails with the offset and the errno, durable but never done; another image is deployed
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

need_loop
need_nbdfuse
make_image sda1
other_image
# shellcheck disable=SC2016 # the disk expands it
device=$(faulty_disk bad sda1.img 'pwrite=touch written; eval "$write"' 'flush=if [ -e written ]; then touch flushed; fi' \
    'pread=if [ -e flushed ] && [ $4 -ge 18874368 ]; then eval "$eio"; fi; eval "$read"')
usual_lines=('[memory]' 'pool = "32 MiB"') # without checkpoints, whose flush would spoil the download
deploy_config
add_target other "$work/other.img"
add_target sda1 "$device"
seed sda1 other
start_daemon deploy deploy.toml
failed sda1 "read $device: offset [0-9]+, length [0-9]+: .*\\(EIO\\)"
other_is_deployed
stop_daemon deploy 30
deployed sda1
pass
