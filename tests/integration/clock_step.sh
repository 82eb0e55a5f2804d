#!/bin/bash
# A clock that is set back during a transfer with a rate limit does not stop it. Only the processes of the test see the step: a
# library that is loaded before the C library shifts CLOCK_REALTIME while a file exists. SEEDBED is the program.
# Labels: once
set -euo pipefail
# shellcheck source=lib_daemon.sh
. "$(dirname "$0")/lib_daemon.sh"

need_root
need gcc

gcc -shared -fPIC -o shift.so "$here/lib_shifted_clock.c" -ldl || skip "no library can be built here"

head -c 8000000 /dev/urandom >source
"$seedbed" create source --name image -o image.torrent >created
truncate -s 8000000 target
port=$(free_port)
write_config seed.toml "$port" 'upload_limit = "1 MiB"'
add_image seed.toml image image.torrent "$work/source" seed
write_config deploy.toml "$(free_port)" '[resume]' 'interval = "200 ms"'
add_image deploy.toml image image.torrent "$work/target" deploy "peers = [\"127.0.0.1:$port\"]"

shifted=(env LD_PRELOAD="$work/shift.so" SHIFT_FILE="$work/shift")
start_daemon seed seed.toml "${shifted[@]}"
expect_line seed.log ' ready$'
start_daemon deploy deploy.toml "${shifted[@]}"
expect_line deploy.log ' image: downloading$'
sleep 2 # into the transfer, which takes eight seconds
touch shift
expect_line deploy.log ' image: done: ' 60
cmp source target
stop_daemon deploy
stop_daemon seed
pass
