#!/bin/bash
# The server counts the hosts that are done: aria2, Seedbed, and a Seedbed that is killed half-way, returns with a failing disk, and
# finally with a good one. The log names the stragglers, a program runs when all are done and receives a document, and a failed
# host is never counted. SEEDBED is the program.
# shellcheck disable=SC2046 # $(on_host NAME) is several words
# Labels: once
set -euo pipefail
# shellcheck source=lib_daemon.sh
. "$(dirname "$0")/lib_daemon.sh"
# shellcheck source=lib_network.sh
. "$here/lib_network.sh"
# shellcheck source=lib_clients.sh
. "$here/lib_clients.sh"

need_loop
need_hosts
need_nbdfuse
need partclone.ext4 mkfs.ext4 aria2c jq curl promtool script

for host in server aria target straggler; do
    add_host "$host"
done

truncate -s 64M source
source=$(attach_loop source)
make_file_system ext4 "$source" 16
capture ext4 "$source" sda1
"$seedbed" create --partclone sda1.info --name sda1 --tracker "http://${address[server]}:6969/announce" -o sda1.torrent --force >created

cat >hook <<'END'
#!/bin/bash
cat >"$1.new" && mv "$1.new" "$1"
echo "told the $2" >&2
END
chmod 755 hook
host_config seed.toml server 'local_discovery = false'
add_image seed.toml sda1 sda1.torrent "$source" seed 'expect = 3' "on_complete = [\"hook\", \"$work/document\", \"printer\"]"
start_daemon seed seed.toml $(on_host server)
expect_line seed.log ' ready$'

# fleet FILTER: waits at most 60 s until FILTER is true for the image's fleet in the server's status.
fleet() {
    local i
    for ((i = 0; i < 600; i++)); do
        curl -sS --max-time 60 --unix-socket "$work/server.sock" http://localhost/status | jq .images[0].fleet >fleet.json
        ! jq -e --arg aria "${address[aria]}" --arg target "${address[target]}" --arg straggler "${address[straggler]}" \
            "def host(\$a): .hosts[] | select(.address == \$a); $1" fleet.json >/dev/null || return 0
        sleep 0.1
    done
    fail "the fleet does not reach: $1: $(<fleet.json)"
}
# metric LINE...: fails unless the server's metrics contain each line, and promtool accepts them.
metric() {
    local line
    curl -sS --max-time 60 --unix-socket "$work/server.sock" http://localhost/metrics >metrics.txt
    promtool check metrics <metrics.txt >promtool.txt 2>&1 || fail "promtool: $(<promtool.txt)"
    [[ ! -s promtool.txt ]] || fail "promtool complains: $(<promtool.txt)"
    for line in "$@"; do
        grep -qxF "$line" metrics.txt || fail "no metric '$line': $(grep fleet metrics.txt)"
    done
}
# shown PATTERN: fails unless a line of 'seedbed status' on 80 columns matches.
shown() {
    script -qec "stty columns 80; '$seedbed' status --socket server.sock" /dev/null </dev/null >shown.txt
    tr -d '\r' <shown.txt >shown
    [[ $(wc -L <shown) -le 80 ]] || fail "the status is wider than 80 columns: $(<shown)"
    grep -qE -e "$1" shown || fail "the status does not show '$1': $(<shown)"
}
fleet '.expected == 3 and .known == 0 and .complete == 0 and .missing == 3 and .started == null and .hosts == []'

# deploy_to NAME DEVICE: starts the daemon NAME on the host NAME.
deploy_to() {
    host_config "$1.toml" "$1" 'local_discovery = false'
    add_image "$1.toml" sda1 sda1.torrent "$2" deploy
    start_daemon "$1" "$1.toml" $(on_host "$1")
}

# --- two are done; the third is too slow and is killed

noise_file slow 64
to_straggler=port${address[straggler]##*.} # its end at the switch
tc -n "$net-switch" qdisc add dev "$to_straggler" root tbf rate 1mbit burst 64k latency 200ms
slow=$(attach_loop slow)
deploy_to straggler "$slow"
expect_line straggler.log ' sda1: downloading$'
noise_file target.img 64
target=$(attach_loop target.img)
deploy_to target "$target"
start_process aria $(on_host aria) "${aria2[@]}" --seed-time=0 --dir=got sda1.torrent
expect_line seed.log " sda1: [12]/3 complete \(${address[target]} after [0-9.ms]+, verified\)"
expect_line seed.log " sda1: [12]/3 complete \(${address[aria]} after [0-9.ms]+, has all pieces\)"
expect_line seed.log " sda1: 2/3 complete \(.*; remaining: ${address[straggler]} [0-9]+% at [0-9.]+ [KMG]?i?B/s"
compare_extents sda1.info "$source" "$target"
fleet '.complete == 2 and .verified == 1 and .failed == 0 and .missing == 0 and (.deployed | not) and (.hosts | length) == 3 and
    (host($aria) | .state == "pieces" and .progress == 1 and .fetched_bytes > 0) and
    (host($target) | .state == "verified" and .seconds > 0 and (.completed_at | fromdateiso8601 > 0)) and
    (host($straggler) | .state == "fetching" and .progress < 1 and .rate > 0 and .completed_at == null and .connected and
        (.last_seen | fromdateiso8601 > 0)) and
    (host($aria) | .device == null and .class == null) and (host($target) | .device == "'"$target"'" and .class != null) and
    (host($straggler) | .device == "'"$slow"'" and .class != null)'
shown '^sda1 +seeding +2/3 complete '
shown "^ +${address[straggler]} +[0-9]+% at [0-9.]+ [KMG]?i?B/s\$"
metric 'seedbed_fleet_expected_hosts{image="sda1"} 3' 'seedbed_fleet_complete_hosts{image="sda1"} 2' \
    'seedbed_fleet_hosts{image="sda1",state="fetching"} 1' 'seedbed_fleet_hosts{image="sda1",state="verified"} 1' \
    'seedbed_fleet_hosts{image="sda1",state="pieces"} 1' 'seedbed_fleet_missing_hosts{image="sda1"} 0'
kill_daemon straggler
never_line straggler.log ' sda1: done: '
never_line seed.log 'deployment complete|3/3'

# --- the third returns with a disk that accepts only part of the image: it fails, reports that, and is not counted

noise_file broken.img 64
touch broken
broken=$(start_nbd broken --filter=error file broken.img error=EIO error-pwrite-rate=100% error-pwrite-file="$work/broken")
tc -n "$net-switch" qdisc delete dev "$to_straggler" root
deploy_to straggler "$broken"
expect_line straggler.log ' sda1: failed: '
expect_line seed.log " warning sda1: ${address[straggler]} failed: (write|flush) .*Input/output error"
never_line seed.log 'deployment complete|3/3'
fleet '.complete == 2 and .failed == 1 and (host($straggler) | .state == "failed" and (.failure | test("^(write|flush) .*Input/output error")))'
shown "^ +${address[straggler]} +failed: (write|flush) .*"
metric 'seedbed_fleet_hosts{image="sda1",state="failed"} 1' 'seedbed_fleet_complete_hosts{image="sda1"} 2'
stop_daemon straggler

# --- the third returns with a good disk

noise_file good 64
good=$(attach_loop good)
deploy_to straggler "$good"
expect_line straggler.log ' sda1: done: '
expect_line seed.log " sda1: 3/3 complete \(${address[straggler]} after [0-9.ms]+, verified\)"
expect_line seed.log ' sda1: deployment complete: 3/3 in [0-9.ms]+$'
expect_line seed.log " sda1: $work/hook: exit status 0 after [0-9.]+s: told the printer"
compare_extents sda1.info "$source" "$good"
jq -e --arg hash "$(jq -r .info_hash <("$seedbed" create --partclone sda1.info --name sda1 -o again.torrent --json))" \
    --arg aria "${address[aria]}" --arg target "${address[target]}" --arg straggler "${address[straggler]}" '
    .image == "sda1" and .info_hash == $hash and .expected == 3 and .complete == 3 and .duration > 0 and
    (.started | fromdateiso8601 > 0) and ([.hosts[].address] | sort) == ([$aria, $target, $straggler] | sort) and
    ([.hosts[] | select(.address == $aria).state] == ["pieces"]) and
    ([.hosts[] | select(.address != $aria).state] == ["verified", "verified"]) and
    all(.hosts[]; .seconds >= 0 and .bytes > 0 and (.completed_at | fromdateiso8601 > 0))' document >/dev/null ||
    fail "the document: $(<document)"
fleet '.deployed and .complete == 3 and .verified == 2 and .failed == 0'
shown '^sda1 +seeding +3/3 complete '
metric 'seedbed_fleet_deployed{image="sda1"} 1' 'seedbed_fleet_hosts{image="sda1",state="failed"} 0'
[[ $(grep -c 'deployment complete' seed.log) -eq 1 ]] || fail "a deployment was completed twice"

# --- a reload changes the expected hosts and loses none

sed -i "s/^expect = 3/expect = [\"${address[target]}\"]/; /^on_complete/d" seed.toml
kill -HUP "${daemon_pid[seed]}"
expect_line seed.log ' reload: 0 images closed, 0 opened, 1 changed in use$'
expect_line seed.log ' sda1: deployment complete: 1/1 in '
stop_daemon straggler
stop_daemon target
stop_daemon seed

# --- no tracker: the server tells its peers where to send reports

"$seedbed" create --partclone sda1.info --name plain -o plain.torrent >created
host_config seed.toml server 'local_discovery = false'
add_image seed.toml plain plain.torrent "$source" seed 'expect = 1'
start_daemon seed seed.toml $(on_host server)
expect_line seed.log ' ready$'
noise_file plain.img 64
plain=$(attach_loop plain.img)
host_config target.toml target 'local_discovery = false'
add_image target.toml plain plain.torrent "$plain" deploy "peers = [\"${address[server]}:6881\"]"
start_daemon target target.toml $(on_host target)
expect_line target.log ' plain: done: '
expect_line seed.log " plain: 1/1 complete \(${address[target]} after [0-9.ms]+, verified\)"
expect_line seed.log ' plain: deployment complete: 1/1 in '
never_line target.log 'tracker'
compare_extents sda1.info "$source" "$plain"
stop_daemon target
stop_daemon seed
pass
