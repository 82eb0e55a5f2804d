#!/bin/bash
# Fault: one byte of the source differs from the torrent
# Required: its image fails before that piece is served; the target never gets it, and another image is deployed
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

make_image sda1
other_image
flip sda1.source $((20 * mib + 4711))
add_target sda1 "$work/sda1.img"
seed sda1 other
start_daemon deploy deploy.toml
failed sda1 "$work/sda1.source: does not match the torrent; seeding stopped" seed.log
other_is_deployed
stop_daemon deploy
never_line deploy.log 'failed its hash check| sda1: (downloaded|done)'
partly_deployed sda1
pass
