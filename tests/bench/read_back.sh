#!/bin/bash
# Verification during the download: the seconds from "downloaded" to "verified" as a part of the download, with a device without a
# head. The device is a loop device past the page cache on a file in RAM; both links are limited.
# Usage: read_back.sh [ROUNDS]; 3 by default. SEEDBED is the program; SEEDBED_BASELINE an earlier one, which takes turns with it, if
# any; MIB the size of the image (512), LINK the rate of both links (400mbit); JSON a file for the results.
set -euo pipefail
# shellcheck source=lib_bench.sh disable=SC2154
. "$(dirname "$(readlink -f "$0")")/lib_bench.sh"

rounds=${1:-3}
mib=${MIB:-512}
link=${LINK:-400mbit}
need_hosts
need_loop

make_image image "$mib"
add_machine server "$link"
add_machine target "$link"
truncate -s "${mib}M" target.img
device=$(attach_loop "$PWD/target.img" --direct-io=on)
start_seeder server "$work/$image.img"

# deploy SIDE PROGRAM: one deployment, from nothing to verified.
# shellcheck disable=SC2046 # $(on_host NAME) is several words
deploy() {
    local side=$1 seedbed=$2 download rest
    rm -rf "${STATE_DIRECTORY:?}"
    blank "$device"
    host_config target.toml target 'local_discovery = false'
    add_image target.toml "$image" "$image.torrent" "$device" deploy 'check = "none"' 'profile = "nvme"' \
        "peers = [\"${address[server]}:6881\"]"
    start_daemon target target.toml $(on_host target)
    expect_line target.log " $image: done: " 900
    download=$(log_seconds target.log ' downloading$' ' downloaded ')
    rest=$(log_seconds target.log ' downloaded ' ' verified ')
    record "seconds to downloaded" "$side" "$download"
    record "seconds from downloaded to verified" "$side" "$rest"
    record "the same as a part of the download, %" "$side" "$(awk -v a="$rest" -v b="$download" 'BEGIN { printf "%.2f", 100 * a / b }')"
    record "seconds to verified" "$side" "$(awk -v a="$rest" -v b="$download" 'BEGIN { printf "%.3f", a + b }')"
    stop_target target "$device"
}

for ((round = 0; round < rounds; round++)); do
    [[ -z ${SEEDBED_BASELINE:-} ]] || deploy baseline "$SEEDBED_BASELINE"
    deploy seedbed "$seedbed"
done
stop_daemon server
report "to verified, $mib MiB, links of $link"
