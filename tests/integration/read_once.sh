#!/bin/bash
# read_once: a seed gives each piece to one machine and withholds it from the others, which get it from each other. A slow machine
# that gives nothing away, or a lost one, does not delay the rest; clients that do not understand the message are offered
# everything. SEEDBED is the program.
# shellcheck disable=SC2046 # $(on_host NAME) is several words
# Labels: once
set -euo pipefail
# shellcheck source=lib_daemon.sh
. "$(dirname "$0")/lib_daemon.sh"
# shellcheck source=lib_network.sh
. "$here/lib_network.sh"
# shellcheck source=lib_clients.sh
. "$here/lib_clients.sh"

need_loop
need_hosts
need aria2c jq curl

for host in server slow fast other aria; do
    add_host "$host"
done

head -c 40M /dev/urandom >source
"$seedbed" create source --name sda1 --piece-size "1 MiB" --tracker "http://${address[server]}:6969/announce" -o sda1.torrent >created
host_config server.toml server 'local_discovery = false' '[memory]' 'pool = "32 MiB"'
add_image server.toml sda1 sda1.torrent "$work/source" seed
start_daemon server server.toml $(on_host server)
expect_line server.log ' sda1: seeding$'

# deploy_to HOST [LINE]...: starts a deployment with these lines in [network].
deploy_to() {
    noise_file "$1.img" 40
    host_config "$1.toml" "$1" 'local_discovery = false' "${@:2}" '[tracker]' 'enabled = false'
    add_image "$1.toml" sda1 sda1.torrent "$work/$1.img" deploy
    start_daemon "$1" "$1.toml" $(on_host "$1")
    expect_line "$1.log" ' sda1: downloading$'
}
# status HOST FILTER: succeeds if the jq FILTER is true for the status.
status() {
    curl -s --max-time 10 --unix-socket "$work/$1.sock" http://localhost/status |
        jq -e --arg server "${address[server]}" "$2" >/dev/null
}
# expect_status HOST FILTER: waits until FILTER is true, at most 30 s.
expect_status() {
    local i
    for ((i = 0; i < 600; i++)); do
        ! status "$@" || return 0
        sleep 0.05
    done
    fail "the status of $1 does not reach: $2: $(curl -s --max-time 10 --unix-socket "$work/$1.sock" http://localhost/status |
        jq -c '.images[0] | {downloaded_bytes, peers}')"
}
lacks='any(.images[0].peers[]; .address == $server and .progress < 1)'
has='any(.images[0].peers[]; .address == $server and .progress == 1)'

# --- a slow machine owns pieces but does not delay the rest: it needs minutes, and uploads almost nothing

# The others need ten seconds, in which the server's status is sampled.
for link in slow:4 fast:32 other:32; do
    tc -n "$net-switch" qdisc add dev "port${address[${link%:*}]##*.}" root tbf rate "${link#*:}mbit" burst 64k latency 200ms
done
deploy_to slow 'upload_limit = "1 KiB"'
expect_status server '.images[0].uploaded_bytes > 0'
deploy_to fast
expect_status fast "$lacks"
expect_line fast.log ' sda1: done: '
never_line slow.log ' sda1: (downloaded|done)'
cmp source fast.img
stop_daemon fast

# --- the owner of pieces that no other machine has is killed

deploy_to other
expect_status other "$lacks"
kill_daemon slow
expect_line other.log ' sda1: done: '
cmp source other.img

# --- a client that does not understand the message, together with two that do; then read_once is switched off

deploy_to slow
start_process aria $(on_host aria) "${aria2[@]}" --seed-time=0 --max-overall-download-limit=1M --dir=got sda1.torrent
expect_status slow "$lacks"
sed -i 's/^local_discovery.*/&\nread_once = false/' server.toml
kill -HUP "${daemon_pid[server]}"
expect_line server.log ' reload: 0 images closed, 0 opened, 0 changed in use'
expect_status slow "$has"
kill -0 "${process_pid[aria]}" || fail "aria2 has ended, so its offered pieces prove nothing"
timeout 240 tail --pid="${process_pid[aria]}" -s 0.1 -f /dev/null || fail "aria2 has not finished within 240 s"
cmp source got/sda1/*
tc -n "$net-switch" qdisc delete dev "port${address[slow]##*.}" root
expect_line slow.log ' sda1: done: '
cmp source slow.img
for host in slow other server; do
    never_line "$host.log" 'failed:|failed its hash check'
    stop_daemon "$host"
done
pass
