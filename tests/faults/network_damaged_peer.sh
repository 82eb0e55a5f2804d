#!/bin/bash
# Fault: one of two sources sends damaged pieces
# Required: the log names that one; damaged pieces are downloaded again from the other one, and the target is completed
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

make_image sda1
cp sda1.source damaged.source
for ((at = 0; at < 24; ++at)); do flip damaged.source $((at * mib + 99)); done
damaged_port=$(free_port)
write_config damaged.toml "$damaged_port" '[memory]' 'pool = "32 MiB"'
add_image damaged.toml sda1 sda1.torrent "$work/damaged.source" seed 'verify = "none"'
start_daemon damaged damaged.toml
add_target sda1 "$work/sda1.img"
sed -i "s/^peers = .*/peers = [\"127.0.0.1:$damaged_port\", \"127.0.0.1:$seed_port\"]/" deploy.toml
start_daemon deploy deploy.toml
expect_line deploy.log ' warning sda1: piece [0-9]+ failed its hash check'
expect_line deploy.log " warning sda1: 127.0.0.1:$damaged_port sent [0-9]+ pieces? that failed the hash check"
seed sda1
expect_line deploy.log ' sda1: done: ' 120
stop_daemon deploy
deployed sda1
pass
