#!/bin/bash
# Fault: the .torrent is damaged while its image is served, before a reload
# Required: the reload warns; the image is served as before, and another target is deployed
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

make_image sda1
seed sda1
cp sda1.torrent good.torrent
head -c 100 good.torrent >sda1.torrent
kill -HUP "${daemon_pid[seed]}"
expect_line seed.log 'sda1.torrent.*; still serving the torrent that is loaded'
cp good.torrent sda1.torrent
deploy 0 sda1 sda1.img
deployed sda1
pass
