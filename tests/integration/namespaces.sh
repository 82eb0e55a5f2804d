#!/bin/bash
# A room of machines: three targets and a server, each in a network namespace with its own address. The first time, the targets
# know the address of the server; the second time, the machines find each other by multicast only. All three targets complete, and
# their devices are equal in every extent. Prints how much each machine sent. SEEDBED is the program.
# shellcheck disable=SC2046 # $(on_host NAME) is several words
# Labels: once
set -euo pipefail
# shellcheck source=lib_daemon.sh
. "$(dirname "$0")/lib_daemon.sh"
# shellcheck source=lib_network.sh
. "$here/lib_network.sh"

need_loop
need_hosts
need partclone.ext4 mkfs.ext4

room=(red green blue)
for host in server "${room[@]}"; do
    add_host "$host" tbf rate 1gbit burst 128k latency 50ms
done
truncate -s 96M source
source=$(attach_loop source)
make_file_system ext4 "$source" 40
capture ext4 "$source" sda1
total=$(image_bytes sda1.info)

declare -A target=()
for host in "${room[@]}"; do
    truncate -s 96M "$host.target"
    target[$host]=$(attach_loop "$host.target")
done

# start HOST CONFIG: starts a daemon on HOST, with its log named after the configuration.
start() {
    start_daemon "$2" "$2.toml" $(on_host "$1")
}
# sent HOST: prints the number of bytes that HOST has sent.
sent() {
    on "$1" cat /sys/class/net/eth0/statistics/tx_bytes
}

# deploy_room HOW SECONDS LINE...: deploys to three devices filled with noise, with these lines in every target's image.
deploy_room() {
    local how=$1 seconds=$2 host began
    local -A before=()
    shift 2
    for host in "${room[@]}"; do
        noise_file "$host.noise" 96
        dd if="$host.noise" of="${target[$host]}" bs=1M conv=fsync status=none
        rm "$host.noise"
        host_config "$how-$host.toml" "$host" "$discovery"
        add_image "$how-$host.toml" sda1 sda1.torrent "${target[$host]}" deploy "$@"
    done
    host_config "$how-server.toml" server "$discovery"
    add_image "$how-server.toml" sda1 sda1.torrent "$source" seed
    for host in server "${room[@]}"; do
        before[$host]=$(sent "$host")
    done
    began=$SECONDS
    for host in server "${room[@]}"; do
        start "$host" "$how-$host"
    done
    for host in "${room[@]}"; do
        wait_for_line "$how-$host.log" ' sda1: done: ' $((seconds - SECONDS + began)) >/dev/null ||
            fail "$how: $host is not done within $seconds s: $(tail -n 1 "$how-$host.log")"
        never_line "$how-$host.log" 'failed:|failed its hash check|nothing was missing'
    done
    never_line "$how-server.log" 'failed:|failed its hash check'
    for host in "${room[@]}" server; do
        stop_daemon "$how-$host"
        echo "$how: $host sent $((($(sent "$host") - before[$host]) * 100 / total))% of the image"
    done
    for host in "${room[@]}"; do
        compare_extents sda1.info "$source" "${target[$host]}"
        gaps_are_noise sda1.info "${target[$host]}"
    done
}

discovery='local_discovery = false'
deploy_room peers 240 "peers = [\"${address[server]}:6881\"]"
discovery='local_discovery = true'
deploy_room discovery 240
pass
