#!/bin/bash
# A deployment that is killed at any moment leaves a device on which nothing is recognised, or the whole image, or, before its first write,
# the old content: a raw disk, a raw partition and a packed partition, with `seedbed deploy` and with a daemon. The same command completes
# it. A device that is complete already is not written to. SEEDBED is the program.
# Usage: ends_last.sh [ROUNDS]; 3 rounds for each by default. SEEDBED_TEST_SEED repeats a run.
# Labels: once
set -euo pipefail
# shellcheck source=lib_daemon.sh
. "$(dirname "$0")/lib_daemon.sh"

need_loop
need partclone.ext4 mkfs.ext4 sfdisk blkid wipefs jq ss
rounds=${1:-3}
RANDOM=${SEEDBED_TEST_SEED:-$$}
echo "SEEDBED_TEST_SEED=${SEEDBED_TEST_SEED:-$$}"

# --- the images: 60 MiB each

truncate -s 60M disk.source part.source
head -c 40M /dev/urandom | dd of=disk.source bs=1M seek=2 conv=notrunc status=none
sfdisk -q disk.source <<<'label: gpt
size=40M, type=L, name=root'
mkdir files
head -c 30M /dev/urandom >files/data
mkfs.ext4 -q -d files -L golden part.source
"$seedbed" create disk.source --name disk --piece-size "1 MiB" -o disk.torrent >created
"$seedbed" create part.source --capture --name part -o part.torrent >created 2>create.err || fail "$(<create.err)"
"$seedbed" create part.source --pack --piece-size "1 MiB" -o packed.sbi >created 2>create.err || fail "$(<create.err)"
port=$(free_port)
write_config seed.toml "$port" 'upload_limit = "10 MiB"'
add_image seed.toml disk disk.torrent "$work/disk.source" seed
add_image seed.toml part part.torrent "$work/part.source" seed
add_image seed.toml packed packed.torrent "$work/packed.sbi" seed
start_daemon seed seed.toml
expect_line seed.log ' ready$'

# --- the targets: loop devices of 61 MiB with an old table or file system

new_target() {
    [[ ! -e target.img ]] || detach_loop "$target"
    rm -rf state
    noise_file target.img 61
    case $1 in
    disk) sfdisk -q target.img <<<'label: gpt
size=10M' ;;
    *) mkfs.ext4 -q -F -L old target.img ;;
    esac
    cp target.img before.img
    target=$(attach_loop target.img)
}
# shown: what a system recognises on the target.
shown() {
    blkid -p "$target" | sed 's/^[^ ]*//' || true
    wipefs -n "$target" || true
    sfdisk -d "$target" 2>/dev/null | sed '/^device:/d' || true
}
# is_whole IMAGE: every byte of the image is on the target.
is_whole() {
    case $1 in
    disk) # the image leaves out what is a hole in its source
        cmp -s -n 17408 disk.source "$target" && cmp -s -i $((2 << 20)) -n $((40 << 20)) disk.source "$target" &&
            cmp -s -i $(((60 << 20) - 33 * 512)) -n $((33 * 512)) disk.source "$target"
        ;;
    *) rm -f dumped; e2fsck -fn "$target" >fsck.out 2>&1 && debugfs -R "dump /data dumped" "$target" >dump.out 2>&1 && cmp -s files/data dumped ;;
    esac
}
# look IMAGE: fails unless nothing is shown, or the image is whole, or nothing was written; counts in nothing, whole and old.
look() {
    local seen
    seen=$(shown)
    if [[ -z $seen ]]; then
        nothing=$((nothing + 1))
    elif is_whole "$1"; then
        whole=$((whole + 1))
    elif cmp -s -n $((60 << 20)) before.img "$target"; then
        old=$((old + 1))
    else
        fail "$1: an unfinished deployment shows $seen"
    fi
}

# --- the deployments, in the background

# begin NAME IMAGE: with the output in deploy.log.
begin() {
    local listen
    rm -f deploy.log
    listen=127.0.0.1:$(free_port)
    case $1 in
    command)
        "$seedbed" deploy "$2.torrent" "$target" --yes --peer "127.0.0.1:$port" --no-local-discovery --state "$work/state" \
            --listen "$listen" --config small.toml --receipt receipt.json </dev/null >deploy.log 2>&1 &
        deployment=$!
        ;;
    daemon)
        rm -f deploy.toml
        write_config deploy.toml "${listen#*:}" '[memory]' 'pool = "16 MiB"' '[resume]' 'interval = "100 ms"'
        add_image deploy.toml "$2" "$2.torrent" "$target" deploy "peers = [\"127.0.0.1:$port\"]"
        start_daemon deploy deploy.toml
        deployment=${daemon_pid[deploy]}
        ;;
    esac
}
printf '%s\n' '[memory]' 'pool = "16 MiB"' '[resume]' 'interval = "100 ms"' >small.toml
end_now() {
    kill -KILL "$deployment" 2>/dev/null || true
    wait "$deployment" 2>/dev/null || true
}
# complete NAME IMAGE: the same command to its end.
complete() {
    begin "$1" "$2"
    if [[ $1 == daemon ]]; then
        expect_line deploy.log " $2: done: "
        stop_daemon deploy
    else
        wait "$deployment" || fail "$2: the deployment is not completed"
        jq -e '.verified' receipt.json >/dev/null || fail "$2: not verified: $(<receipt.json)"
    fi
    is_whole "$2" || fail "$2: it is not whole"
    [[ -n $(shown) ]] || fail "$2: nothing is recognised at the end"
}

for each in command:disk daemon:part command:packed; do
    name=${each%:*} image=${each#*:}
    nothing=0 whole=0 old=0
    # While it downloads.
    for ((round = 0; round < rounds; round++)); do
        new_target "$image"
        begin "$name" "$image"
        expect_line deploy.log ' downloading$'
        # The first time after the first write, then at any time.
        if ((round == 0)); then
            for ((i = 0; i < 600; i++)); do [[ -n $(shown) ]] && ! grep -q ' downloaded ' deploy.log || break; sleep 0.05; done
        else
            sleep "$(printf '0.%06d' $((RANDOM << 4)))"
        fi
        end_now
        before=$whole
        look "$image"
        ! grep -q ' downloaded ' deploy.log || whole=$before # it was complete when it was killed
        complete "$name" "$image"
    done
    ((whole == 0)) || fail "$image: $whole of $rounds deployments were whole while they downloaded"
    # While its ends are written.
    for line in ' downloaded ' ' written: '; do
        for ((round = 0; round < rounds; round++)); do
            new_target "$image"
            begin "$name" "$image"
            expect_line deploy.log "$line"
            end_now
            look "$image"
            complete "$name" "$image"
        done
    done
    ((nothing > 0)) || fail "$image: something was always recognised"
    echo "$image: killed $((3 * rounds)) times: $nothing times with nothing recognised, $whole times whole, $old times as before"
done

# --- what is on the device is kept

sectors_written() {
    awk '{ print $7 }' "/sys/block/${target#/dev/}/stat"
}
new_target disk
complete command disk
rm -rf state
before=$(sectors_written)
complete command disk
grep -q ' downloaded: nothing was missing$' deploy.log || fail "something was missing: $(<deploy.log)"
(($(sectors_written) == before)) || fail "a complete device was written to"
rm -rf state
flip "$target" $((20 << 20))
complete command disk
jq -e ".images[0].fetched < $((2 << 20))" receipt.json >/dev/null || fail "more than the piece that differs was downloaded: $(<receipt.json)"
pass
