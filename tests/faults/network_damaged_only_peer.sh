#!/bin/bash
# Fault: the only source sends damaged pieces
# Required: the log names it, and it is tried again after pauses; then the image fails with a message that names it; another image is deployed
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

make_image sda1
other_image
flip sda1.source $((20 * mib + 99))
add_target sda1 "$work/sda1.img"
seed other
stop_daemon seed
add_image seed.toml sda1 sda1.torrent "$work/sda1.source" seed 'verify = "none"'
start_daemon seed seed.toml
start_daemon deploy deploy.toml
expect_line deploy.log ' warning sda1: piece [0-9]+ failed its hash check'
other_is_deployed
expect_line deploy.log " warning sda1: 127.0.0.1:$seed_port sent 1 piece that failed the hash check; connecting to it again in 1s"
failed sda1 "127.0.0.1:$seed_port sent [0-9]+ pieces that failed the hash check, and no source sent a good one: "
stop_daemon deploy
never_line deploy.log ' sda1: (downloaded|done)'
# Without its ends, which are written last.
cmp -i $mib -n $((16 * mib)) sda1.img sda1.expected || fail "the good pieces are not those of the image"
pass
