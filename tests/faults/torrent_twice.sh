#!/bin/bash
# Fault: two images have the same info-hash
# Required: one fails with the other's device; the other one is deployed, and only it is written to
# Labels: quick
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

make_image sda1
for name in one two; do
    cp sda1.torrent "$name.torrent"
    cp sda1.img "$name.img"
    add_target "$name" "$work/$name.img"
done
seed sda1
start_daemon deploy deploy.toml
expect_line deploy.log ' (one|two): done: '
if grep -q ' one: done: ' deploy.log; then served=one refused=two; else served=two refused=one; fi
failed "$refused" "the torrent [0-9a-f]+ is already served from $work/$served.img"
deployed sda1 "$served.img"
untouched "$refused.img"
pass
