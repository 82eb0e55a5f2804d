#!/bin/bash
# Fault: a deployment needs a confirmation and has no terminal to ask on, and the image has a tracker of Seedbed's
# Required: exit status 9; nothing is written; the server names the machine and the reason
# Labels: quick
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

make_image sda1
tracker=$(free_port)
write_config seed.toml "$seed_port"
sed -i "s/^enabled = false/listen = \"127.0.0.1:$tracker\"/" seed.toml
add_image seed.toml sda1 sda1.torrent "$work/sda1.source" seed 'expect = 1'
start_daemon seed seed.toml
expect_line seed.log ' ready$'
deploy_config
status=0
echo no | "$seedbed" deploy sda1.torrent sda1.img --config deploy.toml --tracker "http://127.0.0.1:$tracker/announce" \
    --receipt sda1.json >sda1.log 2>&1 || status=$?
((status == 9)) || fail "exit status $status"
receipt sda1 '.exit_status == 9'
expect_line seed.log ' sda1: 127.0.0.1 refused: .*not a terminal'
"$seedbed" status --json --socket seed.toml.sock >status.json
jq -e '.images[0].fleet.hosts == [.images[0].fleet.hosts[] | select(.address == "127.0.0.1" and .state == "refused")] and
    (.images[0].fleet.hosts | length) == 1 and .images[0].fleet.complete == 0' status.json >found || fail "$(<status.json)"
untouched sda1.img
pass
