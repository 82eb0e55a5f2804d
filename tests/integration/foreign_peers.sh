#!/bin/bash
# Other BitTorrent clients and trackers: aria2 and Transmission download an image from `seedbed daemon`, which they find only
# through an HTTP tracker (named in the torrent) or a UDP tracker (named in the configuration), and receive exactly the files that
# partclone writes as a BT image directory. Then each of them seeds such a directory to a block device. SEEDBED is the program.
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
need partclone.ext4 mkfs.ext4 opentracker aria2c transmission-cli

add_host server
add_host aria
add_host transmission
add_host target
add_host aria-seed
add_host transmission-seed

# The same file system as partitions sda1 and sda2: two torrents with the same content.
truncate -s 64M source
source=$(attach_loop source)
make_file_system ext4 "$source" 8 # two pieces
capture_files "$source"
cp -a files/sda1 files/sda2
extents=$(find files/sda1 -type f | wc -l)
((extents > 100)) || fail "the image has only $extents extents"
# Serves such a folder as seedbed-migration(7) describes: as one sparse file.
truncate -s 64M sda1.img
for file in files/sda1/0*; do
    dd if="$file" of=sda1.img bs=16M oflag=seek_bytes seek=$((16#${file##*/})) conv=notrunc status=none
done
(($(du -k sda1.img | cut -f 1) < 40 << 10)) || fail "the sparse file has no holes"
source_again=$(attach_loop source -r)

tracker=${address[server]}:6969
"$seedbed" create --partclone image.info --name sda1 --tracker "http://$tracker/announce" -o sda1.torrent --json >sda1.json
"$seedbed" create --partclone image.info --name sda2 -o sda2.torrent --json >sda2.json
"$seedbed" create --partclone image.info --name sda2 --tracker "http://$tracker/announce" -o sda2-tracked.torrent >created
"$seedbed" create --partclone image.info --name sda1 -o sda1-plain.torrent >created
"$seedbed" verify sda1.torrent sda1.img >verified || fail "the folder's files are not the image: $(<verified)"
sed -n 's/.*"info_hash": *"\([0-9a-f]*\)".*/\1/p' sda1.json sda2.json >hashes
[[ $(wc -l <hashes) -eq 2 ]] || fail "--json contains no info-hash: $(<sda1.json)"

# same_files NAME CLIENT: fails unless CLIENT's files are partclone's.
same_files() {
    diff -rq "files/$1" "got/$1" || fail "$2: the files differ from partclone's"
}

start_opentracker tracker server hashes
host_config seed.toml server 'local_discovery = false' '[log]' 'level = "debug"'
add_image seed.toml sda1 sda1.torrent "$source" seed
add_image seed.toml sda2 sda2.torrent "$source_again" seed "trackers = [\"udp://$tracker\"]"
start_daemon seed seed.toml $(on_host server)
expect_line seed.log ' ready$'

# At the same time, without a tracker, in the other direction: clients with partclone's files seed them to block devices.
noise_file target.1 64
noise_file target.2 64
target1=$(attach_loop target.1)
target2=$(attach_loop target.2)
start_process aria-seed $(on_host aria-seed) "${aria2[@]}" --seed-ratio=0 --check-integrity=true --dir=files sda1-plain.torrent
transmission_folder conf-seed
start_process transmission-seed $(on_host transmission-seed) transmission-cli -g conf-seed -w files -p 6881 -M -U -D sda2.torrent
host_config deploy.toml target 'local_discovery = false' '[log]' 'level = "debug"'
add_image deploy.toml sda1 sda1-plain.torrent "$target1" deploy "peers = [\"${address[aria-seed]}:6881\"]"
add_image deploy.toml sda2 sda2.torrent "$target2" deploy "peers = [\"${address[transmission-seed]}:6881\"]"
start_daemon deploy deploy.toml $(on_host target)

mkdir got
start_process aria $(on_host aria) "${aria2[@]}" --seed-time=0 --dir=got sda1.torrent
transmission_folder conf-get
start_process transmission $(on_host transmission) transmission-cli -g conf-get -w got -p 6881 -M -U -D -f "$work/conf-get/finished" \
    sda2-tracked.torrent
timeout 240 tail --pid="${process_pid[aria]}" -f /dev/null || fail "aria2 has not finished within 240 s"
same_files sda1 aria2
wait_for_line conf-get/complete complete 240 >/dev/null || fail "Transmission has not finished within 240 s"
same_files sda2 Transmission
stop_process transmission
never_line seed.log 'warning sda[12]: tracker|failed:|failed its hash check'
grep -Fq "sda1: peer ${address[aria]}:" seed.log || fail "aria2 got sda1 from somewhere else"
grep -Fq "sda2: peer ${address[transmission]}:" seed.log || fail "Transmission got sda2 from somewhere else"
stop_daemon seed
stop_process tracker
echo "aria2 and Transmission fetched $extents files each"

expect_line deploy.log ' sda1: done: ' 240
expect_line deploy.log ' sda2: done: ' 240
never_line deploy.log 'failed:|failed its hash check|nothing was missing'
stop_daemon deploy
for target in "$target1" "$target2"; do
    compare_extents image.info "$source" "$target"
    gaps_are_noise image.info "$target"
done
pass
