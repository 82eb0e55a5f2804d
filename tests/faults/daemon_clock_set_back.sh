#!/bin/bash
# Fault: the system clock is set back by ten minutes during a transfer with a rate limit
# Required: the transfer continues, and the image is deployed
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

need gcc
gcc -shared -fPIC -o shift.so "$here/lib_shifted_clock.c" -ldl || skip "no library can be built here"
make_image sda1
seed_lines=('upload_limit = "4 MiB"')
shifted=(env LD_PRELOAD="$work/shift.so" SHIFT_FILE="$work/shift")
write_config seed.toml "$seed_port" "${seed_lines[@]}"
add_image seed.toml sda1 sda1.torrent "$work/sda1.source" seed
start_daemon seed seed.toml "${shifted[@]}"
expect_line seed.log ' ready$'
add_target sda1 "$work/sda1.img"
start_daemon deploy deploy.toml "${shifted[@]}"
await_percent sda1 20
touch shift
expect_line deploy.log ' sda1: done: ' 60
stop_daemon deploy
deployed sda1
pass
