#!/bin/bash
# Power cuts: half of the time in the unit test, with new seeds; the other half with the program, on a disk whose cache forgets
# (nbdkit's cache filter under nbdfuse). At random moments the program, or the disk's cache together with the program, is killed
# with SIGKILL. After each end, every piece that the checkpoint claims must be on the disk; after each deployment, every byte.
# Usage: SEEDBED=PROGRAM power_cuts.sh [MINUTES]; 5 minutes by default. Run as root, for FUSE. test_runner is next to PROGRAM, in tests/.
set -euo pipefail
minutes=${1:-5}
tests=$(dirname "$(readlink -f "${SEEDBED:?the seedbed program}")")/tests
# shellcheck source=faults/lib_faults.sh
. "$(dirname "$(readlink -f "$0")")/faults/lib_faults.sh"

need_root
need_nbdfuse
[[ -x $tests/test_runner ]] || fail "$tests/test_runner is missing"

# --- in one process

name='a checkpoint claims no piece that a power cut at a random moment has lost'
end=$((SECONDS + minutes * 30))
for ((runs = 0; SECONDS < end; runs++)); do
    seed=$((RANDOM << 15 | RANDOM))
    SEEDBED_TEST_SEED=$seed "$tests/test_runner" "$name" >unit.log 2>&1 ||
        { cat unit.log; fail "SEEDBED_TEST_SEED=$seed test_runner '$name'"; }
done
echo "in one process: $runs seeds of 250 power cuts each"

# --- on a disk that forgets

# power_on: mounts the disk, whose cache is empty; sets disk, nbdkit and nbdfuse.
power_on() {
    local folder=$work/nbd
    disk=$folder/disk
    mkdir -p "$folder"
    rm -f socket
    nbdkit -f -U "$work/socket" --filter=cache file "$work/sda1.img" cache=writeback </dev/null >nbdkit.log 2>&1 &
    nbdkit=$!
    defer nbdkit end_nbdkit "$nbdkit"
    await "[[ -S socket ]]"
    nbdfuse "$disk" "nbd+unix:///?socket=$work/socket" </dev/null >nbdfuse.log 2>&1 &
    nbdfuse=$!
    defer nbdfuse unmount_disk "$folder"
    await "[[ -e $disk ]]"
}
end_nbdkit() {
    ! kill -0 "$1" 2>/dev/null || kill -KILL "$1"
}
unmount_disk() {
    fusermount3 -u "$1"
}
await() {
    local i
    for ((i = 0; i < 200; i++)); do
        ! eval "$1" || return 0
        sleep 0.05
    done
    fail "does not happen: $1"
}
# power_cut: what the disk has not been told to flush is lost; then the program ends.
power_cut() {
    kill -KILL "$nbdkit"
    { wait "$nbdkit"; } 2>/dev/null || true # suppresses bash's message
    [[ -z ${1:-} ]] || kill_daemon deploy
    undo nbdfuse
    wait "$nbdfuse" || true
    undo nbdkit
}
# check_claims: every piece of the checkpoint must be on the disk; adds their number to claims.
check_claims() {
    local file count
    for file in "$STATE_DIRECTORY"/*.resume; do
        [[ -e $file ]] || return 0 # the folder may be missing, too
    done
    count=$(/usr/bin/python3 "$here/lib_checkpoint.py" compare "$file" sda1.img sda1.expected $mib 0:6291456 9437184:5242880 \
        18874368:6287872) || fail "$count"
    claims=$((claims + count))
}

make_image sda1
seed_lines=('upload_limit = "12 MiB"')
seed sda1
usual_lines=('[memory]' 'pool = "32 MiB"' '[resume]' 'interval = "50 ms"')
cuts=0 kills=0 claims=0
end=$((SECONDS + minutes * 30))
for ((rounds = 0; SECONDS < end; rounds++)); do
    noise_file sda1.img 24
    rm -rf "$STATE_DIRECTORY"
    power_on
    rm -f deploy.toml
    add_target sda1 "$disk"
    while true; do
        start_daemon deploy deploy.toml
        # Most of a deployment takes about two seconds.
        if wait_for_line deploy.log ' sda1: done: ' "$((RANDOM % 2)).$((RANDOM % 10))" >found; then
            break
        fi
        if ((RANDOM % 3 == 0)); then
            kill_daemon deploy
            kills=$((kills + 1))
            continue
        fi
        power_cut and_program
        cuts=$((cuts + 1))
        check_claims
        power_on
    done
    stop_daemon deploy
    power_cut
    check_claims
    deployed sda1
done
((claims > 0)) || fail "no checkpoint claimed a piece"
echo "with the program: $rounds deployments, $cuts power cuts, $kills kills; $claims claimed pieces were on the disk"
