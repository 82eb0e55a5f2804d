#!/bin/bash
# Fault: the .torrent does not exist
# Required: exit status 4 with the path and the errno; nothing is written
# Labels: quick
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

make_image sda1
rm sda1.torrent
deploy 4 sda1 sda1.img
says sda1 'sda1.torrent: .*No such file or directory \(ENOENT\)'
untouched sda1.img
pass
