#!/bin/bash
# Packed images over the network: a daemon seeds a packed file, targets unpack it and seed it on, also from the disk alone; resuming,
# differences only, damaged sources, refusals. SEEDBED is the program.
# Labels: threads
set -euo pipefail
# shellcheck source=lib_daemon.sh
. "$(dirname "$0")/lib_daemon.sh"
# shellcheck source=lib_packed.sh
. "$here/lib_packed.sh"

need_loop
need partclone.ext4 mkfs.ext4 e2fsck blkid zstd jq cmp ss
reader=$(dirname "$here")/support/unpack_image.py
export TMPDIR=$work/tmp
mkdir tmp

noise_file noise 81
packed_files files 10
truncate -s 80M source.img
mkfs.ext4 -q -F -L golden -d files source.img
tracker=$(free_port)
seed_port=$(free_port)
"$seedbed" create source.img --pack --piece-size "1 MiB" --tracker "http://127.0.0.1:$tracker/announce" -o good.sbi >created 2>progress ||
    fail "create: $(<progress)"
packed=$(stat -c %s good.sbi)
/usr/bin/python3 "$reader" good.torrent good.sbi unpacked >extents || fail "another reader refuses the image"
unpacked=$(awk '{sum += $2} END {print sum}' extents)

# seed_config [LINE...]: the server's configuration; LINEs are added to [network].
seed_config() {
    printf '%s\n' '[control]' 'socket = "seed.sock"' '[tracker]' "listen = \"127.0.0.1:$tracker\"" 'interval = "1s"' \
        'min_interval = "1s"' '[network]' "listen = \"127.0.0.1:$seed_port\"" 'local_discovery = false' "$@" >seed.toml
    add_image seed.toml good good.torrent "$work/good.sbi" seed
}
printf '%s\n' '[memory]' 'pool = "16 MiB"' '[resume]' 'interval = "1s"' >usual.toml
{ cat usual.toml; printf '%s\n' '[network]' 'local_discovery = false'; } >config.toml
sed 's/^pool.*/&\npacked = 0/' config.toml >forgetful.toml
# deploy NAME TARGET STATUS [OPTION...]: expects this exit status; the output is in NAME.log, the receipt in NAME.json.
deploy() {
    local name=$1 target=$2 expected=$3 status=0
    shift 3
    "$seedbed" deploy "${torrent:-good.torrent}" "$target" --yes --config "${config:-config.toml}" --state "$work/${state:-state}" \
        --listen "127.0.0.1:$(free_port)" --receipt "$name.json" "$@" </dev/null >"$name.log" 2>&1 || status=$?
    ((status == expected)) || fail "$name: exit status $status instead of $expected"
    jq -e ".exit_status == $expected" "$name.json" >found || fail "$name: $(<"$name.json")"
}
# receipt NAME FILTER: fails unless the filter is true.
receipt() {
    jq -e "$2" "$1.json" >found || fail "$1.json: $2 is not true: $(<"$1.json")"
}
# new_target NAME: a loop device of NAME.img, full of noise.
new_target() {
    cp noise "$1.img"
    attach_loop "$1.img"
}
# noise_again TARGET: fills it with noise, and forgets what was deployed to it.
noise_again() {
    dd if=noise of="$1" bs=1M conv=fsync status=none
    rm -rf state
}
# check NAME TARGET: every extent is equal, the file system clean, and `seedbed verify` agrees.
check() {
    local offset length
    sync "$2"
    while read -r offset length; do
        cmp -s -i "$offset" -n "$length" "$1.img" source.img || fail "$1 differs at $offset, length $length"
    done <extents
    e2fsck -fn "$2" >fsck.out 2>&1 || fail "$1: $(<fsck.out)"
    "$seedbed" verify good.torrent "$2" >verified || fail "verify: $(<verified)"
}

# --- one damaged byte on the server: nothing of that piece is written. The target returns several times: meanwhile, the other cases.

piece=3
cp good.sbi bad.sbi
flip bad.sbi $(((piece << 20) + 5000))
url=http://127.0.0.1:$tracker/announce
LC_ALL=C sed "s|8:announce${#url}:$url||" good.torrent >untracked.torrent
write_config bad.toml "$(free_port)"
add_image bad.toml good untracked.torrent "$work/bad.sbi" seed 'verify = "none"'
start_daemon bad bad.toml
expect_line bad.log ' ready$'
damaged=$(new_target damaged)
state=damaged-state torrent=untracked.torrent deploy damaged "$damaged" 10 --peer "$(sed -n 's/^listen = "\(.*\)"/\1/p' bad.toml)" &
damaging=$!

# --- serving

seed_config
"$seedbed" daemon --config seed.toml --check-config >checked || fail "--check-config: $(<checked)"
grep -qE '^good: seed from .*good.sbi: [0-9.]+ MiB packed into [0-9.]+ MiB, info-hash ' checked || fail "--check-config: $(<checked)"
head -c -1 good.sbi >short.sbi
for wrong in "short.sbi: has $((packed - 1)) bytes, its .torrent states $packed" 'nowhere.sbi: No such file'; do
    sed "s|good.sbi|${wrong%%:*}|" seed.toml >wrong.toml
    "$seedbed" daemon --config wrong.toml --check-config >checked && fail "$wrong is accepted"
    grep -q "would fail: .*$wrong" checked || fail "--check-config: $(<checked)"
done
start_daemon seed seed.toml
expect_line seed.log ' ready$'

# --- two targets at once

one=$(new_target one)
two=$(new_target two)
deploy two "$two" 0 --seed-for 1s &
second=$!
deploy one "$one" 0 --seed-for 1s
wait "$second" || fail "the second target fails"
for name in one two; do
    expect_line "$name.log" '^  packed     [0-9.]+ MiB in [0-9]+ pieces of 1 MiB, '
    expect_line "$name.log" 'done: [0-9.]+ MiB \([0-9.]+ MiB packed\), of which [0-9.]+ MiB downloaded, written, durable and verified'
    receipt "$name" '.outcome == "done" and .verified and .image.kind == "packed"'
    receipt "$name" ".bytes.image == $packed and .bytes.unpacked == $unpacked and .bytes.written == $unpacked"
done
check one "$one"
check two "$two"
mount_at golden -o ro,loop source.img
mount_at restored -o ro "$one"
diff -r --no-dereference golden restored >diff.out 2>&1 || fail "the trees differ: $(head -n 3 diff.out)"
unmount restored
unmount golden

# --- only what differs

flip "$one" $(($(head -n 1 extents | cut -d ' ' -f 1) + 2000))
rm -rf state
deploy differs "$one" 0
receipt differs ".bytes.fetched <= $((1 << 20)) and .bytes.fetched > 0"
check one "$one"
deploy again "$one" 0
receipt again '.bytes.fetched == 0 and .verified'

# --- a target whose pieces are gone from memory seeds them from its disk, without the server

deploy_port=$(free_port)
"$seedbed" deploy good.torrent "$two" --yes --config forgetful.toml --state "$work/state" --check full --seed-for 600s \
    --listen "127.0.0.1:$deploy_port" </dev/null >seeder.log 2>&1 &
seeder=$!
defer seeder kill "$seeder"
expect_line seeder.log ' seeding$'
stop_daemon seed
third=$(new_target third)
before=$(stat -c %b third.img)
config=forgetful.toml deploy third "$third" 0 --peer "127.0.0.1:$deploy_port" --discard
check third "$third"
expect_line third.log 'discarding the [0-9.]+ MiB that the image does not use'
(($(stat -c %b third.img) < before - 20 * 2048)) || fail "nothing is discarded: $before, $(stat -c %b third.img) blocks"
receipt third '.verified and (.peers | length) == 1'
undo seeder
wait "$seeder" || true

# --- interrupted

seed_config 'upload_limit = "1 MiB"' # the kill comes long before the end
start_daemon seed seed.toml
expect_line seed.log ' ready$'
noise_again "$two"
"$seedbed" deploy good.torrent "$two" --yes --config config.toml --state "$work/state" --listen "127.0.0.1:$(free_port)" \
    </dev/null >killed.log 2>&1 &
killed=$!
until compgen -G 'state/*.resume' >found || ! kill -0 "$killed" 2>/dev/null; do sleep 0.05; done
kill -KILL "$killed" || fail "the deployment was not interrupted"
wait "$killed" 2>/dev/null || true
stop_daemon seed
seed_config
start_daemon seed seed.toml
expect_line seed.log ' ready$'
deploy resumed "$two" 0
expect_line resumed.log 'the device may have changed since the checkpoint; reading back the'
receipt resumed ".bytes.fetched < $packed and .bytes.reused > 0 and .verified"
check two "$two"

# --- refusals

truncate -s 60M small.img
deploy small small.img 3
receipt small '.guard == "too_small"'
[[ $(tr -d '\0' <small.img | wc -c) == 0 ]] || fail "a refused deployment has written"

# --- the target of the damaged source

wait "$damaging" || fail "the deployment from a damaged source"
expect_line damaged.log "piece $piece failed its hash check; downloading it again"
expect_line damaged.log '127.0.0.1:[0-9]* sent [0-9]* pieces that failed the hash check, and no source sent a good one'
jq -e '.damage | length == 1' damaged.json >found || fail "the receipt does not name the peer"

pass
