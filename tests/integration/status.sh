#!/bin/bash
# The daemon's status: over the control socket, for scripts, for Prometheus, and for a user at a terminal that changes its size.
# A seeder and a target with loop devices. SEEDBED is the program.
# Labels: once
set -euo pipefail
# shellcheck source=lib_daemon.sh
. "$(dirname "$0")/lib_daemon.sh"

need_loop
need partclone.ext4 mkfs.ext4 aria2c ss curl jq promtool tmux setpriv

truncate -s 32M source
source=$(attach_loop source)
make_file_system ext4 "$source" 8
capture ext4 "$source" sda1
bytes=$(image_bytes sda1.info)
truncate -s 32M target
target=$(attach_loop target)

# tell SOCKET PATH [CURL_OPTION...]: prints the daemon's response.
tell() {
    local socket=$1 path=$2
    shift 2
    curl -sS --max-time 10 --unix-socket "$work/$socket" "$@" "http://localhost$path"
}
# expect_status SOCKET FILTER: waits at most 60 s until FILTER is true for the daemon's document.
expect_status() {
    local i
    for ((i = 0; i < 600; i++)); do
        tell "$1" /status >status.json
        ! jq -e "$2" status.json >/dev/null || return 0
        sleep 0.1
    done
    fail "$1 does not reach: $2: $(<status.json)"
}
# run STATUS ARGUMENT...: runs seedbed status, with its output in stdout and stderr.
run() {
    local want=$1 status=0
    shift
    "${as[@]}" timeout 60 "$seedbed" status "$@" >stdout 2>stderr </dev/null || status=$?
    ((status == want)) || fail "seedbed status $*: exit status $status instead of $want: $(cat stdout stderr)"
}
as=()

# --- a target that waits for its seeder. Its system has a group seedbed, even if this machine does not.
chmod 711 "$work"
group=54321
{ grep -v '^seedbed:' /etc/group; echo "seedbed:x:$group:"; } >group
port=$(free_port)
metrics=$(free_port)
write_config target.toml "$port" '[metrics]' "listen = \"127.0.0.1:$metrics\""
add_image target.toml sda1 sda1.torrent "$target" deploy
# shellcheck disable=SC2016 # the inner shell's
start_daemon target target.toml unshare --mount --propagation private \
    sh -c 'mount --bind "$0" /etc/group && exec "$@"' "$work/group"
expect_line target.log ' sda1: downloading$'
socket=$work/target.toml.sock
[[ $(stat -c '%a %u %g' "$socket") == "660 0 $group" ]] || fail "the socket is $(stat -c '%a %u %g' "$socket")"

expect_status target.toml.sock '.images[0].state == "downloading"'
jq -e --arg device "$target" --argjson bytes "$bytes" '.format == 1 and .complaint == null and (.images | length) == 1
    and (.images[0] | .name == "sda1" and .mode == "deploy" and .device == $device and .total_bytes == $bytes
        and .left_bytes > 0 and .left_bytes <= $bytes and .durable == false and .verified == false and .peers == []
        and .failure == null and .device_read_bytes > 0 and .device_written_bytes == 0)' status.json >/dev/null ||
    fail "the target's status is wrong: $(<status.json)"
left=$(jq .images[0].left_bytes status.json)

# --- access to the socket
as=(setpriv --reuid 65534 --regid 65534 --groups "$group")
run 0 --socket "$socket"
as=(setpriv --reuid 65534 --regid 65534 --clear-groups)
run 1 --socket "$socket"
grep -qx "seedbed status: $socket: Permission denied: .*group seedbed.*" stderr || fail "without access, the message is: $(<stderr)"
[[ $(wc -l <stderr) -eq 1 && ! -s stdout ]] || fail "without access, there is more than one line: $(cat stdout stderr)"
as=()
run 1 --socket "$work/missing"
grep -qx "seedbed status: $work/missing: No such file or directory: .*" stderr || fail "without a daemon, the message is: $(<stderr)"
run 2 --nonsense

# --- another daemon does not take over the socket, and works without one
write_config other.toml "$(free_port)"
sed -i "s/other.toml.sock/target.toml.sock/" other.toml
start_daemon other other.toml
expect_line other.log ' ready$'
expect_line other.log " warning .*$socket: another program is listening on this socket"
stop_daemon other
[[ -S $socket ]] || fail "another daemon has removed the socket"
run 0 --socket "$socket"
grep -qE '^sda1 +downloading ' stdout || fail "the target is not shown as downloading: $(<stdout)"

# --- the seeder starts, and the target completes; another peer is slow. One of the seeder's images fails.
slow=$(free_port)
aria2c --no-conf --enable-dht=false --enable-dht6=false --bt-enable-lpd=false --enable-peer-exchange=false \
    --listen-port="$slow" --max-download-limit=30K --file-allocation=none --summary-interval=0 -d slow sda1.torrent \
    </dev/null >slow.out 2>&1 &
slow_peer=$!
defer slow end_process "$slow_peer"
write_config server.toml "$(free_port)"
add_image server.toml sda1 sda1.torrent "$source" seed "peers = [\"127.0.0.1:$port\", \"127.0.0.1:$slow\"]"
add_image server.toml lost lost.torrent lost.img seed
start_daemon server server.toml
expect_line target.log ' sda1: done: '
expect_status target.toml.sock ".images[0] | .state == \"seeding\" and .durable and .verified and .left_bytes == 0
    and .downloaded_bytes >= $left and .device_written_bytes == $left and .progress == 1"
# Seeds part, so that only the slow peer stays; it may come after the target is gone.
expect_status server.toml.sock ".images[1] | .uploaded_bytes > $left and (.peers | map(.port)) == [$slow] and .peers[0].uploaded_bytes > 0"
jq -e --argjson port "$slow" '.images[1] | .state == "seeding" and .mode == "seed" and .durable == null and .class != null
    and .engine != null and .device_read_bytes > 0 and (.peers[0] | .address == "127.0.0.1" and .port == $port and (.seed | not)
    and .progress < 1 and .uploaded_bytes > 0 and (.client | startswith("aria2")))' status.json >/dev/null ||
    fail "the seeder's status is wrong: $(<status.json)"
jq -e '.cache.hits + .cache.misses > 0 and .pool.used_bytes > 0' status.json >/dev/null || fail "the seeder has not read: $(<status.json)"
run 3 --socket "$work/server.toml.sock"
grep -qE '^sda1 +seeding ' stdout || fail "the served image is not shown: $(<stdout)"
grep -q "^lost: failed: $work/lost.torrent: No such file" stdout || fail "the failed image is not shown: $(<stdout)"
run 3 --json --socket "$work/server.toml.sock"
jq -e '.images | map(.state) == ["failed", "seeding"]' stdout >/dev/null || fail "the document: $(<stdout)"
run 0 --socket "$socket"
grep -qE '^sda1 +seeding +verified ' stdout || fail "the completed image is not shown: $(<stdout)"

# --- rates: 0 about two seconds after the last byte, and not only after libtorrent's average has decayed for a minute
expect_status server.toml.sock '.images[1] | .upload_rate > 0 and .peers[0].upload_rate > 0'
kill -STOP "$slow_peer"
sent=-1
while tell server.toml.sock /status >status.json && now=$(jq '.images[1].uploaded_bytes' status.json) && ((now != sent)); do
    sent=$now # its socket fills up
    sleep 2
done
jq -e '.images[1] | .upload_rate == 0 and .peers[0].upload_rate == 0' status.json >/dev/null ||
    fail "a rate above 0 two seconds after the last byte: $(<status.json)"
kill -CONT "$slow_peer"

# --- Prometheus and health, on the socket and over TCP; TCP serves nothing else
tell server.toml.sock /metrics >metrics.txt
curl -sS --max-time 10 "http://127.0.0.1:$metrics/metrics" >tcp.txt
for file in metrics.txt tcp.txt; do
    promtool check metrics <"$file" >promtool.txt 2>&1 || fail "promtool: $(<promtool.txt)"
    [[ ! -s promtool.txt ]] || fail "promtool complains: $(<promtool.txt)"
done
grep -qx "seedbed_image_device_written_bytes_total{image=\"sda1\"} $left" tcp.txt || fail "the target's metrics: $(<tcp.txt)"
grep -qx 'seedbed_image_verified{image="sda1"} 1' tcp.txt || fail "the target's metrics: $(<tcp.txt)"
grep -qx 'seedbed_image_state{image="sda1",state="seeding"} 1' metrics.txt || fail "the seeder's metrics: $(<metrics.txt)"
[[ $(tell server.toml.sock /healthz -w '%{http_code}') == ok$'\n'200 ]] || fail "the seeder is not healthy"
[[ $(curl -sS --max-time 10 -w '%{http_code}' "http://127.0.0.1:$metrics/healthz") == ok$'\n'200 ]] || fail "the target is not healthy"
[[ $(curl -sS --max-time 10 -o body -w '%{http_code}' "http://127.0.0.1:$metrics/status") == 404 ]] || fail "the status is served over TCP"

# --- a reload closes the TCP listener, opens another one and moves the socket
kill -HUP "${daemon_pid[target]}" # nothing differs: the listener stays
expect_line target.log 'nothing differs'
curl -sS --max-time 10 "http://127.0.0.1:$metrics/healthz" >body || fail "a reload that changes nothing has closed the listener"
sed -i -e '/^\[metrics\]/d' -e '/:'"$metrics"'"$/d' target.toml
kill -HUP "${daemon_pid[target]}"
expect_line target.log " metrics are no longer served at 127.0.0.1:$metrics\$"
! curl -sS --max-time 10 "http://127.0.0.1:$metrics/healthz" >body 2>&1 || fail "metrics are still served over TCP"
metrics=$(free_port)
sed -i "s/^socket = .*/socket = \"moved.sock\"\n[metrics]\nlisten = \"127.0.0.1:$metrics\"/" target.toml
kill -HUP "${daemon_pid[target]}"
expect_line target.log " metrics are served at 127.0.0.1:$metrics\$"
curl -sS --max-time 10 "http://127.0.0.1:$metrics/metrics" >tcp.txt
grep -q '^seedbed_healthy 1$' tcp.txt || fail "metrics are not served at another port: $(<tcp.txt)"
[[ ! -e $socket ]] || fail "the old socket still exists"
run 0 --socket "$work/moved.sock"

# --- a user at a terminal that is resized from 80x24 to 60x15
# screen: writes the content of the terminal to the file screen.
export TMUX_TMPDIR=$work
screen() {
    tmux -f /dev/null capture-pane -p -t watch >screen
}
# await_screen PATTERN: waits until a line of the terminal matches.
await_screen() {
    local i
    for ((i = 0; i < 600; i++)); do
        screen
        ! grep -qE -e "$1" screen || return 0
        sleep 0.1
    done
    fail "the terminal does not show '$1': $(<screen)"
}
# fits WIDTH HEIGHT: succeeds if the table fits this size: the first line ends at the last column, and all rows are complete.
fits() {
    local line
    read -r line <screen
    [[ $line =~ ^Seedbed\ .*\ [0-9:]{8}$ && ${#line} == "$1" ]] || return
    awk -v width="$1" -v height="$2" '
        length > width { exit 1 }
        NF { last = NR }
        /^NAME +STATE +PROGRESS +RATE +PEERS( |$)/ { head = NR }
        /^lost +failed +- +- +0( |$)/ { lost = NR }
        /^sda1 +seeding +(100%|0 complete) +[-0-9.KMiB\/s ]+ +1( |$)/ { done = NR }
        /^ +127\.0\.0\.1:[0-9]+ .* [0-9]+%/ { peer = NR }
        /^lost: failed:/ { why = NR }
        END { exit !(head == 2 && lost == 3 && done == 4 && peer == 5 && why == 6 && last <= height) }
    ' screen
}
# whole WIDTH HEIGHT: waits until the table fits; the terminal may be seen while it is drawn.
whole() {
    local i
    for ((i = 0; i < 600; i++)); do
        ! fits "$@" || return 0
        sleep 0.1
        screen
    done
    fail "the table does not fit $1x$2: $(<screen)"
}
tmux -f /dev/null new-session -d -s watch -x 80 -y 24 "sh"
defer tmux tmux -f /dev/null kill-server
socket=$work/server.toml.sock
tmux -f /dev/null send-keys -t watch "PS1='ready> '; clear; $seedbed status --watch --socket $socket; echo ended \$?" Enter
await_screen '^NAME +STATE'
whole 80 24
tmux -f /dev/null resize-window -t watch -x 60 -y 15
await_screen '^.{51} [0-9:]{8}$'
whole 60 15
first=$(head -c 60 screen)
for ((i = 0; i < 600; i++)); do # the table is still being updated
    screen
    [[ $(head -c 60 screen) == "$first" ]] || break
    sleep 0.1
done
((i < 600)) || fail "the table is not redrawn: $(<screen)"
whole 60 15

# Without the daemon, the numbers stay and a message appears; with it, the updates continue.
kill_daemon server
await_screen '^showing the status of '
start_daemon server server.toml
expect_line server.log ' sda1: seeding$'
for ((i = 0; i < 600; i++)); do
    screen
    grep -q '^showing the status of ' screen || break
    sleep 0.1
done
((i < 600)) || fail "the daemon is back, but the table is not updated: $(<screen)"

# Ctrl-C restores the terminal.
tmux -f /dev/null send-keys -t watch C-c
await_screen '^ended 3$'
! grep -q '^NAME' screen || fail "the table is still on the terminal: $(<screen)"
[[ $(tmux -f /dev/null display-message -p -t watch '#{alternate_on} #{cursor_flag} #{wrap_flag}') == '0 1 1' ]] ||
    fail "the terminal was not restored"
tmux -f /dev/null send-keys -t watch "echo typed" Enter
await_screen '^ready> echo typed$' # the terminal echoes input again

stop_daemon server
stop_daemon target
[[ ! -e $socket ]] || fail "the socket still exists"
pass
