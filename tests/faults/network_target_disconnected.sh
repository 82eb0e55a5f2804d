#!/bin/bash
# Fault: a target disappears during its deployment
# Required: the source keeps serving the others
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

make_image sda1
other_image
cp deploy.toml second.toml
seed_lines=('upload_limit = "2 MiB"')
seed sda1 other
deploy_config
add_target sda1 "$work/sda1.img"
sed -i 's/^socket = .*/socket = "second.toml.sock"/' second.toml
start_daemon second second.toml
start_daemon deploy deploy.toml
await_percent sda1 5
kill_daemon deploy
partly_deployed sda1
full_speed
expect_line second.log ' other: done: '
deployed other
never_line seed.log ' (warning|error) '
pass
