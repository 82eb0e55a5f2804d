#!/bin/bash
# Fault: the receipt of a deployment cannot be stored, because its file system is full
# Required: the target is complete; exit status 1 with ENOSPC
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

need_root
make_image sda1
seed sda1
mount_at full -t tmpfs -o size=64k none
dd if=/dev/zero of=full/filler bs=4k status=none 2>/dev/null || true
status=0
printf '%s\n' '[memory]' 'pool = "32 MiB"' >small.toml
"$seedbed" deploy sda1.torrent sda1.img --yes --no-local-discovery --state state --config small.toml \
    --peer "127.0.0.1:$seed_port" --listen "127.0.0.1:$(free_port)" --receipt full/sda1.json </dev/null >sda1.log 2>&1 || status=$?
((status == 1)) || fail "exit status $status instead of 1"
says sda1 'full/sda1.json.*\(ENOSPC\)'
says sda1 '^sda1: done: '
deployed sda1
[[ ! -s full/sda1.json ]] || fail "half a receipt was left behind"
pass
