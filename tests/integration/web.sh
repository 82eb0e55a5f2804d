#!/bin/bash
# The web page of a real daemon: the page and its headers, the events, who may connect, a reload. 200 machines announce and report; then
# headless Chromium shows them, if it is installed. SEEDBED is the program.
# Labels: once
set -euo pipefail
# shellcheck source=lib_daemon.sh
. "$(dirname "$0")/lib_daemon.sh"

need_loop
need partclone.ext4 mkfs.ext4 curl jq ss

truncate -s 32M source.img
source=$(attach_loop source.img)
make_file_system ext4 "$source" 8
capture ext4 "$source" win11
tracker=$(free_port)
web=$(free_port)
mkdir etc
printf '%s\n' '[control]' 'socket = "socket"' '[tracker]' "listen = \"127.0.0.1:$tracker\"" '[network]' \
    "listen = \"127.0.0.1:$(free_port)\"" 'local_discovery = false' 'allow = ["192.0.2.128/25"]' '[web]' "listen = \"127.0.0.1:$web\"" >etc/seedbed.toml
add_image etc/seedbed.toml win11 "$work/win11.torrent" "$source" seed 'upload_limit = "128 KiB"' # a download lasts longer than the browser needs
for number in 17 18; do
    printf '%s\n' '[[machine]]' "name = \"PC-$number\"" "mac = \"52:54:00:00:00:$number\"" 'image = "win11"' 'disk = "auto"' >>etc/seedbed.toml
done
start_daemon web etc/seedbed.toml
expect_line web.log " the web page is served at http://127\\.0\\.0\\.1:$web/$"
expect_line web.log ' ready$'
url=http://127.0.0.1:$web

# events NUMBER FILE: that many documents that the daemon sends, in at most 60 s.
events() {
    { curl -sS -N --max-time 60 "$url/events" 2>events.err || true; } |
        awk -v wanted="$1" '{ print } /^data: [{]/ && ++n == wanted { exit }' >"$2"
    (($(grep -c '^data: {' "$2") == $1)) || fail "fewer than $1 documents: $(<events.err)"
}
# document: the last one of FILE.
document() {
    grep '^data: {' "$1" | tail -n 1 | cut -c 7-
}

# --- the page
curl -sS -D headers -o page "$url/"
for line in "HTTP/1.1 200 OK" "Content-Type: text/html; charset=utf-8" "Cache-Control: no-cache" "X-Content-Type-Options: nosniff" \
    "Content-Security-Policy: default-src 'none'; style-src 'sha256-"; do
    grep -qF "$line" headers || fail "no header '$line': $(<headers)"
done
etag=$(sed -n 's/^ETag: \(".*"\)\r$/\1/p' headers)
[[ $(curl -sS -o /dev/null -w '%{http_code}' -H "If-None-Match: $etag" "$url/") == 304 ]] || fail "the page with the ETag $etag is sent again"
grep -qF '</html>' page || fail "the page is incomplete"
[[ $(curl -sS -o /dev/null -w '%{http_code}' -X POST "$url/") == 405 ]] || fail "POST is not refused"
for path in /status /machines /metrics; do
    [[ $(curl -sS -o /dev/null -w '%{http_code}' "$url$path") == 404 ]] || fail "$path is served"
done

# --- machines without a host: a document every second; a busy machine may delay some
events 4 first
sed -n 's/^data: {/{/p' first | jq -se 'map(.time | fromdate) | [.[1:], .[:-1]] | transpose | map(.[0] - .[1]) | min <= 2' >/dev/null ||
    fail "no two documents within two seconds: $(<first)"
document first | jq -e '.totals.machines == 2 and .totals.waiting == 2 and ([.machines[].name] == ["PC-17", "PC-18"])' >/dev/null ||
    fail "not the two machines: $(document first)"

# --- 200 machines. PC-17 has one's address; PC-18's job fails for a reason with HTML in it.
"$seedbed" status --json --socket etc/socket >status.json
hash=$(jq -r '.images[0].info_hash | [scan("..")] | map("%" + .) | add' status.json)
/usr/bin/python3 "$here/lib_machines.py" "$tracker" "$hash" "$(jq '.images[0].total_bytes' status.json)" stay >machines.log 2>&1 &
defer machines end_process "$!"
expect_line machines.log '^all have reported$'
for ((i = 0; i < 30; i++)); do # the first document may be older
    events 1 second
    ! document second | jq -e '.totals.machines == 202 and .totals."no job" == 1 and .totals.done == 120 and .totals.failed == 5 and
        .totals.refused == 1 and .totals.running == 75 and .totals.waiting == 0' >/dev/null || break
    sleep 0.2
done
((i < 30)) || fail "the totals of 200 machines: $(document second | jq -c .totals)"
document second | jq -e '.machines[0].state == "failed" and ([.machines[] | select(.name == "PC-17")] | length == 1 and
    .[0].address == "127.1.0.61" and .[0].state == "running" and .[0].phase == "download" and .[0].disk == "/dev/sda")' >/dev/null ||
    fail "PC-17 is not one row: $(document second | jq -c '[.machines[] | select(.name == "PC-17" or .address == "127.1.0.61")]')"
document second | jq -e '[.machines[] | select(.address == "127.1.0.1") | [.disk, .class]] == [["/dev/nvme0n1", "nvme"]]' >/dev/null ||
    fail "the disk that a host has reported: $(document second | jq -c '.machines[] | select(.address == "127.1.0.1")')"
document second | jq -e '.machines[] | select(.name == "PC-18") | .reason == "<script>document.title = 1</script>" and
    .phase == "<b>write</b>"' >/dev/null || fail "PC-18: $(document second | jq -c '.machines[] | select(.name == "PC-18")')"

curl -sS "$url/history" | jq -e '[.deployments[] | select(.job) | [.machine, .state, .device]] == [["PC-18", "failed", "<svg onload=alert(1)>"]]' >/dev/null ||
    fail "the deployments that have ended: $(curl -sS "$url/history")"

# --- allow: an address outside it gets nothing. Loopback addresses always may, so the machine gets two others.
if [[ -n ${SEEDBED_OWN_NAMESPACES:-} ]]; then
    ip address add 192.0.2.129/32 dev lo
    ip address add 192.0.2.1/32 dev lo
    curl -sS -o /dev/null --interface 192.0.2.129 "$url/" || fail "an address that is allowed gets no page"
    for path in / /events /history; do
        ! curl -sS -o /dev/null --max-time 5 --interface 192.0.2.1 "$url$path" 2>/dev/null ||
            fail "an address that is not allowed gets $path"
    done
    expect_line web.log 'refused a connection from 192\.0\.2\.1: not in \[network\] allow'
else
    echo "without the addresses outside [network] allow: no network namespace can be made here"
fi

# --- the browser
if command -v chromedriver >/dev/null && command -v chromium >/dev/null; then
    /usr/bin/python3 "$here/lib_browser.py" "$url/" "$work/screens" || fail "the page in Chromium"
    noise_file target.img 32
    target=$(attach_loop target.img)
    "$seedbed" deploy win11 --server "127.0.0.1:$tracker" "$target" --yes --no-local-discovery --listen "127.0.0.1:$(free_port)" \
        --state "$work/target-state" >deploy.log 2>&1 &
    defer deploy end_process "$!"
    /usr/bin/python3 "$here/lib_browser.py" "$url/" "$work/screens" 127.0.0.1 || fail "the throughput in Chromium"
    [[ -z ${SEEDBED_SCREENS:-} ]] || cp -r screens/. "$SEEDBED_SCREENS"
else
    echo "without the browser: chromium or chromium-driver is not installed"
fi

# --- a reload closes the listener
sed -i '/^\[web\]$/,+1d' etc/seedbed.toml
kill -HUP "${daemon_pid[web]}"
expect_line web.log " the web page is no longer served at 127\\.0\\.0\\.1:$web$"
! curl -sS --max-time 5 "$url/" >/dev/null 2>&1 || fail "the page is served after the reload"
stop_daemon web
pass
