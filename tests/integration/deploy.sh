#!/bin/bash
# `seedbed deploy` from a seeding daemon: its confirmation, refusals and exit statuses; its receipts, checked by an independent
# comparison; resuming after Ctrl-C, a failing disk, seeding afterwards; its prompt and progress bar on a terminal of 80 columns.
# SEEDBED is the program.
set -euo pipefail
# shellcheck source=lib_daemon.sh
. "$(dirname "$0")/lib_daemon.sh"

need_loop
need partclone.ext4 mkfs.ext4 ss jq addpart
can_mount ext4 || skip "the kernel does not support ext4"

truncate -s 96M source.img
source=$(attach_loop source.img)
make_file_system ext4 "$source" 44
capture ext4 "$source" good
bytes=$(image_bytes good.info)
read -r last_offset last_length <<<"$(extent good.info -1)"
info_hash=$(grep -oE '[0-9a-f]{40}' captured-good/created)

seed_port=$(free_port)
# seed_config [LIMIT]: writes the server's configuration, by default without an upload limit.
seed_config() {
    write_config seed.toml "$seed_port" ${1:+"upload_limit = \"$1\""}
    add_image seed.toml good good.torrent "$source" seed
    add_image seed.toml fine fine.torrent "$work/fine.img" seed
}
# The same disk as a raw image with small pieces: many of them are complete long before the last one.
cp --sparse=always source.img fine.img
"$seedbed" create fine.img --no-sparse --name fine --piece-size "1 MiB" -o fine.torrent >created 2>&1 || fail "$(<created)"
seed_config
start_daemon seed seed.toml
expect_line seed.log ' ready$'

command=("$seedbed" deploy good.torrent)
printf '%s\n' '[memory]' 'pool = "32 MiB"' >small.toml # small, since each of many runs reserves the pool
options=(--no-local-discovery --state "$work/state" --config small.toml)
usual=("${options[@]}" --peer "127.0.0.1:$seed_port" --listen "127.0.0.1:$(free_port)")
# deploy NAME STATUS ARGUMENT...: expects this exit status; the output is in NAME.log, the receipt in NAME.json.
deploy() {
    local name=$1 expected=$2 status=0
    shift 2
    "${command[@]}" "${usual[@]}" --receipt "$name.json" "$@" </dev/null >"$name.log" 2>&1 || status=$?
    ((status == expected)) || fail "$name: exit status $status instead of $expected"
    receipt "$name" ".exit_status == $expected"
}
# receipt NAME FILTER...: fails unless each filter is true for NAME.json.
receipt() {
    local name=$1 filter
    shift
    for filter in "$@"; do
        [[ $(jq "$filter" "$name.json") == true ]] || fail "$name.json: $filter is not true: $(<"$name.json")"
    done
}
done_and_verified='.outcome == "done" and .verified and .durable and .errors == []'

# --- refusals: nothing is written

noise_file target.img 96
target=$(attach_loop target.img)
noise_file small.img 96
truncate -s $((last_offset + last_length - 512)) small.img
noise_file locked.img 96
truncate -s 32M mounted.img
mounted=$(attach_loop mounted.img)
mkfs.ext4 -q -F -L precious "$mounted"
mount_at "at mounted" -t ext4 "$mounted"
sync
sha1sum target.img small.img locked.img >before

deploy unconfirmed 9 "$target"
expect_line unconfirmed.log 'not a terminal; pass --yes to confirm'
receipt unconfirmed '.outcome == "not_confirmed" and (.verified | not)' ".device.size == $((96 << 20))"
deploy mounted 3 --yes "$mounted"
expect_line mounted.log '  holds     ext4 "precious"'
expect_line mounted.log "  mounted   on $work/at mounted"
receipt mounted '.guard == "mounted"' '.errors | length == 1'
deploy small 3 --yes small.img
receipt small '.guard == "too_small"'
deploy serial 3 --yes --serial ABC "$target"
receipt serial '.guard == "wrong_identity"'
deploy size 3 --yes --size "1 GiB" "$target"
receipt size '.guard == "wrong_identity"'
deploy missing 3 --yes "$work/nowhere"
receipt missing '.guard == "missing" and .device.size == null'
exec {lock}<locked.img
flock -n "$lock"
deploy locked 3 --yes locked.img
receipt locked '.guard == "held"' ".image.info_hash == \"$info_hash\"" '.bytes.written == 0'
exec {lock}<&-
echo "no torrent" >bad.torrent
command[2]=bad.torrent
deploy bad_torrent 4 --yes "$target"
command[2]=good.torrent
"${command[@]}" "$target" --peer nobody >usage.log 2>&1 && fail "--peer nobody is accepted" || (($? == 2))
"${command[@]}" "$target" --receipt "$work/no/folder" >usage.log 2>&1 && fail "a receipt in a missing folder is accepted" || (($? == 2))
# The overview of a disk lists the disk's partitions.
truncate -s 8M disk.img
disk=$(attach_loop disk.img -P)
addpart "$disk" 1 2048 4096 || fail "cannot create a partition"
defer part delpart "$disk" 1
if [[ ! -b ${disk}p1 ]]; then # a /dev without devtmpfs
    IFS=: read -r major minor <"/sys/class/block/${disk#/dev/}p1/dev"
    mknod "${disk}p1" b "$major" "$minor"
    defer node rm "${disk}p1"
fi
mkfs.vfat -n SYSTEM "${disk}p1" >mkfs.out 2>&1 || fail "$(<mkfs.out)"
deploy disk 3 --yes "$disk"
expect_line disk.log "            ${disk}p1  2 MiB  vfat \"SYSTEM\""
# No peers. Port 6881 is in use: deploy uses another one.
exec {taken}< <(exec /usr/bin/python3 -c '
import signal, socket
try:
    taken = socket.create_server(("0.0.0.0", 6881))
except OSError:
    pass # another program uses it already
print("taken", flush=True)
signal.pause()')
defer taken kill "$!"
read -r -t 60 -u "$taken" answer && [[ $answer == taken ]]
with_peer=("${usual[@]}")
usual=("${options[@]}")
deploy nobody 5 --yes --timeout 300ms --check none "$target"
receipt nobody '.outcome == "timed_out" and .bytes.fetched == 0' '.errors | length == 1'
usual=("${with_peer[@]}")
sha1sum --quiet -c before || fail "something was written"

# --- a deployment and its receipt

deploy first 0 --yes --size "96 MiB" "$target"
compare_extents good.info "$source" "$target"
gaps_are_noise good.info "$target"
receipt first "$done_and_verified" ".bytes.image == $bytes and .bytes.fetched == $bytes and .bytes.written == $bytes" \
    '.bytes.reused == 0' ".image.info_hash == \"$info_hash\" and .image.name == \"good\"" \
    ".device.path == \"$target\" and .device.kernel_name == \"${target#/dev/}\" and .device.size == $((96 << 20))" \
    ".host == \"$(hostname)\"" '.peers | length == 1' ".peers[0].port == $seed_port" \
    '[.seconds[]] | all(. != null)' \
    '(.started | fromdate) <= (.ended | fromdate) and (.ended | fromdate) <= now and (.started | fromdate) > now - 120' \
    '.seconds.total >= ([.seconds | .checking, .downloading, .flushing, .verifying] | add)'
expect_line first.log '^good: verified '
expect_line first.log '^good: done: .* downloaded, written, durable and verified'

# Again: nothing is downloaded, but everything is read back. Without reading back, the result is not "verified".
deploy again 0 --yes "$target"
receipt again "$done_and_verified" ".bytes.fetched == 0 and .bytes.written == 0 and .bytes.reused == $bytes"
flip "$target" $((last_offset + 1))
deploy delta 0 --yes --check full --no-verify "$target"
receipt delta '.outcome == "done" and .durable and (.verified | not)' ".bytes.fetched < $bytes and .bytes.fetched > 0"
compare_extents good.info "$source" "$target"

# --- a terminal

if command -v tmux >/dev/null; then
    tmux=(tmux -L "seedbed-$$" -f /dev/null)
    defer tmux "${tmux[@]}" kill-server
    # on_terminal NAME ARGUMENT...: deploys on a terminal; afterwards, NAME.status contains the exit status.
    on_terminal() {
        local name=$1
        shift
        "${tmux[@]}" new-session -d -s "$name" -x 80 -y 24 \
            "cd '$work'; ${command[*]@Q} ${usual[*]@Q} --receipt $name.json ${*@Q}; echo \$? >$name.new; mv $name.new $name.status; sleep 60"
    }
    # shows NAME PATTERN: waits until the screen shows PATTERN; there is no event to await.
    shows() {
        local deadline=$((SECONDS + 60))
        until "${tmux[@]}" capture-pane -p -t "$1" >"$1.screen" && grep -qE -e "$2" "$1.screen"; do
            ((SECONDS < deadline)) || fail "the screen does not show '$2': $(<"$1.screen")"
            sleep 0.05
        done
    }
    ended() {
        local deadline=$((SECONDS + 60))
        until [[ -e $1.status ]]; do
            ((SECONDS < deadline)) || fail "$1 does not end"
            sleep 0.05
        done
        [[ $(<"$1.status") == "$2" ]] || fail "$1: exit status $(<"$1.status") instead of $2"
    }
    noise_file terminal.img 96
    terminal=$(attach_loop terminal.img)
    for answer in no y C-c; do
        on_terminal "asked-$answer" "$terminal"
        shows "asked-$answer" '^Overwrite .*\? Type "yes" to continue:'
        "${tmux[@]}" send-keys -t "asked-$answer" "$answer" "$([[ $answer == C-c ]] || echo Enter)"
        ended "asked-$answer" 9
        receipt "asked-$answer" '.outcome == "not_confirmed"'
    done
    cmp terminal.img <(head -c 96M /dev/zero | LC_ALL=C tr '\0' '\245') || fail "written without a \"yes\""

    # Slow enough for an interruption from the keyboard: 24 s.
    seed_config "4 MiB"
    kill -HUP "${daemon_pid[seed]}"
    expect_line seed.log 'reload: .* 0 changed in use'
    command[2]=fine.torrent
    on_terminal slow "$terminal"
    shows slow '^Overwrite '
    "${tmux[@]}" send-keys -t slow yes Enter
    shows slow '^downloading +[4-8][0-9]% \[=+> +\] +[0-9.]+/[0-9.]+ MiB +[0-9.]+ [KM]iB/s +[0-9.]+s left +1 peer$'
    "${tmux[@]}" send-keys -t slow C-c
    ended slow 8
    shows slow '^written data is on the device; run the same command again to resume$'
    cp slow.screen slow.end
    never_line slow.end '^downloading.*%' # the bar is gone
    receipt slow '.outcome == "interrupted" and (.verified | not)' ".bytes.written > $((24 << 20)) and .bytes.written < $((96 << 20))"
    seed_config
    kill -HUP "${daemon_pid[seed]}"
    deploy resumed 0 --yes "$terminal"
    command[2]=good.torrent
    expect_line resumed.log '^fine: resumed: '
    receipt resumed "$done_and_verified" ".bytes.reused >= $((16 << 20))" ".bytes.fetched < $(((96 - 16 << 20) + 1))"
    cmp fine.img terminal.img
else
    echo "SKIP terminal: tmux is not installed"
fi

# --- a failing disk

if (need_nbdfuse) >nbd.out; then
    noise_file failing.img 96
    touch trigger
    failing=$(start_nbd failing --filter=error file failing.img error=EIO error-pwrite-rate=100% \
        error-pwrite-file="$work/trigger")
    deploy failing 6 --yes "$failing"
    receipt failing '.outcome == "device_failed" and (.verified | not) and (.durable | not)' '.errors[0] | test("EIO")'
    never_line failing.log '(durable|verified|done)'
else
    cat nbd.out
fi

# --- seeding when done

noise_file giver.img 96
noise_file taker.img 96
giver_port=$(free_port)
: >giver.log
"${command[@]}" "${options[@]}" --yes --peer "127.0.0.1:$seed_port" --listen "127.0.0.1:$giver_port" \
    --receipt giver.json --seed-until-idle 20s giver.img </dev/null >giver.log 2>&1 &
daemon_pid[giver]=$!
defer daemon-giver end_process "$!"
expect_line giver.log '^good: done: '
stop_daemon seed
usual=("${options[@]}" --peer "127.0.0.1:$giver_port" --listen "127.0.0.1:$(free_port)")
deploy taker 0 --yes taker.img
receipt taker "$done_and_verified" ".peers[0].port == $giver_port"
await_exit giver 120
((exit_status == 0)) || fail "the giver ended with exit status $exit_status"
receipt giver "$done_and_verified" ".bytes.sent >= $bytes" '.seconds.seeding >= 20'
expect_line giver.log '^seeding: .*B/s, [01] peer' # a progress line now and then
never_line giver.log $'\r'
compare_extents good.info "$source" giver.img
compare_extents good.info "$source" taker.img
pass
