#!/bin/bash
# With a secret, only machines that know it get pieces and are counted: another client and a target without the secret get
# nothing, and a forged report does not count. SEEDBED is the program.
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
need partclone.ext4 mkfs.ext4 aria2c curl

for host in server target stranger client; do
    add_host "$host"
done
truncate -s 32M source
source=$(attach_loop source)
make_file_system ext4 "$source" 8
capture ext4 "$source" sda1
tracker=http://${address[server]}:6969/announce
"$seedbed" create --partclone sda1.info --name sda1 --tracker "$tracker" -o sda1.torrent --force >created

echo 'a secret of at least sixteen bytes' >secret
host_config seed.toml server 'local_discovery = false' 'secret_file = "secret"'
add_image seed.toml sda1 sda1.torrent "$source" seed 'expect = 1'
chmod 644 secret
! "$seedbed" daemon --config seed.toml >readable.log 2>&1 || fail "a secret that all users can read is accepted"
expect_line readable.log 'all users can read this secret'
chmod 600 secret
start_daemon seed seed.toml $(on_host server)
expect_line seed.log ' ready$'

# --- machines that do not know it

noise_file stranger.img 32
host_config stranger.toml stranger 'local_discovery = false'
add_image stranger.toml sda1 sda1.torrent "$(attach_loop stranger.img)" deploy
start_daemon stranger stranger.toml $(on_host stranger)
start_process client $(on_host client) "${aria2[@]}" --seed-time=0 --dir=got sda1.torrent
expect_line seed.log " sda1: refused peer ${address[stranger]}:[0-9]+: it does not know the secret"
expect_line seed.log " sda1: refused peer ${address[client]}:[0-9]+: it does not know the secret"
on stranger curl -sS --max-time 10 "${tracker%announce}report?state=verified&port=6881&info_hash=x" >answer
grep -q 'authentication is required' answer || fail "a forged report is answered with: $(<answer)"
expect_line seed.log "refused a report from ${address[stranger]}: its sender does not know the secret"

# --- a machine that knows it

noise_file target.img 32
target=$(attach_loop target.img)
on target "$seedbed" deploy sda1.torrent "$target" --yes --no-local-discovery --listen "${address[target]}:6881" \
    --secret-file secret --state "$work/target.state" --seed-for 1s >target.log 2>&1 ||
    fail "a target that knows the secret fails: $(<target.log)"
compare_extents sda1.info "$source" "$target"
expect_line seed.log " sda1: 1/1 complete \\(${address[target]} after [0-9.ms]+, verified\\)"
never_line stranger.log ' sda1: (downloaded|done)'
[[ $(grep -c 'complete (' seed.log) -eq 1 ]] || fail "others are counted: $(grep 'complete (' seed.log)"
stop_daemon stranger
stop_process client
stop_daemon seed
pass
