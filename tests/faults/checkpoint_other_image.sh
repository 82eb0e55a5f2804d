#!/bin/bash
# Fault: the checkpoint is that of another image
# Required: the checkpoint is ignored with the reason, the target is read, and the image is deployed
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

make_image sda1
interrupt sda1 TERM
make_image sdb1
mv sdb1.torrent sda1.torrent
mv sdb1.source sda1.source
cp sdb1.expected sda1.expected
seed sda1
start_daemon deploy deploy.toml
expect_line deploy.log ' sda1: ignoring the checkpoint: .*it belongs to torrent [0-9a-f]{40}'
expect_line deploy.log ' sda1: checked '
expect_line deploy.log ' sda1: done: '
deployed sda1
pass
