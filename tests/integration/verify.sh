#!/bin/bash
# `seedbed verify` finds exactly the extents that differ. Devices that are in use, mounted, too small or unreadable; exit statuses.
# SEEDBED is the program.
# Labels: once
set -euo pipefail
# shellcheck source=lib_daemon.sh
. "$(dirname "$0")/lib_daemon.sh"

need_loop
need partclone.ext4 mkfs.ext4 ss jq setpriv
can_mount ext4 || skip "the kernel does not support ext4"

truncate -s 96M source.img
source=$(attach_loop source.img)
make_file_system ext4 "$source" 44
capture ext4 "$source" good
bytes=$(image_bytes good.info)

# verify STATUS ARGUMENT...: expects this exit status; the output is in `out` and `err`.
verify() {
    local expected=$1 status=0
    shift
    "$seedbed" verify good.torrent "$@" </dev/null >out 2>err || status=$?
    ((status == expected)) || fail "verify $*: exit status $status instead of $expected: $(cat out err)"
}
says() {
    grep -qE -e "$2" "$1" || fail "$1 does not contain '$2': $(<"$1")"
}

# Equal, while a daemon serves the device.
write_config seed.toml "$(free_port)"
add_image seed.toml good good.torrent "$source" seed
start_daemon seed seed.toml
expect_line seed.log ' ready$'
verify 0 "$source"
says out "^$source: equal: "
stop_daemon seed

# Change a byte in the first extent, one in the last, and one outside all extents.
cp source.img target.img
target=$(attach_loop target.img)
# spoil OFFSET: changes the byte there.
spoil() {
    local byte
    byte=$(od -An -tu1 -j "$1" -N 1 "$target")
    printf '%b' "\\x$(printf %x $((byte ^ 1)))" | dd of="$target" oflag=seek_bytes seek="$1" conv=notrunc,fsync status=none
}
read -r first_offset first_length <<<"$(extent good.info 0)"
read -r last_offset last_length <<<"$(extent good.info -1)"
gap=$((96 << 20))
gap=$((gap - 1))
((last_offset + last_length <= gap)) && spoil "$gap"
verify 0 "$target"
spoil "$((first_offset + first_length - 1))"
spoil "$last_offset"
for profile in hdd nvme; do
    verify 1 --json --profile "$profile" "$target"
    # Exactly the first and the last piece are bad, according to another program.
    equal=$(equal_bytes good.info "$source" "$target")
    jq -e --argjson bytes "$bytes" --argjson equal "$equal" --argjson first "$first_offset" --argjson last "$last_offset" \
        '.format == 1 and (.equal | not) and .complete and .bad_pieces == 2 and .bytes == $bytes and .error == null
         and ([.bad_extents[].length] | add) == $bytes - $equal
         and (.bad_extents[0] | .offset == $first and .first_piece == 0)
         and ([.bad_extents[] | select(.offset <= $last and $last < .offset + .length)] | length) == 1
         and ([.bad_extents[].last_piece] | max) == .pieces - 1
         and ([.bad_extents[].offset] | . == (sort | unique))' out >/dev/null || fail "unexpected JSON: $(<out)"
done
extents=$(jq '.bad_extents | length' out)
verify 1 "$target"
says out "^$target: 2 of [0-9]+ pieces differ: .* in $extents extents?$"
says out "^offset $first_offset, length [0-9]+: piece 0$"
((extents <= 20)) || says out "^and $((extents - 20)) more; --json lists all$"
(($(grep -c '^offset ' out) == (extents < 20 ? extents : 20))) || fail "unexpected number of extents: $(<out)"

# Read permission suffices.
chmod 711 "$work"
chmod 644 source.img good.torrent
if setpriv --reuid=65534 --regid=65534 --clear-groups "$seedbed" --version >/dev/null 2>&1; then
    setpriv --reuid=65534 --regid=65534 --clear-groups "$seedbed" verify good.torrent source.img >out 2>err ||
        fail "fails without root: $(<err)"
    says out '^source.img: equal: '
fi

# Mounted.
mount_at "read only" -o ro -t ext4 "$source"
verify 0 "$source"
unmount "read only"
mount_at "read write" -t ext4 "$target"
verify 3 "$target"
says err "mounted read-write on $work/read write"
verify 1 --allow-mounted "$target"
says err 'warning: .* mounted read-write'
unmount "read write"

# Devices and torrents that cannot be verified.
cp source.img small.img
truncate -s $((last_offset + last_length - 512)) small.img
verify 3 small.img
says err 'small.img: too small'
verify 3 "$work/nowhere"
verify 2
verify 2 "$target" --profile floppy
echo no >bad.torrent
"$seedbed" verify bad.torrent "$target" 2>err && fail "bad.torrent is accepted" || (($? == 4))
says err 'bad.torrent: '

if (need_nbdfuse) >nbd.out; then
    # Readable until the trigger exists.
    broken=$(start_nbd broken --filter=error file source.img error=EIO error-pread-rate=100% error-pread-file="$work/trigger")
    verify 0 "$broken"
    touch trigger
    verify 6 --json "$broken"
    says err "read $broken: offset [0-9]+, length [0-9]+: .*EIO"
    jq -e '(.equal | not) and (.complete | not) and (.error | test("EIO"))' out >/dev/null || fail "unexpected JSON: $(<out)"
    rm trigger
    # Interrupted.
    slow=$(start_nbd slow --filter=delay file source.img delay-read=200ms)
    env --default-signal=INT "$seedbed" verify good.torrent "$slow" </dev/null >out 2>err &
    verifying=$!
    for ((i = 0; i < 600; i++)); do # until it has the device open
        [[ $(readlink "/proc/$verifying/fd/"*) != *"$slow"* ]] || break
        sleep 0.1
    done
    kill -INT "$verifying" || fail "it has ended by itself: $(cat out err)"
    status=0
    wait "$verifying" || status=$?
    ((status == 8)) || fail "interrupted: exit status $status"
    says err 'interrupted; not everything was read'
    [[ ! -s out ]] || fail "interrupted, it prints: $(<out)"
else
    cat nbd.out
fi
pass
