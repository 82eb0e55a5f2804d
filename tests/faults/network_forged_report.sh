#!/bin/bash
# Fault: another machine says that a host is complete, with that host's peer id, and says so again and again
# Required: the host does not count, the hook does not run, and the log does not grow with it; the host's own report counts
# Labels: quick
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

need curl
make_image sda1
tracker=$(free_port)
printf '#!/bin/sh\ntouch "$1"\n' >hook
chmod 755 hook
write_config seed.toml "$seed_port"
sed -i "s/^enabled = false/listen = \"127.0.0.1:$tracker\"/" seed.toml
add_image seed.toml sda1 sda1.torrent "$work/sda1.source" seed 'expect = ["127.0.0.2"]' "on_complete = [\"$work/hook\", \"$work/ran\"]"
hash=$(grep -oE '[0-9a-f]{40}' sda1.created | sed 's/../%&/g')
start_daemon seed seed.toml
expect_line seed.log ' ready$'
announce="announce?info_hash=$hash&peer_id=-SB0100-abcdefghijkl&port=6881&uploaded=0&downloaded=0"
# from HOST QUERY...
from() {
    local host=$1 query
    shift
    for query in "$@"; do
        curl -sS --max-time 10 --interface "$host" "http://127.0.0.1:$tracker/$query" >answer || fail "no answer to $query"
    done
}
from 127.0.0.2 "$announce&left=1000&event=started"
forged=("$announce&left=0&event=completed" "report?info_hash=$hash&state=verified&port=6881&age=0"
    "report?info_hash=$hash&state=failed&port=6881&age=0&reason=forged")
for ((i = 0; i < 30; ++i)); do
    from 127.0.0.9 "${forged[@]}"
done
"$seedbed" status --json --socket seed.toml.sock >status.json
jq -e '.images[0].fleet | .complete == 0 and .expected == 1 and (.deployed | not)' status.json >found || fail "$(<status.json)"
[[ ! -e ran ]] || fail "the hook has run"
(($(wc -l <seed.log) < 60)) || fail "the log is flooded: $(wc -l <seed.log) lines"
from 127.0.0.2 "${forged[1]}"
expect_line seed.log ' sda1: deployment complete: 1/1 in '
expect_line seed.log " sda1: $work/hook: exit status 0"
[[ -e ran ]] || fail "the hook has not run"
stop_daemon seed
pass
