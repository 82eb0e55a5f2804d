#!/bin/bash
# The raw image of a whole disk: when the deployment is done, the kernel shows the partitions of the new table, and no longer
# those of the old one. SEEDBED is the program.
# Labels: once
set -euo pipefail
# shellcheck source=lib_daemon.sh
. "$(dirname "$0")/lib_daemon.sh"

need_loop
need sfdisk addpart jq

head -c 8M /dev/urandom >source.img
sfdisk -q --wipe always source.img <<<'label: gpt
start=2048, size=2M
start=8192, size=2M'
"$seedbed" create source.img --name disk -o disk.torrent >created
port=$(free_port)
write_config seed.toml "$port"
add_image seed.toml disk disk.torrent "$work/source.img" seed
start_daemon seed seed.toml
expect_line seed.log ' ready$'

# The kernel may know no partition tables: the old partition is added by hand.
noise_file target.img 8
target=$(attach_loop target.img --partscan)
addpart "$target" 1 2048 2048 || skip "the kernel has no partitions of loop devices"
# partitions: prints their sizes in sectors of 512 bytes.
partitions() {
    find "/sys/block/${target#/dev/}/" -mindepth 2 -maxdepth 2 -path '*p[0-9]*/size' -exec cat {} + | paste -sd ' '
}
[[ $(partitions) == 2048 ]] || fail "the kernel shows partitions of $(partitions) sectors"
"$seedbed" deploy disk.torrent "$target" --yes --no-local-discovery --peer "127.0.0.1:$port" --listen "127.0.0.1:$(free_port)" \
    --state "$work/state" --receipt receipt.json >deploy.out 2>&1 || fail "$(<deploy.out)"
cmp source.img target.img
[[ $(partitions) == "4096 4096" || -z $(partitions) ]] || fail "the kernel shows partitions of $(partitions) sectors: $(<deploy.out)"
jq -e '.warnings == [] and .content.partition_table == "gpt"' receipt.json >found || fail "$(<receipt.json)"

# A .torrent of the same image that does not say that it is of a whole disk: only for a disk that already begins with it.
/usr/bin/python3 "$here/../faults/bencode.py" disk.torrent unknown.torrent \
    'assert torrent.pop(b"comment").startswith(b"seedbed kind=disk ")'
deploy_again() {
    "$seedbed" deploy unknown.torrent "$target" --yes --no-local-discovery --peer "127.0.0.1:$port" --listen "127.0.0.1:$(free_port)" \
        --state "$work/state" >deploy.out 2>&1
}
deploy_again || fail "$(<deploy.out)"
printf x | dd of="$target" bs=1 conv=notrunc status=none # in the boot code
deploy_again && fail "written: $(<deploy.out)" || status=$?
((status == 3)) && grep -q "$target: a disk with partitions, but the .torrent does not say" deploy.out || fail "exit status $status: $(<deploy.out)"
stop_daemon seed
pass
