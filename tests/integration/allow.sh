#!/bin/bash
# Access by address: for peers, and for clients of the tracker, of reports and of metrics; a reload changes it. SEEDBED is the program.
# shellcheck disable=SC2046 # $(on_host NAME) is several words
# Labels: once
set -euo pipefail
# shellcheck source=lib_daemon.sh
. "$(dirname "$0")/lib_daemon.sh"
# shellcheck source=lib_network.sh
. "$here/lib_network.sh"

need_loop
need_hosts
need partclone.ext4 mkfs.ext4 curl

for host in server friend stranger; do
    add_host "$host"
done
truncate -s 32M source
source=$(attach_loop source)
make_file_system ext4 "$source" 8
capture ext4 "$source" sda1
"$seedbed" create --partclone sda1.info --name sda1 --tracker "http://${address[server]}:6969/announce" -o sda1.torrent --force >created

host_config seed.toml server 'local_discovery = false' "allow = [\"${address[friend]}\"]" '[metrics]' \
    "listen = \"${address[server]}:9150\""
add_image seed.toml sda1 sda1.torrent "$source" seed 'expect = 1'
start_daemon seed seed.toml $(on_host server)
expect_line seed.log ' ready$'

# get HOST URL: whether HOST gets an answer.
get() {
    on "$1" curl -sS --max-time 60 -o answer "$2" 2>curl.err
}
metrics=http://${address[server]}:9150/metrics
announce="http://${address[server]}:6969/announce"
get friend "$metrics" || fail "a machine that is allowed gets no metrics: $(<curl.err)"
get friend "$announce" || fail "a machine that is allowed gets no answer from the tracker: $(<curl.err)"
get server "$metrics" || fail "the machine itself gets no metrics: $(<curl.err)"
! get stranger "$metrics" || fail "a stranger gets metrics"
! get stranger "$announce" || fail "a stranger gets an answer from the tracker"
! get stranger "http://${address[server]}:6969/report?state=verified&port=1" || fail "a stranger's report is answered"
expect_line seed.log "refused a connection from ${address[stranger]}: not in \\[network\\] allow"

# deploy_to HOST: a target with the server as its peer, until it has downloaded the image.
deploy_to() {
    noise_file "$1.img" 32
    host_config "$1.toml" "$1" 'local_discovery = false'
    add_image "$1.toml" sda1 sda1.torrent "$(attach_loop "$1.img")" deploy "peers = [\"${address[server]}:6881\"]"
    start_daemon "$1" "$1.toml" $(on_host "$1")
}
deploy_to stranger
expect_line stranger.log ' sda1: downloading$'
deploy_to friend
expect_line friend.log ' sda1: done: '
expect_line seed.log " sda1: 1/1 complete \\(${address[friend]} after [0-9.ms]+, verified\\)"
never_line stranger.log ' sda1: (downloaded|done)'

# --- a reload lets the stranger in and keeps the friend out

sed -i "s/^allow = .*/allow = [\"${address[stranger]}\"]/" seed.toml
kill -HUP "${daemon_pid[seed]}"
expect_line seed.log ' reload: 0 images closed, 0 opened, 0 changed in use'
get stranger "$metrics" || fail "after the reload, the stranger gets no metrics: $(<curl.err)"
! get friend "$metrics" || fail "after the reload, the excluded machine gets metrics"
expect_line stranger.log ' sda1: done: '
stop_daemon stranger
stop_daemon friend

# --- the machine itself is allowed, by each of its addresses

noise_file own.img 32
on server "$seedbed" deploy sda1.torrent "$(attach_loop own.img)" --yes --no-local-discovery \
    --listen "${address[server]}:6882" --peer "${address[server]}:6881" --state "$work/own.state" --timeout 60s >own.log 2>&1 ||
    fail "a target with the server's own address is refused: $(<own.log)"
stop_daemon seed
pass
