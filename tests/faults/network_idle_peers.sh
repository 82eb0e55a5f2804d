#!/bin/bash
# Fault: 150 peers that ask for nothing came first, and the daemon accepts 60
# Required: a target is deployed meanwhile
# Labels: quick
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

make_image sda1
seed_lines=('connections = 60')
seed sda1
idle_peers
deploy 0 sda1 sda1.img
deployed sda1
pass
