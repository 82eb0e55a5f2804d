#!/bin/bash
# A clock that is set back during a transfer with a rate limit does not stop it, and the receipt has the right duration. Only the
# processes of the test see the step: a library that is loaded before the C library shifts CLOCK_REALTIME while a file exists.
# SEEDBED is the program.
# Labels: once
set -euo pipefail
# shellcheck source=lib_daemon.sh
. "$(dirname "$0")/lib_daemon.sh"

need_root
need gcc jq

gcc -shared -fPIC -o shift.so "$here/lib_shifted_clock.c" -ldl || skip "no library can be built here"

head -c 8000000 /dev/urandom >source
"$seedbed" create source --name image -o image.torrent >created
truncate -s 8000000 target
port=$(free_port)
write_config seed.toml "$port" 'upload_limit = "1 MiB"'
add_image seed.toml image image.torrent "$work/source" seed
printf '%s\n' '[resume]' 'interval = "200 ms"' >deploy.toml

shifted=(env LD_PRELOAD="$work/shift.so" SHIFT_FILE="$work/shift")
start_daemon seed seed.toml "${shifted[@]}"
expect_line seed.log ' ready$'
timeout 120 "${shifted[@]}" "$seedbed" deploy image.torrent target --yes --config deploy.toml --no-local-discovery \
    --peer "127.0.0.1:$port" --listen "127.0.0.1:$(free_port)" --state "$work/state" --receipt receipt.json >deploy.log 2>&1 &
deployment=$!
expect_line deploy.log '^image: downloading$'
sleep 2 # into the transfer, which takes eight seconds
touch shift
wait "$deployment" || fail "the deployment: $(<deploy.log)"
cmp source target
jq -e '.seconds.total > 2 and .seconds.total < 300' receipt.json >took || fail "the receipt's total: $(jq .seconds receipt.json)"
stop_daemon seed
pass
