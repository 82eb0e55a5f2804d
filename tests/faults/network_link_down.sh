#!/bin/bash
# Fault: the target's network link is down for 10 s
# Required: the target continues afterwards and is completed
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

# shellcheck source=../integration/lib_network.sh
. "$here/lib_network.sh"
need_hosts
add_host server
add_host target
make_image sda1
host_config seed.toml server 'local_discovery = false' 'upload_limit = "2 MiB"' '[tracker]' 'enabled = false'
add_image seed.toml sda1 sda1.torrent "$work/sda1.source" seed
host_config deploy.toml target 'local_discovery = false' '[tracker]' 'enabled = false'
sed -i 's/^socket = .*/socket = "deploy.toml.sock"/' deploy.toml
add_image deploy.toml sda1 sda1.torrent "$work/sda1.img" deploy "peers = [\"${address[server]}:6881\"]"
read -ra server <<<"$(on_host server)"
read -ra target <<<"$(on_host target)"
start_daemon seed seed.toml "${server[@]}"
start_daemon deploy deploy.toml "${target[@]}"
await_percent sda1 20
ip -n "$net-switch" link set port2 down
sleep 2 # what is under way arrives
before=$(percent sda1)
sleep 8
(($(percent sda1) == before && before < 100)) || fail "the link is not down"
ip -n "$net-switch" link set port2 up
expect_line deploy.log ' sda1: done: ' 90
stop_daemon deploy
never_line deploy.log ' error '
deployed sda1
pass
