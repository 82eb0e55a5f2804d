#!/bin/bash
# Fault: a target is refused because it is too small, and the image has a tracker of Seedbed's
# Required: the server names the machine and the reason, in the log and in the status
# Labels: quick
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

make_image sda1
truncate -s 1M sda1.img
tracker=$(free_port)
write_config seed.toml "$seed_port"
sed -i "s/^enabled = false/listen = \"127.0.0.1:$tracker\"/" seed.toml
add_image seed.toml sda1 sda1.torrent "$work/sda1.source" seed 'expect = 1'
start_daemon seed seed.toml
expect_line seed.log ' ready$'
deploy 3 sda1 sda1.img --tracker "http://127.0.0.1:$tracker/announce"
expect_line seed.log ' sda1: 127.0.0.1 refused: .*too small: it has 1048576 bytes, the image needs'
"$seedbed" status --json --socket seed.toml.sock >status.json
jq -e '.images[0].fleet.hosts == [.images[0].fleet.hosts[] | select(.address == "127.0.0.1" and .state == "refused")] and
    (.images[0].fleet.hosts | length) == 1 and .images[0].fleet.complete == 0' status.json >found || fail "$(<status.json)"
untouched sda1.img
pass
