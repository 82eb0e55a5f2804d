#!/bin/bash
# The daemon's own tracker, without multicast: aria2, Transmission, libtorrent with EZIO's settings (over IPv6) and Seedbed find the
# server only through the tracker in the torrent, and each gets the image. Then the responses to curl, and the refusals. SEEDBED is
# the program.
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
need partclone.ext4 mkfs.ext4 aria2c transmission-daemon curl
/usr/bin/python3 -c 'import libtorrent' 2>/dev/null || skip "python3-libtorrent is not installed"

for host in server aria transmission ezio target; do
    add_host "$host"
    ip -n "$net-$host" address add "fd77::${address[$host]##*.}/64" dev eth0 nodad
done

truncate -s 48M source
source=$(attach_loop source)
make_file_system ext4 "$source" 6
capture_files "$source"
for name in v4:"${address[server]}" v6:'[fd77::1]'; do
    "$seedbed" create --partclone image.info --name sda1 --tracker "http://${name#*:}:6969/announce" -o "${name%%:*}.torrent" \
        --json >created.json
done
hash=$(sed -n 's/.*"info_hash": *"\([0-9a-f]*\)".*/\1/p' created.json)
[[ ${#hash} -eq 40 ]] || fail "--json contains no info-hash: $(<created.json)"

host_config seed.toml server 'local_discovery = false' '[log]' 'level = "debug"'
sed -i 's/^listen = .*/listen = ["0.0.0.0:6881", "[::]:6881"]/' seed.toml
add_image seed.toml sda1 v4.torrent "$source" seed
start_daemon seed seed.toml $(on_host server)
expect_line seed.log ' ready$'

mkdir got-aria got-transmission got-ezio
start_process aria $(on_host aria) "${aria2[@]}" --seed-time=0 --dir=got-aria v4.torrent
mkdir conf watch
printf '#!/bin/sh\necho complete >%s/complete\n' "$work" >finished
chmod 755 finished
cat >conf/settings.json <<END
{ "dht-enabled": false, "lpd-enabled": false, "pex-enabled": false, "utp-enabled": false, "encryption": 0, "rpc-enabled": false,
  "rename-partial-files": false, "preallocation": 0, "port-forwarding-enabled": false, "peer-port": 6881,
  "download-dir": "$work/got-transmission", "watch-dir": "$work/watch", "watch-dir-enabled": true,
  "script-torrent-done-enabled": true, "script-torrent-done-filename": "$work/finished" }
END
cp v4.torrent watch/
start_process transmission $(on_host transmission) transmission-daemon --foreground --config-dir conf
cat >ezio.py <<'END'
import sys, time
import libtorrent as lt
session = lt.session({"listen_interfaces": "0.0.0.0:6881,[::]:6881", "enable_dht": False, "enable_lsd": False,
                      "enable_upnp": False, "enable_natpmp": False})
handle = session.add_torrent({"ti": lt.torrent_info("v6.torrent"), "save_path": "got-ezio"})
end = time.time() + 300
while not handle.status().is_seeding and time.time() < end:
    session.wait_for_alert(200)
    session.pop_alerts()
sys.exit(0 if handle.status().is_seeding else 1)
END
start_process ezio $(on_host ezio) /usr/bin/python3 ezio.py
noise_file target 48
target=$(attach_loop target)
host_config deploy.toml target 'local_discovery = false'
add_image deploy.toml sda1 v4.torrent "$target" deploy
start_daemon deploy deploy.toml $(on_host target)

# --- each client gets the whole image, only from the server and from each other

expect_line deploy.log ' sda1: done: '
timeout 180 tail --pid="${process_pid[aria]}" -s 0.1 -f /dev/null || fail "aria2 has not finished within 180 s"
wait_for_line complete complete 180 >/dev/null || fail "Transmission has not finished within 180 s"
timeout 180 tail --pid="${process_pid[ezio]}" -s 0.1 -f /dev/null || fail "libtorrent has not finished within 180 s"
for client in aria transmission ezio; do
    diff -rq files/sda1 "got-$client/sda1" || fail "$client: the files differ from partclone's"
done
compare_extents image.info "$source" "$target"
# Each client has announced itself, no matter where it got its pieces.
for client in "${address[aria]}" "${address[transmission]}" "${address[target]}" 'fd77::4'; do
    expect_line seed.log " sda1: [0-9]+ complete \\($client after "
done
# Peers send the server its own addresses (PEX): it tries each at increasing intervals, not every second.
own=$(grep -cE "peer (${address[server]}|\[fd77::1\]|127\.0\.0\.1):[0-9]+ connected" seed.log || true)
((own <= 12)) || fail "the server has connected to itself $own times"
never_line seed.log 'warning sda1: tracker|failed:'
expect_line seed.log " complete \(${address[target]} after [0-9.ms]+, verified\)"
expect_line seed.log " complete \(${address[aria]} after [0-9.ms]+, has all pieces\)"

expect_line seed.log ' 4 complete \('
never_line seed.log ' remaining: | 5 complete'

# --- the tracker's responses

ask() {
    on target curl -s --max-time 10 "$@"
}
url=http://${address[server]}:6969
escaped=$(sed 's/../%&/g' <<<"$hash")
scraped=$(ask "$url/scrape?info_hash=$escaped" | tr -d '\0')
[[ $scraped == *8:completei*10:downloadedi[3-9]e10:incompletei* ]] || fail "scrape: $scraped"
hex() {
    od -An -v -tx1 | tr -d ' \n'
}
answer=$(ask "$url/announce?info_hash=$escaped&peer_id=-XX0000-000000000000&port=7000&left=1&numwant=0" | hex)
own=$(printf '0a4d00%02x1ae1' "${address[server]##*.}")
[[ $answer == *"$(printf '5:peers6:' | hex)$own"* ]] || fail "the daemon is not named: $answer"
refused=$(ask "$url/announce?info_hash=aaaaaaaaaaaaaaaaaaaa&peer_id=-XX0000-000000000000&port=7000&left=1")
[[ $refused == 'd14:failure reason'*'does not serve this torrent'* ]] || fail "an unknown info-hash: $refused"
[[ $(ask -o /dev/null -w '%{http_code}' "$url/announce?x=$(printf 'x%.0s' {1..20000})") == 431 ]] || fail "20 kB were not refused"
[[ $(ask -o /dev/null -w '%{http_code}' -X POST "$url/announce") == 405 ]] || fail "POST was not refused"
[[ $(ask -o /dev/null -w '%{http_code}' "$url/") == 404 ]] || fail "/ was not refused"

# --- a reload keeps the peers; the daemon requires configured listeners, but not those of the default

peers_before=$(ask "$url/scrape?info_hash=$escaped" | tr -d '\0')
printf '%s\n' '[tracker]' 'interval = "20 s"' 'listen = ["0.0.0.0:6969", "0.0.0.0:6970"]' >>seed.toml
kill -HUP "${daemon_pid[seed]}"
expect_line seed.log ' reload: 0 images closed, 0 opened, 0 changed in use$'
[[ $(ask "${url/6969/6970}/scrape?info_hash=$escaped" | tr -d '\0') == "$peers_before" ]] || fail "the reload has lost peers"
[[ $(ask "$url/announce?info_hash=$escaped&peer_id=-XX0000-000000000000&port=7000&event=stopped" | tr -d '\0') == *8:intervali20e* ]] ||
    fail "the reload has not changed the interval"

host_config second.toml server 'local_discovery = false'
sed -i 's/6881/6882/' second.toml
start_daemon second second.toml $(on_host server)
expect_line second.log ' ready$'
expect_line second.log ' warning tracker: listen on 0.0.0.0:6969: Address already in use, ignoring'
stop_daemon second
printf '%s\n' '[tracker]' 'listen = "0.0.0.0:6969"' >>second.toml
start_daemon second second.toml $(on_host server)
await_exit second 30
((exit_status == 1)) || fail "a configured address that is in use: exit status $exit_status"
grep -q ' error tracker: listen on 0.0.0.0:6969: Address already in use$' second.log || fail "$(<second.log)"

stop_process transmission
stop_daemon deploy
stop_daemon seed
pass
