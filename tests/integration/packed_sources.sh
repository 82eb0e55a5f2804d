#!/bin/bash
# Other programs as the source of a packed image: nginx and Python's server as web seeds (BEP 19), aria2 and Transmission. What a web
# server without the file, without ranges, or with a damaged file does. SEEDBED is the program.
# Labels: once
set -euo pipefail
# shellcheck source=lib_daemon.sh
. "$(dirname "$0")/lib_daemon.sh"
# shellcheck source=lib_packed.sh
. "$here/lib_packed.sh"
# shellcheck source=lib_clients.sh
. "$here/lib_clients.sh"

need_root
need partclone.ext4 mkfs.ext4 e2fsck jq ss nginx aria2c transmission-cli
export TMPDIR=$work/tmp
mkdir tmp served

# Larger than libtorrent's largest request of a web server, 16 MiB: a server without ranges cannot give it at once.
packed_files files 20
truncate -s 64M source.img
mkfs.ext4 -q -F -d files source.img
port=$(free_port)
"$seedbed" create source.img --pack --piece-size "1 MiB" --web-seed "http://127.0.0.1:$port/good.sbi" -o served/good.sbi >created \
    2>progress || fail "create: $(<progress)"
packed=$(stat -c %s served/good.sbi)
((packed > 18 << 20)) || fail "the packed file has only $packed bytes"
url=$(jq -nr --arg url "http://127.0.0.1:$port/good.sbi" '"8:url-list\($url | length):\($url)"')
LC_ALL=C sed "s|$url||" served/good.torrent >plain.torrent
(($(stat -c %s plain.torrent) + ${#url} == $(stat -c %s served/good.torrent))) || fail "the .torrent does not have the URL"
printf '%s\n' '[network]' 'local_discovery = false' >config.toml
noise_file noise 64

declare -A deployments=()
# start NAME TORRENT [OPTION...]: starts a deployment to NAME.img.
start() {
    local name=$1 torrent=$2
    shift 2
    cp noise "$name.img"
    "$seedbed" deploy "$torrent" "$name.img" --yes --config config.toml --state "$work/state-$name" \
        --listen "127.0.0.1:$(free_port)" --receipt "$name.json" "$@" </dev/null >"$name.log" 2>&1 &
    deployments[$name]=$!
    defer "deploy-$name" end_process "$!"
}
# finish NAME: waits for it, and expects every byte, all of them downloaded.
finish() {
    local name=$1 status=0
    wait "${deployments[$name]}" || status=$?
    end "deploy-$name"
    ((status == 0)) || fail "$name: exit status $status"
    jq -e --argjson packed "$packed" '.verified and .bytes.fetched == $packed' "$name.json" >found || fail "$name: $(<"$name.json")"
    e2fsck -fn "$name.img" >fsck.out 2>&1 || fail "$name: $(<fsck.out)"
    "$seedbed" verify plain.torrent "$name.img" >verified || fail "$name: $(<verified)"
}
# deploy NAME TORRENT [OPTION...]: starts and finishes it.
deploy() {
    start "$@"
    finish "$1"
}

# start_program NAME COMMAND...: runs it in the background, with its output in NAME.log.
start_program() {
    local name=$1
    shift
    "$@" </dev/null >"$name.log" 2>&1 &
    defer "$name" end_process "$!"
}
# end NAME: kills a program; a deployment is deploy-NAME.
end() {
    undo "$1" 2>/dev/null || true # bash's message, and the status of what was killed
}
# await_port PORT: waits until a program listens there.
await_port() {
    timeout 60 bash -c "until [[ -n \$(ss -Hltn 'sport = :$1') ]]; do sleep 0.05; done" || fail "nothing listens on port $1"
}
# start_nginx FOLDER
start_nginx() {
    printf '%s\n' 'daemon off; master_process off; pid nginx.pid; error_log stderr;' 'events {}' 'http {' "access_log $work/requests;" \
        "server { listen 127.0.0.1:$port; root $work/$1; }" '}' >nginx.conf
    start_program nginx nginx -p "$work" -c nginx.conf
    await_port "$port"
}

# Transmission serves a new peer only after a while: meanwhile, the other cases.
transmission_port=$(free_port)
transmission_folder transmission
start_program transmission transmission-cli -g transmission -w served -p "$transmission_port" -M -U -D plain.torrent
timeout 60 bash -c 'until grep -q Seeding transmission.log; do sleep 0.1; done' || fail "Transmission does not seed"
start transmission-seeds plain.torrent --peer "127.0.0.1:$transmission_port"
# --- nginx; then with a damaged piece, of which nothing is written; then without the file

start_nginx served
deploy nginx-right served/good.torrent
# It logs a request after the response, which the target may already have used.
for ((i = 0; i < 600; i++)); do
    (($(grep -c '"GET /good.sbi HTTP/1.1" 206 ' requests) <= 1)) || break
    sleep 0.1
done
((i < 600)) || fail "nginx served: $(<requests)"
end nginx

piece=3
mkdir damaged empty
cp served/good.sbi damaged/good.sbi
flip damaged/good.sbi $(((piece << 20) + 5000))
start_nginx damaged
start damaged served/good.torrent
expect_line damaged.log "piece $piece failed its hash check; downloading it again"
timeout 60 bash -c 'while cmp -s noise damaged.img; do sleep 0.1; done' || fail "nothing was written"
end nginx
# Not with SIGKILL, which may cut a write in two.
kill -TERM "${deployments[damaged]}"
status=0
wait "${deployments[damaged]}" || status=$?
((status == 8)) || fail "the deployment that is stopped: exit status $status"
end deploy-damaged
"$seedbed" verify plain.torrent damaged.img --json >compared || true # it differs
mapfile -t wrong < <(jq -r '.bad_extents[] | "\(.offset) \(.length)"' compared)
((${#wrong[@]} > 0)) || fail "a damaged piece was written"
# The first write erases both ends of the image, which are written last. Nothing of the image is in the noise.
image_end=$({ "$seedbed" verify plain.torrent noise --json || true; } | jq '[.bad_extents[] | .offset + .length] | max')
cp noise unwritten
for end in 0:$((1 << 20)) $(((image_end - (768 << 10)) & ~4095)):$image_end; do
    dd if=/dev/zero of=unwritten bs=4096 seek=$((${end%:*} >> 12)) count=$(((${end#*:} - ${end%:*}) >> 12)) conv=notrunc status=none
done
for range in "${wrong[@]}"; do
    read -r offset length <<<"$range"
    cmp -s -i "$offset" -n "$length" damaged.img unwritten || fail "bytes at $offset were written, but differ from the image"
done

start_nginx empty
start absent served/good.torrent
expect_line absent.log "web seed http://127.0.0.1:$port/good.sbi: .*404"
end deploy-absent
end nginx

# --- Python's server, which has no ranges: said so, and other sources are used

start_program python /usr/bin/python3 -m http.server --directory served --bind 127.0.0.1 "$port"
await_port "$port"
write_config seed.toml "$(free_port)"
add_image seed.toml good plain.torrent "$work/served/good.sbi" seed
start python-alone served/good.torrent
expect_line python-alone.log "web seed 127.0.0.1:$port: it answers with the whole file instead of the requested part; "
end deploy-python-alone
start_daemon seed seed.toml
expect_line seed.log ' ready$'
deploy python-and-seed served/good.torrent --peer "$(sed -n 's/^listen = "\(.*\)"/\1/p' seed.toml)"
stop_daemon seed
end python

# --- aria2

aria_port=$(free_port)
start_program aria "${aria2[@]}" --listen-port="$aria_port" --seed-ratio=0 --check-integrity=true --dir=served plain.torrent
deploy aria-seeds plain.torrent --peer "127.0.0.1:$aria_port"
end aria

# --- Transmission's target

finish transmission-seeds
pass
