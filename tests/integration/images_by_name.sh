#!/bin/bash
# Images by name: the server adds, lists and removes them; its HTTP port serves the list and each .torrent, and nothing else; a target
# is deployed by URL, by name and from standard input. SEEDBED is the program.
# Labels: once
set -euo pipefail
# shellcheck source=lib_daemon.sh
. "$(dirname "$0")/lib_daemon.sh"

need_loop
need curl jq cmp gzip

# --- the server: images are made and added by name

port=$(free_port)
http=127.0.0.1:$(free_port)
mkdir -p server
printf '%s\n' '[control]' 'socket = "control"' '[tracker]' "listen = \"$http\"" '[network]' "listen = \"127.0.0.1:$port\"" \
    'local_discovery = false' >server/seedbed.toml
head -c 5000000 /dev/urandom >plain.img
truncate -s 6000000 plain.img
"$seedbed" create plain.img --no-sparse --piece-size 16KiB -o plain.torrent >created
grep -qx '\[\[image\]\]' created && grep -qx "device = \"$work/plain.img\"" created || fail "create prints no table: $(<created)"
truncate -s 32M source.img
mkfs.ext4 -q -F source.img
"$seedbed" create source.img --pack --raw -o packed.sbi --serve --config server/seedbed.toml >created ||
    fail "create --serve: $(<created)"
grep -q '^packed: seed from ' created && grep -q 'no daemon is running' created || fail "create --serve prints: $(<created)"

start_daemon seed server/seedbed.toml
expect_line seed.log ' ready$'
# images ACTION ARGUMENT...: the command on the server.
images() {
    "$seedbed" image "$@" --config server/seedbed.toml
}
images add plain plain.torrent plain.img >added || fail "the image is not added: $(<added)"
expect_line seed.log 'reload: 0 images closed, 1 opened'
images list --json | jq -e '[.images[] | [.name, .state, .kind, .packed_bytes != null]] ==
    [["packed", "seeding", "packed", true], ["plain", "seeding", "raw", false]]' >found || fail "the list is $(images list --json)"
images list | grep -Eq '^plain +seeding +raw +5.7 MiB' || fail "the table is $(images list)"

# An image that the daemon cannot open is removed again, and so is one that it refuses.
refuses() {
    local status=0
    images "$@" >out 2>err || status=$?
    ((status == 3)) || fail "image $*: status $status: $(<out) $(<err)"
}
refuses add again plain.torrent plain.img
grep -q 'is already at' err || fail "a second image of the same torrent: $(<err)"
cp plain.img other.img
flip other.img 0
"$seedbed" create other.img -o other.torrent >created
printf '%s\n' '[metrics]' 'listen = ["127.0.0.1:1"]' '[nonsense]' >>server/seedbed.toml
status=0
images add other other.torrent other.img >out 2>err || status=$?
((status == 2)) && grep -q 'seedbed.toml:.*nonsense' err || fail "a broken configuration: status $status: $(<err)"
sed -i '/^\[metrics\]/,$d' server/seedbed.toml
[[ ! -e server/images.d/other.toml && ! -e server/images.d/again.toml ]] || fail "a refused image was kept"
# The user of the daemon may be allowed less than this one: here, its memory for torrents is smaller than what it reads now.
kill -STOP "${daemon_pid[seed]}"
images add other other.torrent other.img >out 2>err &
adding=$!
until [[ -e server/images.d/other.toml ]] || ! kill -0 "$adding" 2>/dev/null; do sleep 0.05; done
printf 'no torrent' >other.torrent
kill -CONT "${daemon_pid[seed]}"
status=0
wait "$adding" || status=$?
((status == 3)) && grep -q 'other.torrent' err && grep -q 'was removed again' err || fail "a failing image: status $status: $(<err)"
[[ ! -e server/images.d/other.toml ]] || fail "an image that fails was kept"
images list --json | jq -e '.images | length == 2' >found || fail "the list is $(images list --json)"

# --- the HTTP port

get() {
    curl -sS --max-time 60 -o body -D header "$@" || fail "curl $*"
    sed -i 's/\r$//' header
}
get "http://$http/images"
jq -e --arg url "http://$http/images/plain.torrent" '.format == 1 and (.images | map(.name)) == ["packed", "plain"] and
    (.images[1] | .kind == "raw" and .bytes == 6000000 and .packed_bytes == null and .torrent == $url) and
    (.images[0] | .kind == "packed" and .packed_bytes > 0 and .bytes > .packed_bytes)' body >found || fail "/images is $(<body)"
[[ $(jq -r '.images[1].info_hash' body) == $(images list --json | jq -r '.images[1].info_hash') ]] || fail "another info-hash"

get "http://$http/images/plain.torrent"
grep -qx 'Content-Type: application/x-bittorrent' header || fail "the header of a .torrent: $(<header)"
cp body whole
tag=$(sed -n 's/^ETag: //p' header)
url=http://$http/announce
{ printf 'd8:announce%d:%s' ${#url} "$url"; tail -c +2 plain.torrent; } | cmp - whole || fail "the .torrent differs"
get "http://$http/images/%70lain"
cmp body whole
get -I "http://$http/images/plain"
grep -qx "Content-Length: $(stat -c %s whole)" header || fail "HEAD: $(<header)"
get -H "If-None-Match: $tag" "http://$http/images/plain"
grep -q '^HTTP/1.1 304' header || fail "If-None-Match: $(<header)"
get -r 10-2999 "http://$http/images/plain"
grep -q '^HTTP/1.1 206' header && cmp body <(tail -c +11 whole | head -c 2990) || fail "a range: $(<header)"
get -r 90000000- "http://$http/images/plain"
grep -q '^HTTP/1.1 416' header || fail "a range beyond the end: $(<header)"
seq 100000 >text # its holes make long lists of files
"$seedbed" create source.img --piece-size 16KiB -o sparse.torrent >created
images add sparse sparse.torrent source.img >added || fail "the sparse image is not added: $(<added)"
get --compressed "http://$http/images/sparse"
grep -qx 'Content-Encoding: gzip' header || fail "the .torrent is not compressed: $(<header)"
cp body whole
get "http://$http/images/sparse"
cmp body whole || fail "gzip yields another .torrent"
for target in etc/passwd ../seedbed.toml %2e%2e%2fseedbed.toml plain/ none plain%00; do
    get --path-as-is "http://$http/images/$target"
    grep -q '^HTTP/1.1 404' header && [[ $(wc -l <body) == 1 ]] || fail "/images/$target: $(<header)"
done

# --- deployments

target=$(attach_loop "$(truncate -s 48M target.img && echo target.img)")
# deploy STATUS ARGUMENT...: a deployment that ends with STATUS.
deploy() {
    local expected=$1 status=0
    shift
    "$seedbed" deploy "$@" --yes --no-local-discovery --listen "127.0.0.1:$(free_port)" --state "$work/target-state" \
        --timeout 240s >deploy.log 2>&1 || status=$?
    ((status == expected)) || fail "deploy $*: status $status: $(<deploy.log)"
}
wipe() {
    rm -rf target-state
    blkdiscard -z "$target" 2>/dev/null || dd if=/dev/zero of="$target" bs=1M count=48 conv=fsync status=none
}
deploy 0 "http://$http/images/plain.torrent" "$target" --receipt receipt.json
cmp -n 6000000 plain.img "$target" || fail "the device differs after a deployment by URL"
jq -e --arg url "http://$http/images/plain.torrent" '.outcome == "done" and .image.torrent == $url' receipt.json >found ||
    fail "the receipt is $(<receipt.json)"
expect_line seed.log ' plain: .*127.0.0.1.*verified'
wipe
deploy 0 "http://$http/images/packed" "$target"
cmp source.img <(head -c 32M "$target") || fail "the device differs after a deployment by URL without .torrent"
wipe
deploy 0 packed --server "$http" "$target"
cmp source.img <(head -c 32M "$target") || fail "the device differs after a deployment by name"
wipe
curl -sS "http://$http/images/plain" | deploy 0 - "$target"
cmp -n 6000000 plain.img "$target" || fail "the device differs after a deployment from standard input"

# one_line PATTERN: the deployment has printed one line, which matches.
one_line() {
    [[ $(wc -l <deploy.log) == 1 ]] && grep -Eq -e "$1" deploy.log || fail "expected '$1': $(<deploy.log)"
}
rule="serial=$(head -c 16 /dev/urandom | sha256sum | cut -c 1-32)" # a rule, which no disk matches
deploy 3 packed --server "$http" "$rule"
one_line "no disk matches \"$rule\": "
deploy 4 plane --server "$http" "$target"
one_line "$http serves no image 'plane' \(did you mean 'plain'\?\); it serves packed, plain, sparse\$"
deploy 4 "http://$http/image/plain" "$target"
one_line 'HTTP status 404: BitTorrent tracker'
deploy 4 "http://$http/images" "$target"
one_line 'not a usable torrent'
deploy 4 plain --server "127.0.0.1:$(free_port)" "$target"
one_line 'Connection refused; is the daemon running there'
deploy 4 - "$target" </dev/null
one_line 'standard input: the file is empty'
head -c 100000 /dev/urandom | deploy 4 - "$target"
one_line 'standard input: '
deploy 2 "https://$http/images/plain" "$target"
one_line 'is not supported'
redirect_port=$(free_port)
{ printf 'HTTP/1.1 302 Found\r\nLocation: http://elsewhere/x\r\nContent-Length: 0\r\n\r\n' |
    timeout 240 /usr/bin/python3 -c '
import socket, sys
with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as server:
    client, _ = server.accept()
    client.recv(4096)
    client.sendall(sys.stdin.buffer.read())' "$redirect_port"; } &
until [[ -n $(ss -Hltn "sport = :$redirect_port") ]]; do sleep 0.05; done
deploy 4 "http://127.0.0.1:$redirect_port/x" "$target"
one_line "redirects to 'http://elsewhere/x', which is not followed"

# --- removed

images remove plain >out || fail "the image is not removed: $(<out)"
expect_line seed.log ' plain: closed$'
get "http://$http/images/plain"
grep -q '^HTTP/1.1 404' header || fail "a removed image is served: $(<header)"
refuses remove plain
stop_daemon seed
pass
