#!/bin/bash
# Fault: two daemons with images of the same name use the same folder for checkpoints
# Required: each keeps the checkpoint of its own target, and both targets are deployed
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

make_image sda1
mkdir second
cp sda1.img second/
add_target sda1 "$work/sda1.img"
seed_lines=('upload_limit = "2 MiB"')
seed sda1
cp deploy.toml second.toml
sed -i "s|$work/sda1.img|$work/second/sda1.img|; s/^socket = .*/socket = \"second.toml.sock\"/; s/^listen = .*/listen = \"127.0.0.1:$(free_port)\"/; s|\"sda1.torrent|\"$work/sda1.torrent|" second.toml
for name in deploy second; do start_daemon "$name" "$name.toml"; done
await_percent sda1 20
await_percent sda1 20 second.toml
for name in deploy second; do kill_daemon "$name"; done
set -- state/*.resume
(($# == 2)) || fail "$# checkpoints"
for name in deploy second; do
    start_daemon "$name" "$name.toml"
    expect_line "$name.log" ' sda1: resumed: '
    expect_line "$name.log" ' sda1: done: '
done
deployed sda1
deployed sda1 second/sda1.img
pass
