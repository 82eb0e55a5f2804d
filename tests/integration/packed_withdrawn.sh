#!/bin/bash
# A target that can no longer give all pieces of a packed disk: its memory keeps only a few, and one of its file systems has grown since.
# It withdraws the others: a target that has no other source waits, and gets them from the server as soon as there is one. The same
# with aria2 and Transmission, which do not understand lt_donthave. SEEDBED is the program.
# shellcheck disable=SC2046 # $(on_host NAME) is several words
# Labels: once
set -euo pipefail
# shellcheck source=lib_daemon.sh
. "$(dirname "$0")/lib_daemon.sh"
# shellcheck source=lib_network.sh
. "$here/lib_network.sh"
# shellcheck source=lib_clients.sh
. "$here/lib_clients.sh"
# shellcheck source=lib_packed.sh
. "$here/lib_packed.sh"

need_loop
need_hosts
need partclone.ext4 mkfs.ext4 sfdisk sgdisk e2fsck resize2fs debugfs jq aria2c transmission-cli
export TMPDIR=$work/tmp
mkdir tmp
for name in server holder neighbour aria transmission; do add_host "$name"; done

truncate -s 120M disk.img
sfdisk -q disk.img <<'TABLE'
label: gpt
size=110M, type=L, name=root
TABLE
packed_files files 48
on_partition disk.img 1 mkfs.ext4 -q -L root -d files >mkfs.out 2>&1
tracker=${address[server]}:6969
# With pieces of the default size, whose 256 blocks peers request at once.
"$seedbed" create disk.img --pack --tracker "http://$tracker/announce" -o disk.sbi >line 2>progress ||
    fail "create: $(<progress)"

# start_seed [LINE...]: the server; LINEs are added to [network].
start_seed() {
    printf '%s\n' '[control]' 'socket = "seed.sock"' '[tracker]' "listen = \"$tracker\"" 'interval = "1s"' 'min_interval = "1s"' \
        '[network]' "listen = \"${address[server]}:6881\"" 'local_discovery = false' "$@" >seed.toml
    add_image seed.toml disk disk.torrent "$work/disk.sbi" seed 'verify = "none"'
    start_daemon seed seed.toml $(on_host server)
    expect_line seed.log ' ready$'
}
printf '%s\n' '[memory]' 'pool = "16 MiB"' 'packed = 0' '[log]' 'level = "debug"' '[network]' 'local_discovery = false' >config.toml
# start_deployment HOST [OPTION...]: to a file of 200 MiB, HOST.img; the output is in HOST.log, the receipt in HOST.json.
start_deployment() {
    local host=$1
    shift
    truncate -s 200M "$host.img"
    start_process "$host" $(on_host "$host") "$seedbed" deploy disk.torrent "$host.img" --yes --config config.toml \
        --state "$work/$host-state" --listen "${address[$host]}:6881" --receipt "$host.json" "$@"
}
# ticks HOST: the processor time of its process, in hundredths of a second.
ticks() {
    awk '{print $14 + $15}' "/proc/${process_pid[$1]}/stat"
}
connections() {
    grep -c "peer ${address[$2]}:.* connected" "$1.log" || true
}

start_seed
start_deployment holder --grow 1 --seed-for 600s
expect_line holder.log ' seeding$'
cp holder.img grown.img
stop_daemon seed

# --- no other source

start_deployment neighbour --peer "${address[holder]}:6881"
expect_line neighbour.log 'nothing received for 30 s: 1 peer is connected, but without some of the missing pieces; waiting for a peer' 180
expect_line holder.log 'some pieces can no longer be given to other machines: .* holds other bytes by now, or another version of zstd'
before=$(($(ticks holder) + $(ticks neighbour)))
sleep 3
after=$(($(ticks holder) + $(ticks neighbour)))
((after - before < 100)) || fail "two machines that wait used $((after - before)) hundredths of a second of processor time in 3 s"
never_line holder.log "peer ${address[neighbour]}:.* disconnected"
expect_no_table neighbour.img

# --- a server, too

start_seed
timeout 180 tail --pid="${process_pid[neighbour]}" -f /dev/null || fail "the neighbour does not end"
wait "${process_pid[neighbour]}" || fail "the neighbour fails"
never_line neighbour.log 'failed its hash check|failed the hash check'
jq -e .verified neighbour.json >found || fail "the receipt is: $(<neighbour.json)"
check_ext4 neighbour.img 1
check_table neighbour.img
file_of neighbour.img 1 data
cmp dumped files/data || fail "the file differs"
sent=$("$seedbed" status --socket seed.sock --json | jq .images[0].uploaded_bytes)
((sent > 0 && sent < $(stat -c %s disk.sbi) / 2)) || fail "the server has sent $sent of $(stat -c %s disk.sbi) bytes"

# --- foreign clients: while the server gives them almost nothing, and after that

stop_daemon seed
start_seed 'upload_limit = "1 KiB"'
mkdir got-aria got-transmission
start_process aria $(on_host aria) "${aria2[@]}" --seed-time=0 --dir=got-aria disk.torrent
transmission_folder conf
start_process transmission $(on_host transmission) transmission-cli -g conf -w got-transmission -p 6881 -M -U -D \
    -f "$work/conf/finished" disk.torrent
for client in aria transmission; do
    expect_line holder.log "peer ${address[$client]}:.* connected" 180
done
before=$(ticks holder)
sleep 5
after=$(ticks holder)
((after - before < 150)) || fail "the target used $((after - before)) hundredths of a second of processor time in 5 s"
for client in aria transmission; do
    (($(connections holder "$client") < 30)) || fail "$client has connected $(connections holder "$client") times"
done
sed -i '/^upload_limit/d' seed.toml
kill -HUP "${daemon_pid[seed]}"
timeout 180 tail --pid="${process_pid[aria]}" -f /dev/null || fail "aria2 has not finished"
wait_for_line conf/complete complete 180 >/dev/null || fail "Transmission has not finished"
cmp got-aria/disk.sbi disk.sbi || fail "aria2: the file differs"
cmp got-transmission/disk.sbi disk.sbi || fail "Transmission: the file differs"
stop_process transmission
stop_process holder
cmp holder.img grown.img || fail "the target's disk has changed while it was seeding"
pass
