#!/bin/bash
# A complete deployment without manual steps: one server serves an image of a real file system to eight machines, which know only its
# tracker. Their disks are of several classes; one machine is killed half-way and restarted, another has a failing disk. The server
# counts, names the missing hosts and reports completion; the receipts and the log agree with a comparison of the disks. SEEDBED is
# the program.
# shellcheck disable=SC2046 # $(on_host NAME) is several words
set -euo pipefail
# shellcheck source=lib_daemon.sh
. "$(dirname "$0")/lib_daemon.sh"
# shellcheck source=lib_network.sh
. "$here/lib_network.sh"

need_loop
need_hosts
need_nbdfuse
need partclone.ext4 mkfs.ext4 jq curl promtool
can_mount ext4 || skip "the kernel does not support ext4"

size=120 # MiB
add_host server
for number in {1..8}; do
    add_host "t$number"
done
tracker=http://${address[server]}:6969/announce

# --- prepare and create

truncate -s ${size}M source
source=$(attach_loop source)
make_file_system ext4 "$source" 64
capture ext4 "$source" reference # made by partclone alone, for comparison
"$seedbed" create "$source" --capture --name sda1 --tracker "$tracker" -o sda1.torrent --json >created.json
jq -e '.pieces >= 5' created.json >/dev/null || fail "created: $(<created.json)"

# --- serve

printf '#!/bin/bash\ncat >"$1"\n' >hook
chmod 755 hook
host_config server.toml server 'local_discovery = false' '[metrics]' "listen = \"${address[server]}:9150\""
add_image server.toml sda1 sda1.torrent "$source" seed 'expect = 8' "on_complete = [\"hook\", \"$work/complete.json\"]"
start_daemon server server.toml $(on_host server)
expect_line server.log ' ready$'

# --- eight machines start

# start_target NAME DEVICE OPTION...: starts a deployment in the background.
start_target() {
    local name=$1 device=$2
    shift 2
    start_process "$name" $(on_host "$name") "$seedbed" deploy sda1.torrent "$device" --yes --no-local-discovery \
        --state "$work/state-$name" --receipt "$work/$name.json" "$@"
}
# expect_status NAME STATUS: waits for the deployment; fails unless it ends with STATUS.
expect_status() {
    local status=0
    wait "${process_pid[$1]}" || status=$?
    [[ $status -eq $2 ]] || fail "$1 ended with status $status, not $2: $(tail -5 "$1.log")"
}
declare -A disk=()
for number in {1..7}; do
    noise_file "t$number.img" $size
    disk[t$number]=$(attach_loop "t$number.img")
done
noise_file t8.img $size
touch t8.trigger
disk[t8]=$(start_nbd t8 --filter=error file t8.img error=EIO error-pwrite-rate=100% error-pwrite-file="$work/t8.trigger")

# The seventh, on a slow link, is killed when it has a piece that is in neither end of the image, and lacks at least another whole one.
half_way() {
    curl -s --unix-socket server.sock http://seedbed/status | jq -e --arg host "${address[t7]}" \
        'any(.images[0].peers[]?; .address == $host and .progress > 0.5)' >/dev/null
}
slow=port${address[t7]##*.}
tc -n "$net-switch" qdisc add dev "$slow" root tbf rate 24mbit burst 64k latency 200ms
start_target t7 "${disk[t7]}"
for ((i = 0; i < 600; i++)); do
    ! half_way || break
    sleep 0.05
done
((i < 600)) || fail "t7 is not half-way"
kill -KILL "${process_pid[t7]}"
expect_status t7 137
! grep -q 'downloaded' t7.log || fail "t7 was not killed half-way: $(<t7.log)"
[[ ! -e t7.json ]] || fail "the killed deployment wrote a receipt: $(<t7.json)"

start_target t1 "${disk[t1]}" --profile hdd --seed-until-idle 3s
start_target t2 "${disk[t2]}" --profile nvme --seed-until-idle 3s
for number in 3 4 5 6; do
    start_target "t$number" "${disk[t$number]}" --seed-until-idle 3s
done
start_target t8 "${disk[t8]}"
for number in {1..6}; do
    expect_status "t$number" 0
done
expect_status t8 6
expect_line server.log " warning sda1: ${address[t8]} failed: (write|flush) .*Input/output error"

# --- the killed deployment resumes

tc -n "$net-switch" qdisc delete dev "$slow" root
start_target t7 "${disk[t7]}" --seed-until-idle 1s
expect_status t7 0
jq -e '.bytes.reused > 0 and .bytes.fetched < .bytes.image' t7.json >/dev/null || fail "t7 downloaded everything again: $(<t7.json)"
expect_line server.log " sda1: 7/8 complete \(.*; remaining: ${address[t8]}"
never_line server.log 'deployment complete|8/8'
[[ ! -e complete.json ]] || fail "the hook ran before all hosts were done"
on server curl -sf "http://${address[server]}:9150/metrics" >metrics
promtool check metrics <metrics || fail "promtool rejects the metrics"
"$seedbed" status --socket "$work/server.sock" >status.txt || fail "seedbed status: $(<status.txt)"
grep -q sda1 status.txt || fail "seedbed status: $(<status.txt)"

# --- the last machine gets a new disk

noise_file t8-new.img $size
disk[t8]=$(attach_loop t8-new.img)
start_target t8 "${disk[t8]}"
expect_status t8 0
expect_line server.log ' sda1: deployment complete: 8/8 in [0-9.ms]+$'
expect_line server.log " sda1: $work/hook: exit status 0"
jq -e '.complete == 8 and ([.hosts[].state] | unique == ["verified"])' complete.json >/dev/null ||
    fail "the hook received: $(<complete.json)"

# --- the proof

info_hash=$(jq -r .info_hash created.json)
for number in {1..8}; do
    compare_extents reference.info "$source" "${disk[t$number]}"
    gaps_are_noise reference.info "${disk[t$number]}"
    jq -e --arg hash "$info_hash" --arg device "${disk[t$number]}" --argjson bytes "$(image_bytes reference.info)" '
        .outcome == "done" and .verified == true and .image.info_hash == $hash and .device.path == $device and
        .bytes.image == $bytes and (.errors | length) == 0' "t$number.json" >/dev/null ||
        fail "the receipt of t$number: $(<"t$number.json")"
done
jq -se 'map(.device.profile) | unique == ["hdd", "nvme", "sata_ssd"]' t[1-8].json >/dev/null || fail "not all classes were used"
stop_daemon server
pass
