#!/bin/bash
# Fault: the .torrent being deployed is not that of the seeded image
# Required: exit status 5 after --timeout, with the number of missing bytes; nothing is written
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

make_image sda1 sdb1
seed sdb1
deploy 5 sda1 sda1.img --timeout 3s
receipt sda1 '.outcome == "timed_out" and .bytes.fetched == 0 and .bytes.written == 0'
says sda1 "the download did not finish within 3 s: $image_bytes of $image_bytes bytes are missing"
untouched sda1.img
pass
