#!/bin/bash
# Fault: the server is killed with SIGKILL after a host was complete
# Required: started again, it counts that host; when the other one is complete, so is the deployment
# Labels: quick
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

need curl
make_image sda1
tracker=$(free_port)
write_config seed.toml "$seed_port"
sed -i "s/^enabled = false/listen = \"127.0.0.1:$tracker\"/" seed.toml
add_image seed.toml sda1 sda1.torrent "$work/sda1.source" seed 'expect = 2'
hash=$(grep -oE '[0-9a-f]{40}' sda1.created | sed 's/../%&/g')
# report HOST: HOST says that it is complete.
report() {
    curl -sS --max-time 10 --interface "$1" "http://127.0.0.1:$tracker/report?info_hash=$hash&state=verified&port=6881&age=0" >answer ||
        fail "no answer"
}
start_daemon seed seed.toml
expect_line seed.log ' ready$'
report 127.0.0.2
expect_line seed.log ' sda1: 1/2 complete \(127.0.0.2 '
for ((i = 0; i < 600; ++i)); do # until the record is on the disk, and has its name
    ! grep -rq 127.0.0.2 "$STATE_DIRECTORY" --exclude='.seedbed-*.new' || break
    sleep 0.05
done
((i < 600)) || fail "the record is not on the disk: $(find "$STATE_DIRECTORY")"
kill_daemon seed
start_daemon seed seed.toml
expect_line seed.log ' sda1: 1 host complete before the restart'
report 127.0.0.3
expect_line seed.log ' sda1: deployment complete: 2/2 in '
stop_daemon seed
pass
