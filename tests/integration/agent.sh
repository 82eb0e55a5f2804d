#!/bin/bash
# Machines and agents: a server gives each machine its job once, whatever is restarted in between. Two machines are deployed while the
# daemon and one agent are killed; a machine whose disk is too small is refused and shown with its reason; an unknown one waits. SEEDBED
# is the program.
# Labels: once
set -euo pipefail
# shellcheck source=lib_daemon.sh
. "$(dirname "$0")/lib_daemon.sh"

need_loop
need mkfs.ext4 jq ss
can_mount ext4 || skip "the kernel does not support ext4"

truncate -s 32M source.img
source=$(attach_loop source.img)
make_file_system ext4 "$source" 8
# A raw image, whose pieces are small: both machines are in the middle of it at the same time.
"$seedbed" create "$source" --raw --name win -o win.torrent >created || fail "seedbed create of $source"
declare -A disk=()
for name in PC-1 PC-2; do
    truncate -s 32M "$name.img"
    disk[$name]=$(attach_loop "$name.img")
done
truncate -s 8M PC-3.img
disk[PC-3]=$(attach_loop PC-3.img)

http=$(free_port)
mkdir etc
printf '%s\n' '[control]' 'socket = "socket"' '[tracker]' "listen = \"127.0.0.1:$http\"" 'interval = "1 s"' '[network]' \
    "listen = \"127.0.0.1:$(free_port)\"" 'local_discovery = false' >etc/seedbed.toml
add_image etc/seedbed.toml win "$work/win.torrent" "$source" seed 'upload_limit = "512 KiB"' # both machines take a minute, until the daemon is killed

# --- the CSV file: everything is checked first, and errors have its line numbers
machine() {
    "$seedbed" machine "$@"
}
cat >room.csv <<END
name,mac,serial,image,disk,after
PC-1,52-54-00-00-00-01,,win,${disk[PC-1]},poweroff

PC-2,,SERIAL 2,win,${disk[PC-2]},reboot
PC-3,525400000003,,win,${disk[PC-3]},wait
END
sed '5s/win/lin/; 4s/reboot/sleep/' room.csv >wrong.csv
import_status=0
machine import wrong.csv --config etc/seedbed.toml >import.out 2>&1 || import_status=$?
((import_status == 2)) || fail "a wrong CSV file: exit status $import_status: $(<import.out)"
grep -qF "wrong.csv:4: machine.after: 'sleep' is not known" import.out || fail "no error in line 4: $(<import.out)"
grep -qF "wrong.csv:5: machine.image: no image has the name 'lin'" import.out || fail "no error in line 5: $(<import.out)"
[[ ! -e etc/machines.d ]] || fail "a wrong CSV file was imported"
machine import room.csv --config etc/seedbed.toml >import.out || fail "import: $(<import.out)"
grep -q 'room.toml: written; 3 machines in all' import.out || fail "import prints: $(<import.out)"

# value NAME KEY: prints a value of a machine's entry in the list.
value() {
    machine list --json --socket etc/socket | jq -r --arg name "$1" --arg key "$2" '.machines[] | select(.name == $name) | .[$key]'
}
# await_machine NAME CONDITION [SECONDS]: waits until jq's CONDITION holds for the machine.
await_machine() {
    local end=$((SECONDS + ${3:-120}))
    until machine list --json --socket etc/socket 2>/dev/null |
        jq -e --arg name "$1" "[.machines[] | select(.name == \$name) | $2] | any" >/dev/null; do
        ((SECONDS < end)) || fail "$1 never has $2: $(machine list --socket etc/socket 2>&1)"
        # shellcheck disable=SC2034
        read -r -t 0.2 nothing <> <(:) || true
    done
}

mkdir hooks
cat >hooks/10-note <<'END'
#!/bin/sh
env | grep '^SEEDBED_' | sort >"$SEEDBED_NOTES/$SEEDBED_MACHINE.env"
END
cat >power <<'END'
#!/bin/sh
echo "$1" >>"$SEEDBED_NOTES/powered"
END
chmod +x hooks/10-note power
touch hooks/README # not a program
export SEEDBED_NOTES=$work SEEDBED=$seedbed

# start_agent NAME OPTION...: an agent in the background, with its output in NAME.log.
start_agent() {
    local name=$1
    shift
    : >>"$name.log"
    "$seedbed" agent --server "http://127.0.0.1:$http" --no-local-discovery --listen "127.0.0.1:$(free_port)" --state "$work/state-$name" \
        --seed-until-idle 1s --power "$work/power" --after-deploy hooks "$@" </dev/null >>"$name.log" 2>&1 &
    daemon_pid[$name]=$!
    defer "daemon-$name" end_process "$!"
}

# --- an agent waits for a server that does not answer, and says so once
start_agent PC-1 --mac 52:54:00:00:00:01 --once
expect_line PC-1.log "no answer from http://127.0.0.1:$http: .*; retrying"
start_daemon server etc/seedbed.toml
expect_line server.log ' ready'
expect_line PC-1.log 'answers again'
start_agent PC-2 --serial 'SERIAL 2' --once
start_agent stranger --mac 52:54:00:00:00:09
expect_line stranger.log 'this machine has no job: no \[\[machine\]\] has its MAC address or serial number'
machine list --socket etc/socket >list.out
grep -qE '^\(unknown\) +52:54:00:00:00:09 ' list.out || fail "the list does not show the unknown machine: $(<list.out)"

start_agent PC-3 --mac 52:54:00:00:00:03 --once
await_exit PC-3 60
((exit_status == 3)) || fail "the agent of a refused machine ends with $exit_status: $(<PC-3.log)"
[[ $(value PC-3 state) == refused && $(value PC-3 reason) == *"too small"* ]] || fail "PC-3 is $(value PC-3 state): $(value PC-3 reason)"
[[ -z $(tr -d '\0' <PC-3.img | head -c 1) ]] || fail "a refused disk was written"

# --- in the middle, the daemon is killed, and one agent is
for name in PC-1 PC-2; do
    await_machine "$name" '.state == "running" and .phase == "downloading" and .percent > 10'
done
declare -A job=([PC-1]=$(value PC-1 job) [PC-2]=$(value PC-2 job))
kill_daemon server
kill_daemon PC-2
sed -i '/^upload_limit = /d' etc/seedbed.toml
start_daemon server etc/seedbed.toml
expect_line server.log ' ready'
start_agent PC-2 --serial 'SERIAL 2' --once
for name in PC-1 PC-2; do
    await_exit "$name" 200
    ((exit_status == 0)) || fail "the agent of $name ends with $exit_status: $(<"$name.log")"
    [[ $(value "$name" state) == done ]] || fail "$name is $(value "$name" state): $(value "$name" reason)"
    [[ $(value "$name" job) == "${job[$name]}" ]] || fail "$name has another job after the restart"
    cmp "$source" "${disk[$name]}"
    expect_line "$name.log" '^downloading: [0-9]+%, .*MiB'
    expect_line "$name.log" "^win: done: .* durable and verified"
    grep -qx "SEEDBED_DEVICE=${disk[$name]}" "$name.env" || fail "the program after the deployment of $name got: $(<"$name.env")"
    grep -qx "SEEDBED_ROOT_PARTITION=${disk[$name]}" "$name.env" || fail "no root partition: $(<"$name.env")"
    grep -qx 'SEEDBED_ROOT_TYPE=ext4' "$name.env" || fail "no root type: $(<"$name.env")"
done
"$seedbed" history --json --socket etc/socket >history.json
jq -e '[.deployments[] | select(.state == "done")] | length == 2 and all(.receipt |
    .outcome == "done" and .verified and .bytes.written > 0 and .bytes.fetched <= ([.peers[].fetched] | add) and .seconds.downloading > 0 and
    .seconds.seeding > 0 and .device.size > 0) and all(.seconds > 15 and .address == "127.0.0.1")' history.json >/dev/null || fail "the receipts: $(<history.json)"
jq -e '[.deployments[] | select(.state == "refused")] | length == 1 and (.[0] | .receipt.outcome == "refused" and .receipt.errors == [.reason] and
    .receipt.device.path == .device and .receipt.image.kind == "raw")' history.json >/dev/null || fail "the receipt of the refused job: $(<history.json)"
[[ $(sort powered | tr '\n' ' ') == "poweroff reboot " ]] || fail "the machines were not ended as configured: $(<powered)"

# --- a job that is done is not done again, until it is ordered
noise_file noise 1
dd if=noise of="${disk[PC-1]}" bs=4096 count=1 seek=20 conv=notrunc,fsync status=none
sum=$(sha256sum <"${disk[PC-1]}")
start_agent PC-1 --mac 52:54:00:00:00:01 --once
await_exit PC-1 60
((exit_status == 0)) || fail "an agent without a job ends with $exit_status"
expect_line PC-1.log 'PC-1 has no job: its job is done'
[[ $(sha256sum <"${disk[PC-1]}") == "$sum" ]] || fail "a done job was done again"
machine redo PC-9 --socket etc/socket 2>redo.out && fail "an order for a machine that does not exist was accepted"
grep -q 'no machine has the name' redo.out || fail "redo says: $(<redo.out)"
machine redo PC-1 --socket etc/socket >redo.out || fail "redo: $(<redo.out)"
[[ $(value PC-1 state) == waiting ]] || fail "after redo, PC-1 is $(value PC-1 state)"
# It fails after the server has shown it as the machine's phase, and has heard from the machine again.
cat >hooks/20-fails <<'END'
#!/bin/sh
first='' left=300
while [ "$left" -gt 0 ]; do
    left=$((left - 1))
    seen=$("$SEEDBED" machine list --json --socket "$SEEDBED_NOTES/etc/socket" | jq -r '.machines[] | select(.phase == "20-fails").seen_at')
    [ -n "$first" ] || first=$seen
    if [ "$seen" != "$first" ]; then
        echo no such printer >&2
        exit 3
    fi
    sleep 0.1
done
exit 4
END
chmod +x hooks/20-fails
start_agent PC-1 --mac 52:54:00:00:00:01 --once
await_exit PC-1 200
((exit_status == 1)) || fail "the agent whose program fails ends with $exit_status: $(<PC-1.log)"
[[ $(value PC-1 state) == failed && $(value PC-1 reason) == *"20-fails: exit status 3: no such printer" ]] ||
    fail "PC-1 is $(value PC-1 state): $(value PC-1 reason)"
[[ $(value PC-1 job) != "${job[PC-1]}" ]] || fail "redo did not make a new job"
cmp "$source" "${disk[PC-1]}"

# --- the history: each end, also from before the daemon was killed
"$seedbed" history --json --socket etc/socket >history.json
jq -e '[.deployments[] | .machine + " " + .state] | [first, (.[1:-1] | sort | .[]), last] == ["PC-1 failed", "PC-1 done", "PC-2 done", "PC-3 refused"]' \
    history.json >/dev/null || fail "the history: $(<history.json)"
jq -e --arg disk "${disk[PC-2]}" '.deployments[] | select(.machine == "PC-2") | .verified and .job and .device == $disk and
    .info_hash != null and .disk_bytes == 33554432 and .image_bytes == 33554432 and .fetched_bytes > 0 and .class != null' history.json >/dev/null ||
    fail "what PC-2 has reported: $(<history.json)"
"$seedbed" history --socket etc/socket >history.out
[[ $(tail -n 1 history.out) == *" PC-1 "*" failed "*"no such printer"* ]] || fail "the history does not end with PC-1: $(<history.out)"

# --- a reload takes new machines; the one that waited gets its job
printf '[[machine]]\nname = "PC-9"\nmac = "52:54:00:00:00:09"\nimage = "win"\ngrow = "last"\ndisk = "%s"\nafter = "wait"\n' "${disk[PC-1]}" >etc/machines.d/late.toml
kill -HUP "${daemon_pid[server]}"
expect_line server.log 'reload: 4 machines'
await_machine PC-9 '.state == "refused"' 90
expect_line stranger.log 'refused: .*win is a raw image: grow and new_ids are for packed images of disks'
stop_daemon server
pass
