#!/bin/bash
# Fault: the source, a file, is deleted while it is served
# Required: its image fails: the source is gone; another image is deployed
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

make_image sda1
other_image
seed sda1 other
rm sda1.source
failed sda1 "the source is gone: $work/sda1.source: No such file" seed.log
add_target sda1 "$work/sda1.img"
start_daemon deploy deploy.toml
other_is_deployed
stop_daemon deploy
untouched sda1.img
pass
