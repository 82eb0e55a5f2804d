#!/bin/bash
# Least privilege: a daemon that only seeds opens no device for writing, from start through service to stop, and serves a device
# that the kernel has set read-only. A daemon that deploys opens only its target for writing. SEEDBED is the program.
# Labels: once
set -euo pipefail
# shellcheck source=lib_daemon.sh
. "$(dirname "$0")/lib_daemon.sh"

need_loop
have_strace || skip "strace cannot be used"

head -c 16M /dev/urandom >source
noise_file target 16
source=$(attach_loop source --read-only)
target=$(attach_loop target)
"$seedbed" create "$source" --name sda1 --piece-size "1 MiB" -o sda1.torrent >created

trace=("${strace[@]}" -e trace=open,openat,openat2)
write_config seed.toml 6881
add_image seed.toml sda1 sda1.torrent "$source" seed
start_daemon seed seed.toml "${trace[@]}" -o seed.trace
expect_line seed.log ' sda1: seeding$'
write_config deploy.toml 6882
add_image deploy.toml sda1 sda1.torrent "$target" deploy 'peers = ["127.0.0.1:6881"]'
start_daemon deploy deploy.toml "${trace[@]}" -o deploy.trace
expect_line deploy.log ' sda1: done: '
cmp source target
kill -HUP "${daemon_pid[seed]}"
expect_line seed.log ' reload: '
stop_daemon deploy 30
stop_daemon seed 30

# opened TRACE FLAGS: the device nodes that were opened with these flags. /proc/self/fd leads to a device that is open already.
opened() {
    grep -E "\"(/dev/|/proc/self/fd/)[^\"]*\", [A-Z_|]*($2)" "$1" | grep -v '"/dev/null"' | sed 's/^[^"]*"\([^"]*\)".*/\1/' | sort -u
}
reads=$(opened seed.trace O_RDONLY || true)
[[ $reads == *"$source"* ]] || fail "the trace of the seed does not show that it opens $source: $reads"
writes=$(opened seed.trace 'O_RDWR|O_WRONLY' || true)
[[ -z $writes ]] || fail "a daemon that only seeds opens for writing: $writes"
writes=$(opened deploy.trace 'O_RDWR|O_WRONLY' || true)
[[ $writes == *"$target"* ]] || fail "the trace of the deployment does not show that it opens $target for writing: $writes"
echo "opened for reading by the seed: $reads"
pass
