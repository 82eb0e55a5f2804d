#!/bin/bash
# Fault: the source is one sector shorter than the image
# Required: its image fails with both sizes; another image is served
# Labels: quick
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

make_image sda1
other_image
truncate -s $((image_end - 512)) sda1.source
seed sda1 other
failed sda1 "$work/sda1.source: too small: it has $((image_end - 512)) bytes, the image needs $image_end" seed.log
start_daemon deploy deploy.toml
other_is_deployed
pass
