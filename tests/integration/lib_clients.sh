# shellcheck shell=bash disable=SC2034,SC2046,SC2154
# Other BitTorrent programs. start_opentracker needs lib_network.sh. Not a test.
#
#   "${aria2[@]}" OPTION... TORRENT          aria2, which finds peers only through trackers and listens on port 6881
#   transmission_folder FOLDER               writes Transmission's settings to the same effect, for `transmission-cli -g FOLDER
#                                            -p 6881`; with `-f "$work/FOLDER/finished"`, it creates FOLDER/complete when done
#   start_opentracker NAME HOST HASHES       starts opentracker on port 6969 of HOST, over HTTP and UDP, for the info-hashes in a file

aria2=(aria2c --no-conf --enable-dht=false --enable-dht6=false --bt-enable-lpd=false --enable-peer-exchange=false
    --listen-port=6881 --file-allocation=none --console-log-level=warn --summary-interval=0)

# Some of the settings are not command-line options.
transmission_folder() {
    mkdir -p "$1"
    echo '{ "dht-enabled": false, "lpd-enabled": false, "pex-enabled": false, "utp-enabled": false, "encryption": 0,
        "rename-partial-files": false, "preallocation": 0, "cache-size-mb": 4, "trash-original-torrent-files": false }' \
        >"$1/settings.json"
    printf '#!/bin/sh\necho complete >%s/complete\n' "$work/$1" >"$1/finished"
    chmod 755 "$1/finished"
}

start_opentracker() {
    local name=$1 host=$2 i
    mkdir -p "$name.d"
    chmod 755 "$work" "$name.d" # opentracker runs as the user nobody
    cp "$3" "$name.d/hashes"    # Debian's serves no other torrents
    start_process "$name" $(on_host "$host") opentracker -i "${address[$host]}" -p 6969 -P 6969 -d "$name.d" -w hashes
    for ((i = 0; i < 600; i++)); do
        [[ -z $(on "$host" ss -Hltn "sport = :6969") ]] || return 0
        sleep 0.1
    done
    fail "opentracker does not listen: $(<"$work/$name.log")"
}
