#!/bin/bash
# Fault: a target does not know the secret that the daemon demands
# Required: it gets no piece, and the log names it; a target that knows the secret is deployed meanwhile
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

make_image sda1
echo 'a secret of at least sixteen bytes' >secret
chmod 600 secret
seed_lines=("secret_file = \"$work/secret\"")
seed sda1
noise_file stranger.img 24
write_config stranger.toml "$(free_port)" "${usual_lines[@]}"
add_image stranger.toml sda1 sda1.torrent "$work/stranger.img" deploy "peers = [\"127.0.0.1:$seed_port\"]"
start_daemon stranger stranger.toml
expect_line stranger.log ' sda1: downloading$'
deploy 0 sda1 sda1.img --secret-file secret
deployed sda1
expect_line seed.log ' warning sda1: refused peer 127.0.0.1:[0-9]+: it does not know the secret'
stop_daemon stranger
never_line stranger.log ' sda1: (downloaded|done)'
untouched stranger.img
pass
