#!/bin/bash
# `seedbed probe` on an image file and, if loop devices are available, on one: table, JSON, configuration and exit status.
# shellcheck disable=SC2317 # functions are called through check and trap
set -u
here=$(cd "$(dirname "$0")" && pwd)
seedbed=${SEEDBED:-$here/../../build/dev/seedbed}
work=$(mktemp -d)
loop=
failed=0

cleanup() {
    [ -z "$loop" ] || losetup -d "$loop"
    rm -rf "$work"
}
trap cleanup EXIT

# check LABEL COMMAND...: passes if the command succeeds.
check() {
    local label=$1
    shift
    if "$@"; then
        echo "PASS $label"
    else
        echo "FAIL $label"
        sed 's/^/    /' "$work/out" "$work/err"
        failed=1
    fi
}

# run STATUS ARGUMENT...: succeeds if `seedbed probe` exits with this status.
run() {
    local expected=$1 status
    shift
    "$seedbed" probe "$@" >"$work/out" 2>"$work/err"
    status=$?
    [ "$status" = "$expected" ] || { echo "exit status $status, expected $expected" >>"$work/err" && return 1; }
}

# field NAME VALUE: succeeds if the first device of the JSON document has this value.
field() {
    /usr/bin/python3 -c 'import json, sys
device = json.load(open(sys.argv[1]))["devices"][0]
for part in sys.argv[2].split("."): device = device[part]
sys.exit(json.dumps(device) != sys.argv[3])' "$work/out" "$1" "$2"
}

image=$work/image
truncate -s 5M "$image"
check "a table" run 0 "$image"
check "its heading" grep -q '^DEVICE  *CLASS  *SIZE .*THREADS  DEPTH  COALESCE.*  DIRECT  ENGINE  BECAUSE$' "$work/out"
check "its line" grep -qE "^$image  .*  5 MiB  .*  rw +[0-9]+ +[0-9]+ .* auto +auto +[^ ]" "$work/out"
check "JSON" run 0 --json "$image"
check "format of the JSON document" grep -q '^  "format": 1,$' "$work/out"
check "size in JSON" field size $((5 << 20))
check "kind in JSON" field block_device false
check "writable in JSON" field read_only false
check "direct I/O in JSON" field profile.direct_io '"auto"'
check "engine in JSON" field profile.io_engine '"auto"'
# The profile matches the class.
check "depth in JSON" /usr/bin/python3 -c 'import json, sys
device = json.load(open(sys.argv[1]))["devices"][0]
depth = {"hdd": 4, "sata_ssd": 16, "nvme": 64}[device["class"]]
sys.exit(device["profile"]["queue_depth"] != depth)' "$work/out"

check "one of two devices is missing: status" run 1 --json "$work/missing" "$image"
check "one of two devices is missing: the other is shown" field device "\"$image\""
check "one of two devices is missing: one line says so" \
    test "$(grep -c "^seedbed probe: $work/missing: " "$work/err") $(wc -l <"$work/err")" = "1 1"
check "a folder is not a device" run 1 "$work"
check "a character device is not accepted" run 1 /dev/full
check "no device given" run 2
check "an unknown option" run 2 --nonsense "$image"
check "help" run 0 --help

printf '[profile.%s]\nthreads = 7\n\n' hdd sata_ssd nvme >"$work/seedbed.toml"
check "profiles of a configuration" run 0 --json --config "$work/seedbed.toml" "$image"
check "profiles of a configuration: threads" field profile.threads 7
check "profiles of a configuration: keys that it does not set" field profile.io_engine '"auto"'
printf '[profile.%s]\nqueue_depth = 9\ndirect_io = true\nio_engine = "threads"\n' hdd sata_ssd nvme >"$work/seedbed.toml"
check "an engine of a configuration" run 0 --json --config "$work/seedbed.toml" "$image"
check "an engine of a configuration: depth" field profile.queue_depth 9
check "an engine of a configuration: direct I/O" field profile.direct_io true
check "an engine of a configuration: engine" field profile.io_engine '"threads"'
check "an engine of a configuration: table" run 0 --config "$work/seedbed.toml" "$image"
check "an engine of a configuration: its line" grep -qE "^$image  .*  rw +[0-9]+ +9 .* true +threads +[^ ]" "$work/out"
sed -i 's/^direct_io = true/direct_io = false/' "$work/seedbed.toml"
check "no direct I/O in a configuration" run 0 --json --config "$work/seedbed.toml" "$image"
check "no direct I/O in a configuration: shown" field profile.direct_io false
echo 'nonsense = 1' >>"$work/seedbed.toml"
check "a bad configuration" run 2 --config "$work/seedbed.toml" "$image"
check "a bad configuration: line number" grep -q "^$work/seedbed.toml:13: " "$work/err"

if loop=$(losetup -r -f -b 4096 --show "$image" 2>/dev/null); then
    check "a loop device" run 0 --json "$loop"
    check "a loop device: kind" field block_device true
    check "a loop device: sectors" field logical_sector_size 4096
    check "a loop device: read-only" field read_only true
    check "a loop device: evidence from its backing file" grep -qF "loop/backing_file=$image, " "$work/out"
else
    loop=
    echo "SKIP a loop device: cannot set one up"
fi
exit $failed
