#!/bin/bash
# An interrupted deployment resumes from its checkpoint: after SIGTERM with almost nothing lost and without reading the device, after
# SIGKILL from the last checkpoint, whose pieces are read back and hashed first. Verification covers the resumed pieces, too. A checkpoint
# that does not match is reported and ignored; without one, `check` decides. SEEDBED is the program.
set -euo pipefail
# shellcheck source=lib_daemon.sh
. "$(dirname "$0")/lib_daemon.sh"

need_loop
need partclone.ext4 mkfs.ext4 python3
can_mount ext4 || skip "the kernel does not support ext4"

size=112
piece=$((16 << 20))
truncate -s ${size}M source.img
source=$(attach_loop source.img)
make_file_system ext4 "$source" 60
capture ext4 "$source" sda1
total=$(image_bytes sda1.info)
((total > 4 * piece)) || fail "an image of $total bytes has too few pieces"

memory=('[memory]' 'pool = "32 MiB"') # small, since each start fills it
seed_port=$(free_port)
deploy_port=$(free_port)
# seed LIMIT: writes the seeder's configuration; with "6 MiB", a deployment takes more than ten seconds.
seed() {
    write_config seed.toml "$seed_port" "upload_limit = \"$1\"" "${memory[@]}"
    add_image seed.toml sda1 sda1.torrent "$source" seed
}
# deploy [LINE...]: writes a configuration that deploys to $target; with threads, /proc counts the bytes read from the device.
deploy() {
    write_config deploy.toml "$deploy_port" "${memory[@]}" '[resume]' 'interval = "200 ms"'
    printf '[profile.%s]\nio_engine = "threads"\n' hdd sata_ssd nvme >>deploy.toml
    add_image deploy.toml sda1 sda1.torrent "$target" deploy "peers = [\"127.0.0.1:$seed_port\"]" "$@"
}
# The device has a persistent name, as in /dev/disk/by-id.
target=$work/disk
insert_disk() {
    ln -sfn "$(attach_loop target.img)" disk
}
new_target() {
    [[ ! -e disk ]] || detach_loop "$(readlink disk)"
    rm -f target.img
    truncate -s ${size}M target.img
    insert_disk
}
checkpoint() {
    echo "$STATE_DIRECTORY"/*.resume
}
noted_bytes() {
    /usr/bin/python3 "$here/lib_checkpoint.py" bytes "$(checkpoint)" "$total" $piece
}
# mib BYTES: prints a pattern for the size as the daemon writes it.
mib() {
    local text
    text=$(awk -v bytes="$1" 'BEGIN { mib = bytes / 1048576; printf mib < 9.95 ? "%.1f" : "%.0f", mib }')
    text=${text%.0}
    echo "${text/./\\.} MiB"
}
# cut_short NAME TERM|KILL [LINE...]: starts a deployment to a new target, and stops it after the first pieces are in a checkpoint.
cut_short() {
    local name=$1 signal=$2
    shift 2
    new_target
    deploy "$@"
    rm -rf "$STATE_DIRECTORY"
    seed "6 MiB"
    start_daemon seed seed.toml
    start_daemon "$name" deploy.toml
    expect_line "$name.log" ' sda1: downloading$'
    for ((i = 0; i < 1200; i++)); do
        [[ ! -e $(checkpoint) ]] || (($(noted_bytes) < piece)) || break
        sleep 0.05
    done
    ((i < 1200)) || fail "SIG$signal: the checkpoint is empty"
    if [[ $signal == TERM ]]; then
        stop_daemon "$name"
    else
        kill_daemon "$name"
    fi
    never_line "$name.log" 'downloaded|done:| (warning|error) '
    seed 0
    kill -HUP "${daemon_pid[seed]}"
    expect_line seed.log ' reload: .*0 changed in use$'
    noted=$(noted_bytes)
    ((noted >= piece && noted < total)) || fail "SIG$signal: the checkpoint has $noted of $total bytes"
    kept=$(equal_bytes sda1.info source.img "$target")
    ((kept >= noted)) || fail "SIG$signal: the checkpoint has $noted bytes, the device $kept"
}
# read_bytes NAME: prints the bytes that the daemon has read, almost all of them from its devices.
read_bytes() {
    awk '$1 == "rchar:" { print $2 }' "/proc/${daemon_pid[$1]}/io"
}
resumes() {
    expect_line "$1.log" " sda1: resumed: $(mib "$noted") of $(mib "$total") present; $(mib $((total - noted))) to download"
    expect_line "$1.log" ' sda1: done: '
    never_line "$1.log" ' sda1: check'
}

# --- killed: the pieces in the checkpoint are read back, no others, and are not downloaded

cut_short killed KILL 'verify = false'
start_daemon after_kill deploy.toml
resumes after_kill
read=$(read_bytes after_kill)
((read >= noted && read < noted + piece)) || fail "it has read $read bytes instead of the $noted in the checkpoint"
expect_line after_kill.log " sda1: the device may have changed since the checkpoint; reading back the $(mib "$noted") that it lists"
stop_daemon after_kill
never_line after_kill.log ' (warning|error) '
compare_extents sda1.info source.img "$target"
stop_daemon seed

# --- stopped: almost nothing is lost

cut_short stopped TERM
# The device may have a piece whose hash was not known yet.
((kept - noted <= piece)) || fail "stopped: the checkpoint has $noted bytes, the device $kept"
start_daemon after_stop deploy.toml
resumes after_stop
expect_line after_stop.log ' sda1: verified '
compare_extents sda1.info source.img "$target"
stop_daemon after_stop
never_line after_stop.log ' (warning|error) '
stop_daemon seed

# A completed deployment is done immediately, without a seeder or a read.
start_daemon done deploy.toml
expect_line done.log ' sda1: done: .*durable and verified at .*; the device has not been written to since'
read=$(read_bytes done)
((read < piece)) || fail "it has read $read bytes of an image that is done"
stop_daemon done
never_line done.log ' (warning|error) | sda1: (check|verif|flush)'
cp "$(checkpoint)" done.resume

# --- checkpoints that do not match

# refused NAME REASON [FETCHED]: starts the daemon; expects it to ignore the checkpoint for this reason and to read the device.
refused() {
    local name=$1 reason=$2 missing=${3:-0 B}
    start_daemon "$name" deploy.toml
    expect_line "$name.log" " sda1: ignoring the checkpoint: .*$reason"
    expect_line "$name.log" " sda1: checked .*: $missing to download"
    expect_line "$name.log" ' sda1: done: '
    stop_daemon "$name"
    compare_extents sda1.info source.img "$target"
    cp done.resume "$(checkpoint)"
}
sed -i 's/"verified": true/"verified": false/' "$(checkpoint)"
refused damaged 'damaged: wrong checksum'

"$seedbed" create --partclone sda1.info --name other -o other.torrent >created-other
sed -i 's/sda1\.torrent/other.torrent/' deploy.toml
refused torrent "it belongs to torrent $(grep -o 'info-hash [0-9a-f]*' done.log | head -n 1 | cut -d ' ' -f 2)"
sed -i 's/other\.torrent/sda1.torrent/' deploy.toml

# Another program has written to the device: only that piece is downloaded again.
read -r offset length <<<"$(extent sda1.info 2)"
flip "$target" $((offset + length / 2))
seed 0
start_daemon seed seed.toml
refused written 'another program has written to the device since' "$(mib $piece)"

# The same name, but another disk.
detach_loop "$(readlink disk)"
insert_disk
refused disk 'it belongs to another device: it is another disk'
stop_daemon seed

# --- resumed pieces are verified, too: here, one that is damaged after it was saved in the checkpoint

# damage_noted: changes a piece in the checkpoint.
damage_noted() {
    local first place
    first=$(/usr/bin/python3 "$here/lib_checkpoint.py" first "$(checkpoint)")
    place=$(/usr/bin/python3 "$here/lib_extents.py" place sda1.info $((first * piece + piece / 2)))
    printf '\x5a\xa5\x5a' | dd of="$target" oflag=seek_bytes conv=notrunc,fsync seek="$place" status=none
}
for verify in true false; do
    cut_short "corrupted_$verify" KILL "verify = $verify"
    damage_noted
    start_daemon "repaired_$verify" deploy.toml
    expect_line "repaired_$verify.log" ' warning sda1: .*: 1 of [0-9]+ pieces in the checkpoint differ on the device; downloading them again'
    expect_line "repaired_$verify.log" " sda1: resumed: .*; $(mib $((total - noted + piece))) to download"
    expect_line "repaired_$verify.log" ' sda1: done: '
    stop_daemon "repaired_$verify"
    compare_extents sda1.info source.img "$target"
    [[ $verify == false ]] || stop_daemon seed
done

# --- check = "full" and "none"

deploy 'check = "full"'
start_daemon full deploy.toml
expect_line full.log ' sda1: checked .*: 0 B to download'
expect_line full.log ' sda1: done: '
stop_daemon full
deploy 'check = "none"' 'verify = false'
start_daemon none deploy.toml
expect_line none.log " sda1: not checked .*: $(mib "$total") to download"
expect_line none.log " sda1: downloaded $(mib "$total")"
expect_line none.log ' sda1: done: '
stop_daemon none
never_line none.log ' sda1: check'
compare_extents sda1.info source.img "$target"

# --- no folder for checkpoints: one warning, and the deployment continues

echo >file
export STATE_DIRECTORY=$work/file
new_target
deploy 'verify = false'
start_daemon nowhere deploy.toml
expect_line nowhere.log ' sda1: done: '
stop_daemon nowhere
[[ $(grep -c ' warning .*/file: .*: deployments cannot be resumed$' nowhere.log) -eq 1 ]] || fail "expected one warning"
compare_extents sda1.info source.img "$target"
stop_daemon seed
pass
