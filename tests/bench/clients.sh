#!/bin/bash
# How fast an image spreads from one server to many machines whose links are limited in both directions: the seconds until the
# first and the last machine have downloaded it, and how many images the server has sent. The ideal is image / link: the time that the
# server needs to send every byte once, in full frames. Devices are files in RAM; machines find each other through the server's tracker.
# Usage: clients.sh N RATE_MBIT MIB [ROUNDS]. SEEDBED is the program; SEEDBED_BASELINE an older one, run in turn with it; JSON a file for
# the results; PIECE the size of a piece (256 KiB); SERVER_LINE and TARGET_LINE a line for [network] of the server and of the
# machines; TRACKER_LINE one for [tracker]. STOCK, such as "aria2 transmission", are other BitTorrent clients, run in turn with it on
# the server and all machines, with opentracker and their own settings, except that they give to all peers without a limit.
set -euo pipefail
# The limits of the kernel's neighbour table belong to the machine's own network namespace, which lib_bench.sh leaves.
if [[ -z ${MACHINE_NET:-} ]]; then
    exec 9</proc/self/ns/net
    export MACHINE_NET=/proc/self/fd/9
fi
# shellcheck source=lib_bench.sh
. "$(dirname "$(readlink -f "$0")")/lib_bench.sh"
# shellcheck source=../integration/lib_clients.sh
. "$here/lib_clients.sh"

count=${1:?number of machines}
rate=${2:?rate of every link in Mbit/s}
mib=${3:?size of the image in MiB}
rounds=${4:-1}
piece=${PIECE:-256 KiB}
stock=()
read -ra stock <<<"${STOCK:-}" || true
need_hosts
((!${#stock[@]})) || need opentracker
for client in "${stock[@]}"; do
    need "$([[ $client == aria2 ]] && echo aria2c || echo transmission-cli)"
done

# Each machine knows every other one: the kernel's neighbour table, which all namespaces share, must hold them all.
need_neighbours() {
    local wanted=$(((count + 1) * (count + 1) + 256)) key=/proc/sys/net/ipv4/neigh/default/gc_thresh before
    before=$(nsenter --net="$MACHINE_NET" cat "${key}1" "${key}2" "${key}3" 2>/dev/null | tr '\n' ' ') || true
    [[ -n $before ]] || { note "the limits of the kernel's neighbour table cannot be read"; return; }
    read -ra before <<<"$before"
    ((before[0] < wanted)) || return 0
    if nsenter --net="$MACHINE_NET" sh -c "echo $((wanted * 2)) >${key}3 && echo $wanted >${key}2 && echo $wanted >${key}1" 2>/dev/null; then
        defer neighbours nsenter --net="$MACHINE_NET" sh -c \
            "echo ${before[0]} >${key}1; echo ${before[1]} >${key}2; echo ${before[2]} >${key}3"
    else
        note "the kernel's neighbour table holds ${before[2]} entries, $wanted may be needed, and it cannot be raised"
    fi
}
need_neighbours

add_machine server "${rate}mbit"
head -c "${mib}M" /dev/urandom >image.img
"$seedbed" create image.img --name image --piece-size "$piece" --no-sparse \
    --tracker "http://${address[server]}:6969/announce" -o image.torrent --json |
    sed -n 's/.*"info_hash": *"\([0-9a-f]*\)".*/\1/p' >hashes
image_size=$(stat -c %s image.img)
hosts=()
for ((i = 0; i < count; i++)); do
    hosts+=("target$i")
    add_machine "target$i" "${rate}mbit"
done
# The link counts Ethernet frames: of 1514 bytes, 1448 are TCP's payload.
ideal=$(awk -v size="$image_size" -v rate="$rate" 'BEGIN { printf "%.2f", size * 8 / rate / 1e6 * 1514 / 1448 }')

# packets_sent: prints the sum over all machines.
packets_sent() {
    local host
    for host in "${hosts[@]}"; do
        on "$host" cat /sys/class/net/eth0/statistics/tx_packets
    done | awk '{ sum += $1 } END { print sum }'
}

# shellcheck disable=SC2046 # $(on_host NAME) is several words
run() {
    local side=$1 host sent packets times=() differing=0 peak=0 cpu=0 rss
    seedbed=$2
    rm -rf "${STATE_DIRECTORY:?}"
    host_config server.toml server 'local_discovery = false' ${SERVER_LINE:+"$SERVER_LINE"} '[tracker]' \
        "listen = \"${address[server]}:6969\"" ${TRACKER_LINE:+"$TRACKER_LINE"}
    add_image server.toml image "$work/image.torrent" "$work/image.img" seed
    start_daemon server server.toml $(on_host server)
    expect_line server.log ' ready$'
    for host in "${hosts[@]}"; do
        # As on a disk, a write must not allocate memory: that took a seventh of the processors' time of 50 machines.
        rm -f "$host.img"
        head -c "${mib}M" /dev/zero >"$host.img"
        host_config "$host.toml" "$host" 'local_discovery = false' ${TARGET_LINE:+"$TARGET_LINE"} '[memory]' 'pool = "32 MiB"'
        add_image "$host.toml" image "$work/image.torrent" "$work/$host.img" deploy 'verify = false' 'check = "none"' \
            'profile = "nvme"'
    done
    sent=$(on server cat /sys/class/net/eth0/statistics/tx_bytes)
    packets=$(packets_sent)
    start_together "${hosts[@]}"
    record "seconds until the last machine has a peer" "$side" \
        "$(/usr/bin/python3 "$bench/first_peers.py" "$began" 60 "${hosts[@]/%/.sock}")"
    for host in "${hosts[@]}"; do
        expect_line "$host.log" " image: downloaded" 900
    done
    record "images that the server sent" "$side" \
        "$(awk -v sent="$(($(on server cat /sys/class/net/eth0/statistics/tx_bytes) - sent))" -v size="$image_size" \
            'BEGIN { printf "%.3f", sent / size }')"
    record "packets that a machine sent" "$side" "$((($(packets_sent) - packets) / count))"
    mapfile -t times < <(line_seconds "$began" " image: downloaded" "${hosts[@]}")
    record "seconds of the first machine" "$side" "${times[0]}"
    record "seconds of the last machine" "$side" "${times[-1]}"
    record "last machine / ideal" "$side" "$(awk -v t="${times[-1]}" -v ideal="$ideal" 'BEGIN { printf "%.3f", t / ideal }')"
    for host in server "${hosts[@]}"; do
        cpu=$(awk -v sum="$cpu" -v more="$(cpu_seconds "${daemon_pid[$host]}")" 'BEGIN { print sum + more }')
        rss=$(awk '$1 == "VmHWM:" { print int($2 / 1024) }' "/proc/${daemon_pid[$host]}/status")
        ((rss <= peak)) || peak=$rss
    done
    record "CPU seconds of all programs" "$side" "$cpu"
    record "MiB of the largest program" "$side" "$peak"
    for host in "${hosts[@]}"; do
        stop_daemon "$host"
        cmp -s "$host.img" image.img || differing=$((differing + 1))
    done
    record "devices that differ" "$side" "$differing"
    stop_daemon server
    ((differing == 0)) || fail "$differing devices differ"
}

# complete_seconds BEGAN FILE...: prints when the files appeared, in seconds since BEGAN, sorted.
complete_seconds() {
    local began=$1
    shift
    stat -c %.9Y "$@" | awk -v began="$began" '{ printf "%.2f\n", $1 - began }' | sort -n
}
# start_stock CLIENT HOST SEED: starts a client on a host, with the folder HOST.files. It creates HOST.conf/complete when done.
start_stock() {
    local client=$1 host=$2 seed=$3 options=()
    transmission_folder "$host.conf"
    case $client in
    aria2)
        [[ -z $seed ]] || options=(--check-integrity=true)
        start_process "$host" $(on_host "$host") "${aria2[@]}" --seed-ratio=0 --bt-max-peers=0 "${options[@]}" \
            --on-bt-download-complete="$work/$host.conf/finished" --dir="$host.files" image.torrent
        ;;
    transmission)
        start_process "$host" $(on_host "$host") transmission-cli -g "$host.conf" -w "$host.files" -p 6881 -M -U -D \
            -f "$work/$host.conf/finished" image.torrent
        ;;
    esac
}
# run_stock CLIENT: the same as run(), with another program.
run_stock() {
    local client=$1 host sent i times=() complete=() file
    file=image/$(printf %032x 0) # the image's only extent, named by its offset
    mkdir -p server.files/image
    ln image.img "server.files/$file"
    start_opentracker tracker server hashes
    start_stock "$client" server seed
    for ((i = 0; i < 600; i++)); do
        [[ -z $(on server ss -Hltn "sport = :6881") ]] || break
        sleep 0.1
    done
    sent=$(on server cat /sys/class/net/eth0/statistics/tx_bytes)
    began=$EPOCHREALTIME
    for host in "${hosts[@]}"; do
        rm -rf "$host.files" "$host.conf"
        mkdir "$host.files"
        start_stock "$client" "$host" ""
        complete+=("$host.conf/complete")
    done
    for host in "${hosts[@]}"; do
        wait_for_line "$host.conf/complete" complete 900 >/dev/null || fail "$client has not finished on $host within 900 s"
    done
    record "images that the server sent" "$client" \
        "$(awk -v sent="$(($(on server cat /sys/class/net/eth0/statistics/tx_bytes) - sent))" -v size="$image_size" \
            'BEGIN { printf "%.3f", sent / size }')"
    mapfile -t times < <(complete_seconds "$began" "${complete[@]}")
    record "seconds of the first machine" "$client" "${times[0]}"
    record "seconds of the last machine" "$client" "${times[-1]}"
    record "last machine / ideal" "$client" "$(awk -v t="${times[-1]}" -v ideal="$ideal" 'BEGIN { printf "%.3f", t / ideal }')"
    for host in server "${hosts[@]}"; do
        stop_process "$host"
        cmp -s "$host.files/$file" image.img || fail "$client: the file of $host differs"
    done
    stop_process tracker
    rm -rf ./*.files
}

current=$seedbed
for ((round = 0; round < rounds; round++)); do
    [[ -z ${SEEDBED_BASELINE:-} ]] || run before "$SEEDBED_BASELINE"
    run now "$current"
    for client in "${stock[@]}"; do
        run_stock "$client"
    done
done
for client in "${stock[@]}"; do
    limit "seconds of the last machine" now "$client" '<=' 0.588
done
note "ideal $ideal s"
report "one server to $count machines, $mib MiB, links of $rate Mbit/s"
