#!/bin/bash
# Deploying to devices that must not be written to: too small, mounted, read-only, in use, not a disk. Each image fails with one
# message and without a write; the daemon keeps running and deploys another image. SEEDBED is the program.
# Labels: once
set -euo pipefail
# shellcheck source=lib_daemon.sh
. "$(dirname "$0")/lib_daemon.sh"

need_loop
need partclone.ext4 mkfs.ext4 e2fsck flock ss
can_mount ext4 || skip "the kernel does not support ext4"

truncate -s 32M source.img
source=$(attach_loop source.img)
make_file_system ext4 "$source" 4
capture ext4 "$source" good
read -r offset length <<<"$(extent good.info -1)"
end=$((offset + length))

seed_port=$(free_port)
write_config seed.toml "$seed_port"
write_config deploy.toml "$(free_port)"
add_image seed.toml good good.torrent "$source" seed
noise_file good.img 32
good=$(attach_loop good.img)
add_image deploy.toml good good.torrent "$good" deploy "peers = [\"127.0.0.1:$seed_port\"]"

declare -A device=() reason=() backing=()
# refused NAME DEVICE REASON [BACKING_FILE [LINE...]]: adds an image that must fail to the deploying daemon, and its source to the
# seeding one.
refused() {
    local name=$1
    device[$name]=$2
    reason[$name]=$3
    [[ -z ${4:-} ]] || backing[$name]=$4
    "$seedbed" create --partclone good.info --name "$name" -o "$name.torrent" >created
    add_image deploy.toml "$name" "$name.torrent" "$2" deploy "peers = [\"127.0.0.1:$seed_port\"]" "${@:5}"
    # Each image has its own source: two images cannot share a device.
    cp --sparse=always source.img "$name.source"
    add_image seed.toml "$name" "$name.torrent" "$name.source" seed
}

# noise_loop NAME [LOSETUP_OPTION...]: makes a loop device filled with noise, backed by NAME.img.
noise_loop() {
    noise_file "$1.img" 32
    attach_loop "$1.img" "${@:2}"
}

noise_file small.img 32
truncate -s $((end - 512)) small.img
loop=$(attach_loop small.img)
refused small "$loop" "too small: it has $((end - 512)) bytes, the image needs $end" small.img
cp small.img small_file.img
refused small_file "$work/small_file.img" "too small: it has $((end - 512)) bytes, the image needs $end" small_file.img

for name in mounted mounted_ro; do
    truncate -s 32M "$name.img"
    loop=$(attach_loop "$name.img")
    mkfs.ext4 -q -F -E lazy_itable_init=0,lazy_journal_init=0 "$loop"
    mount_at "at $name" -t ext4 -o "$([[ $name == mounted ]] && echo rw,noatime || echo ro)" "$loop"
    refused "$name" "$loop" "mounted on $work/at $name" "$name.img"
done
echo "still here" >"at mounted/file"
sync -f "at mounted"

# A loop device on the target, with an offset, is mounted: the target is its backing file, a file below a file system with a
# partition's offset, or the device below it.
truncate -s 32M below_file.img
loop=$(attach_loop below_file.img)
mkfs.ext4 -q -F -E lazy_itable_init=0,lazy_journal_init=0 "$loop"
mount_at "at below_file" -t ext4 -o noatime "$loop"
refused below_file "$work/below_file.img" "mounted on $work/at below_file through ${loop#/dev/}; unmount it first" below_file.img
noise_file below_disk.img 32
disk=$(attach_loop below_disk.img)
loop=$(attach_loop "$disk" --offset 8M --sizelimit 16M)
mkfs.ext4 -q -F -E lazy_itable_init=0,lazy_journal_init=0 "$loop"
mount_at "at below_disk" -t ext4 -o noatime "$loop"
refused below_disk "$disk" "mounted on $work/at below_disk through ${loop#/dev/}; unmount it first" below_disk.img
noise_file attached.img 32
loop=$(attach_loop attached.img)
refused attached "$work/attached.img" "held by other devices on the same bytes (${loop#/dev/}); detach them first (losetup -d $loop)" attached.img
sync -f "at below_file" "at below_disk"

loop=$(noise_loop readonly -r)
refused readonly "$loop" "read-only" readonly.img

loop=$(noise_loop held)
exec {holder}< <(exec /usr/bin/python3 -c '
import os, signal, sys
os.open(sys.argv[1], os.O_RDWR | os.O_EXCL)
print("held", flush=True)
signal.pause()' "$loop")
holder_pid=$!
defer holder kill "$holder_pid"
read -r -t 60 -u "$holder" answer || fail "nothing holds $loop"
[[ $answer == held ]]
refused held "$loop" "held by another program or device" held.img

noise_file locked.img 32
exec {lock}<locked.img
flock -n "$lock"
refused locked "$work/locked.img" "locked by another program" locked.img

loop=$(noise_loop size)
refused size "$loop" "its size is 33554432 bytes; expected 16777216" size.img 'size = "16 MiB"'
loop=$(noise_loop serial)
refused serial "$loop" 'no known serial number; expected "ABC"' serial.img 'serial = "ABC"'

refused full /dev/full "a character device, neither a block device nor a regular file"
mkdir folder
refused folder "$work/folder" "a folder, neither a block device nor a regular file"
refused missing "$work/missing" "No such file or directory"
mkfifo pipe
refused pipe "$work/pipe" "a named pipe, neither a block device nor a regular file"
ln -s "$work/nowhere" dangling
refused dangling "$work/dangling" "No such file or directory"

# The same for a source: a device mounted read-write is served only with allow_mounted = true.
for name in mounted_source allowed_source; do
    cp --sparse=always source.img "$name.img"
    loop=$(attach_loop "$name.img")
    mount_at "at $name" -t ext4 -o rw,noatime "$loop"
    "$seedbed" create --partclone good.info --name "$name" -o "$name.torrent" >created
    add_image seed.toml "$name" "$name.torrent" "$loop" seed \
        "$([[ $name == mounted_source ]] || echo 'allow_mounted = true')"
    [[ $name != mounted_source ]] || mounted_source=$loop
done

# Mounts above a file are also checked when it is only read.
"$seedbed" create "$work/below_file.img" -o below.torrent 2>create.err && fail "create reads a file that is mounted" || status=$?
((status == 3)) && grep -q "mounted read-write on $work/at below_file through" create.err || fail "create: $(<create.err)"

# A loop device and its own backing file in one configuration.
write_config twice.toml "$(free_port)"
add_image twice.toml one good.torrent "$source" seed
cp good.torrent again.torrent
add_image twice.toml two again.torrent "$work/source.img" deploy
"$seedbed" daemon -c twice.toml --check-config >twice.out 2>&1 && fail "a device and its file pass" || status=$?
((status == 2)) && grep -q "shares bytes with .*, and one of them is written" twice.out || fail "twice: $(<twice.out)"

# An image of one partition and a disk with partitions, or with sectors larger than the blocks of its file system.
"$seedbed" create "$source" --capture --name one -o kind.torrent >created 2>create.err
truncate -s 64M disk.img
printf '\0\0\0\0\203\0\0\0\0\10\0\0\0\10\1\0' | dd of=disk.img bs=1 seek=446 conv=notrunc status=none
printf '\125\252' | dd of=disk.img bs=1 seek=510 conv=notrunc status=none
disk=$(attach_loop disk.img)
truncate -s 64M native.img
native=$(attach_loop native.img -b 4096)
sha1sum disk.img native.img >kind.before
for case in "$disk: a disk with partitions, but the image is of a single partition; deploy to a partition, or allow" \
    "$native: the image's file system (ext4) uses sectors of 1024 bytes, the device has 4096"; do
    "$seedbed" deploy kind.torrent "${case%%:*}" --yes --no-local-discovery >kind.out 2>&1 && fail "written: $case" || status=$?
    ((status == 3)) && grep -qF "$case" kind.out || fail "exit status $status: $(<kind.out)"
done
# The torrent of partclone's own output shows that, too.
"$seedbed" deploy good.torrent "$disk" --yes --no-local-discovery --timeout 5s >kind.out 2>&1 && fail "written: $disk" || status=$?
((status == 3)) && grep -qF "$disk: a disk with partitions, but the image is of a single partition" kind.out || fail "exit status $status: $(<kind.out)"
sha1sum -c --quiet kind.before
write_config kind.toml "$(free_port)"
add_image kind.toml kind kind.torrent "$disk" deploy 'allow_mismatch = true'
"$seedbed" daemon -c kind.toml --check-config >kind.out || fail "allow_mismatch: $(<kind.out)"

checksums() {
    local name
    for name in "${!backing[@]}"; do
        sha1sum "${backing[$name]}"
    done
}
checksums >before

# --check-config predicts the refusals with the same messages, except for devices in use by other programs: only opening a device
# finds those.
"$seedbed" daemon -c deploy.toml --check-config >foretold && fail "--check-config accepts every image" || status=$?
((status == 3)) || fail "--check-config: exit status $status"
for name in "${!device[@]}"; do
    line=$(grep -E "^$name: " foretold)
    if [[ $name == held || $name == locked ]]; then
        [[ $line == "$name: deploy to "* ]] || fail "--check-config: $line"
    else
        [[ $line == "$name: would fail: ${device[$name]}: "*"${reason[$name]}"* ]] || fail "--check-config: $line"
    fi
done
grep -qx "deploy.toml: $((${#device[@]} + 1)) images, $((${#device[@]} - 2)) would fail" foretold || fail "$(tail -n 1 foretold)"

start_daemon seed seed.toml
expect_line seed.log ' ready$'
expect_line seed.log " error mounted_source: failed: $mounted_source: mounted read-write on $work/at mounted_source"
expect_line seed.log ' allowed_source: seeding'
never_line seed.log 'allowed_source: failed'

start_daemon deploy deploy.toml
expect_line deploy.log ' ready$'
for name in "${!device[@]}"; do
    expect_line deploy.log " $name: failed: "
done
expect_line deploy.log ' good: done: ' 60
for name in "${!device[@]}"; do
    lines=$(grep -E "^[^ ]+ [^ ]+ [a-z]+ +$name: " deploy.log)
    [[ $lines == *" error $name: failed: ${device[$name]}: "*"${reason[$name]}"* ]] ||
        fail "$name: expected '${device[$name]}: ... ${reason[$name]}', but the log says: $lines"
    (($(wc -l <<<"$lines") == 1)) || fail "$name: more than one line: $lines"
done
(($(grep -cE ' (error|warn)' deploy.log) == ${#device[@]})) || fail "the daemon logs errors or warnings other than the images'"
stop_daemon deploy
# Stopping has written nothing either.
checksums >after
cmp before after || fail "a device was written: $(diff before after || true)"
[[ ! -e missing && ! -e nowhere && -L dangling && -p pipe && -z $(ls -A folder) ]] || fail "a file was created or removed"
[[ $(<"at mounted/file") == "still here" ]] || fail "the mounted file system has changed"
unmount "at mounted"
e2fsck -f -n "${device[mounted]}" >check.out 2>&1 || fail "the mounted file system is damaged: $(<check.out)"
compare_extents good.info "$source" "$good"
gaps_are_noise good.info "$good"
stop_daemon seed

# A rule that no disk matches: the refusal lists the disks. The serial number is random, so that no disk of this machine has it.
rule="serial=$(head -c 16 /dev/urandom | sha256sum | cut -c 1-32)"
deploy_status=0
"$seedbed" deploy good.torrent "$rule" --yes --no-local-discovery --timeout 5s --receipt receipt.json >deploy.out 2>&1 || deploy_status=$?
((deploy_status == 3)) || fail "deploy to a rule that no disk matches: exit status $deploy_status: $(<deploy.out)"
grep -qF "no disk matches \"$rule\": " deploy.out || fail "the refusal is: $(<deploy.out)"
for disk in $(lsblk -dnpo NAME -e 1,7,11,252,253); do
    [[ $disk == /dev/zram* || $disk == /dev/nbd* ]] || grep -qF "$disk " deploy.out || fail "the refusal does not name $disk: $(<deploy.out)"
done

# Devices that were refused because they were in use are accepted once they are free.
exec {holder}<&- {lock}<&-
undo holder
timeout 60 tail --pid="$holder_pid" -s 0.1 -f /dev/null || fail "what held a device does not end"
unmount "at mounted_ro"
write_config free.toml "$(free_port)"
for name in held locked mounted mounted_ro; do
    add_image free.toml "$name" "$name.torrent" "${device[$name]}" deploy "peers = [\"127.0.0.1:$seed_port\"]"
done
start_daemon seed seed.toml
start_daemon free free.toml
for name in held locked mounted mounted_ro; do
    expect_line free.log " $name: done: "
    compare_extents good.info "$source" "${device[$name]}"
done
stop_daemon free
stop_daemon seed
pass
