#!/bin/bash
# Fault: the .torrent is empty
# Required: exit status 4; nothing is written
# Labels: quick
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

make_image sda1
: >sda1.torrent
deploy 4 sda1 sda1.img
says sda1 'sda1.torrent: the file is empty'
untouched sda1.img
pass
