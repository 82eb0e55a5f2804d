#!/bin/bash
# Fault: the .torrent is truncated, at any of 39 places
# Required: exit status 4; nothing is written
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

make_image sda1
size=$(stat -c %s sda1.torrent)
cp sda1.torrent whole.torrent
for ((i = 1; i < 40; ++i)); do
    head -c $((size * i / 40)) whole.torrent >sda1.torrent
    deploy 4 sda1 sda1.img
    expect_line sda1.log 'sda1.torrent: not a usable torrent'
done
untouched sda1.img
pass
