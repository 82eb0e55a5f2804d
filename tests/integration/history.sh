#!/bin/bash
# The history of deployments: hosts deploy, fail and refuse their disks, and the daemon is killed in between; then the history lists and
# exports each of them once, also after the database was damaged and repaired. SEEDBED is the program.
# Labels: once
set -euo pipefail
# shellcheck source=lib_daemon.sh
. "$(dirname "$0")/lib_daemon.sh"

need_loop
need_nbdfuse
need partclone.ext4 mkfs.ext4 curl jq sqlite3

truncate -s 32M source.img
source=$(attach_loop source.img)
make_file_system ext4 "$source" 8
capture ext4 "$source" win11
tracker=$(free_port)
write_config daemon.toml "$(free_port)"
sed -i "s/^enabled = false/listen = \"127.0.0.1:$tracker\"/" daemon.toml
add_image daemon.toml win11 "$work/win11.torrent" "$source" seed
printf '%s\n' '[resume]' "folder = \"$work/server\"" >>daemon.toml
mkdir server
printf '%s\n' '{"machine":"PC-0","job":"0123456789abcdef","state":"done","image":"old","device":"/dev/sda","ended_at":"2026-01-31T12:00:00Z"}' \
    >server/machine-history.jsonl # of an earlier version
start_daemon daemon daemon.toml
expect_line daemon.log ' ready$'
expect_line daemon.log 'imported 1 ended job from .*machine-history.jsonl$'
socket=$work/daemon.toml.sock

history() {
    "$seedbed" history --socket "$socket" "$@"
}
# await_history FILTER: waits at most 60 s until FILTER is true for the document.
await_history() {
    local i
    for ((i = 0; i < 600; i++)); do
        history --json >history.json || fail "no history"
        ! jq -e "$1" history.json >/dev/null || return 0
        sleep 0.1
    done
    fail "the history does not reach: $1: $(<history.json)"
}
# deploy DEVICE STATUS [OPTION...]: a host that reports to the tracker, and not to other peers.
deploy() {
    local device=$1 wanted=$2 status=0
    shift 2
    timeout 120 "$seedbed" deploy win11.torrent "$device" --yes --no-local-discovery --listen "127.0.0.1:$(free_port)" \
        --tracker "http://127.0.0.1:$tracker/announce" --state "$work/host" --seed-for 3s "$@" >host.log 2>&1 || status=$?
    ((status == wanted)) || fail "deploy to $device ends with $status: $(<host.log)"
}

# --- one is deployed, one is refused, one fails; the daemon is killed after each
noise_file good.img 32
good=$(attach_loop good.img)
deploy "$good" 0
await_history '.deployments | length == 2'
kill_daemon daemon
start_daemon daemon daemon.toml
expect_line daemon.log ' ready$'
never_line daemon.log 'imported'

truncate -s 4M small.img
small=$(attach_loop small.img)
deploy "$small" 3
await_history '.deployments | length == 3'
kill_daemon daemon
start_daemon daemon daemon.toml
expect_line daemon.log ' ready$'

noise_file bad.img 32
touch bad.trigger
bad=$(start_nbd bad --filter=error file bad.img error=EIO error-pwrite-rate=100% error-pwrite-file="$work/bad.trigger")
deploy "$bad" 6
await_history '.deployments | length == 4'
kill_daemon daemon
start_daemon daemon daemon.toml
expect_line daemon.log ' ready$'

# The list of machines has the disks that the hosts have reported, also after a restart.
"$seedbed" status --machines --json --socket "$socket" >machines.json
jq -e --arg good "$good" --arg bad "$bad" --arg small "$small" '[.machines[] | select(.class) | [.state, .disk]] ==
    [["failed", $bad], ["refused", $small], ["done", $good]]' machines.json >/dev/null ||
    fail "the disk in the list of machines: $(<machines.json)"

hash=$(jq -r '.deployments[0].info_hash' history.json)
bytes=$(image_bytes win11.info)
jq -e --arg good "$good" --arg bad "$bad" --arg small "$small" --argjson bytes "$bytes" '.format == 1 and
    ([.deployments[] | .state] == ["failed", "refused", "done", "done"]) and ([.deployments[] | .device] == [$bad, $small, $good, "/dev/sda"]) and
    (.deployments[2] | .verified and .image == "win11" and .image_bytes == $bytes and .fetched_bytes >= $bytes and .disk_bytes == 33554432 and
        .seconds >= 0 and .address == "127.0.0.1" and .authenticated == false and .reason == null) and
    (.deployments[1].reason | contains("too small")) and (.deployments[0].reason | contains("EIO")) and
    (.deployments[3] | .job and .machine == "PC-0")' history.json >/dev/null || fail "the history: $(<history.json)"

jq -e '[.deployments[:3][].receipt.outcome] == ["device_failed", "refused", "done"] and (.deployments[3].receipt == null) and
    (.deployments[2] as $done | $done.receipt | .verified and .bytes.image == $done.image_bytes and .bytes.written > 0 and
        .bytes.fetched == ([.peers[].fetched] | add) and .seconds.downloading >= 0 and .seconds.verifying >= 0 and
        .seconds.total >= .seconds.downloading and (.seconds.total - $done.seconds | fabs) < 5 and .device.path == $done.device and
        .content.type == "ext4" and .left_out == 0)' history.json >/dev/null || fail "the receipts: $(jq '.deployments[].receipt' history.json)"

# --- a report with the texts of an attacker; the same again is one deployment
evil="state=failed&port=6881&age=10&taken=1000&bytes=1&id=evil&device=%3Dcmd%7C%27%20%2FC%20calc%27%21A0&model=%1B%5B2J%2C%22%0A&reason=-2%2B3"
escaped=$(jq -Rr '[scan("..")] | map("%" + .) | add' <<<"$hash")
for i in 1 2; do
    curl -sS --max-time 60 "http://127.0.0.1:$tracker/report?info_hash=$escaped&$evil" >answer
done
await_history '.deployments | length == 5'
curl -sS --max-time 60 "http://127.0.0.1:$tracker/report?info_hash=$(printf '%%%02x' {1..20})&$evil" >answer
grep -q 'does not serve' answer || fail "a report on another torrent: $(<answer)"

# --- each way to list it
history >table
[[ $(wc -l <table) == 6 && $(head -n 1 table) == ENDED*MACHINE*STATE*VERIFIED*TOOK*IMAGE*DISK*SERIAL*"ERROR OR WARNING" ]] || fail "the table: $(<table)"
[[ $(sed -n 2p table) == "2026-01-31T12:00:00Z  PC-0 "* && $(tail -n 1 table) == *" failed "*"-2+3" ]] || fail "the order of the table: $(<table)"
! LC_ALL=C grep -q '[^ -~]' table || fail "unprintable: $(cat -v table)"
[[ $(history --machine pc-0 | wc -l) == 2 && $(history --image "${hash:0:8}" | wc -l) == 5 && $(history --image old | wc -l) == 2 ]] || fail "--machine, --image"
[[ $(history --failed | wc -l) == 4 && $(history --since 2026-02-01 | wc -l) == 5 && $(history --since 2026-01-31T12:00:01Z | wc -l) == 5 ]] ||
    fail "--failed, --since: $(history --failed) $(history --since 2026-02-01)"
for wrong in "--since yesterday" "--csv --json" "more"; do
    status=0
    # shellcheck disable=SC2086 # several words
    history $wrong >out 2>&1 || status=$?
    ((status == 2)) && [[ $(wc -l <out) == 1 ]] || fail "history $wrong ends with $status: $(<out)"
done
history --csv >history.csv
/usr/bin/python3 - history.csv history.json <<'EOF' || fail "the CSV: $(cat -v history.csv)"
import csv, json, sys
rows = list(csv.DictReader(open(sys.argv[1], newline="")))
deployments = json.load(open(sys.argv[2]))["deployments"]
assert len(rows) == len(deployments) == 5, rows
for row, deployment in zip(rows, deployments):
    receipt = deployment.pop("receipt")
    figures = {key: row.pop(key) for key in set(row) - set(deployment)}
    assert set(row) == set(deployment) and len(figures) == 11, (row, figures)
    if receipt is None:
        assert set(figures.values()) == {""}, figures
    else:
        assert figures["written_bytes"] == str(receipt["bytes"]["written"]), figures
        assert figures["sources"] == str(sum(peer["fetched"] > 0 for peer in receipt["peers"])), figures
        expected = receipt["seconds"]["downloading"]
        assert figures["downloading_seconds"] == ("" if expected is None else str(expected)), (figures, expected)
    for key, cell in row.items():
        assert cell[:1] not in "=+-@\t\r" or cell == "", (key, cell)
        value = deployment[key]
        if value is None:
            assert cell == "", (key, cell)
        elif isinstance(value, bool):
            assert cell == ("yes" if value else "no"), (key, cell, value)
        elif isinstance(value, str):
            assert cell in (value, "'" + value), (key, cell, value)
        else:
            assert float(cell) == value, (key, cell, value)
assert rows[0]["device"] == "'=cmd|' /C calc'!A0" and rows[0]["model"] == '?[2J,"?' and rows[0]["reason"] == "'-2+3", rows[0]
EOF

# --- one that runs out of time
printf '%s\n' '[network]' 'download_limit = "64 KiB"' >slow.toml
noise_file late.img 32
late=$(attach_loop late.img)
deploy "$late" 5 --config slow.toml --timeout 2s
await_history '.deployments[0] | .state == "failed" and (.reason | contains("in time")) and .receipt.outcome == "timed_out" and
    .device == .receipt.device.path and (.receipt.errors[0] | contains("did not finish within 2 s"))'

# --- a limit that is lowered; a database that is newer, and one that is damaged: one line, and the daemon works
printf '%s\n' '[history]' 'limit = 2' >>daemon.toml
kill -HUP "${daemon_pid[daemon]}"
expect_line daemon.log 'reload: '
curl -sS --max-time 60 "http://127.0.0.1:$tracker/report?info_hash=$escaped&${evil/evil/more}" >answer
await_history '[.deployments[] | .id] | .[0] == "more" and length == 2'
stop_daemon daemon
[[ $(sqlite3 server/history.sqlite 'PRAGMA integrity_check') == ok ]] || fail "the database is damaged"
sqlite3 server/history.sqlite 'PRAGMA user_version = 7' >/dev/null
start_daemon daemon daemon.toml
expect_line daemon.log ' ready$'
expect_line daemon.log 'warning .*cannot use the history of deployments: .*history.sqlite: made by a newer version of Seedbed \(format 7'
! history >out 2>&1 || fail "a newer database is used: $(<out)"
grep -q 'a newer version of Seedbed' out || fail "history prints: $(<out)"
[[ $(curl -sS --max-time 60 "http://127.0.0.1:$tracker/report?info_hash=$escaped&${evil/evil/third}") == noted ]] || fail "without a history, a report is refused"
stop_daemon daemon
[[ $(sqlite3 server/history.sqlite 'PRAGMA user_version') == 7 ]] || fail "a newer database was changed"
head -c 20000 /dev/urandom >server/history.sqlite
rm -f server/history.sqlite-*
start_daemon daemon daemon.toml
expect_line daemon.log ' ready$'
expect_line daemon.log 'cannot use the history of deployments: .*history.sqlite: file is not a database'
[[ $(grep -c 'history of deployments' daemon.log) == 1 ]] || fail "more than one line: $(grep history daemon.log)"
stop_daemon daemon
pass
