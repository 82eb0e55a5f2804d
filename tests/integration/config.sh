#!/bin/bash
# `seedbed daemon`: messages and exit statuses for its command line and configuration. An error is one line,
# "FILE:LINE: KEY: REASON", and nothing starts; --check-config shows what a valid configuration would do, and writes nothing.
# SEEDBED is the program.
# Labels: once
set -euo pipefail
# shellcheck source=lib_daemon.sh
. "$(dirname "$0")/lib_daemon.sh"

need ss

# run STATUS ARGUMENT...: runs seedbed daemon, with its output in stdout and stderr, for at most 120 s: every run here ends by itself.
run() {
    local want=$1 status=0
    shift
    timeout -k 5 120 "$seedbed" daemon "$@" >stdout 2>stderr </dev/null || status=$?
    ((status == want)) || fail "seedbed daemon $*: exit status $status instead of $want: $(cat stdout stderr)"
}
# said FILE PATTERN: fails unless the extended regular expression matches a whole line of FILE.
said() {
    grep -qxE -e "$2" "$1" || fail "$1 has no line '$2': $(<"$1")"
}
# only FILE LINES: fails unless FILE has exactly this many lines.
only() {
    (($(wc -l <"$1") == $2)) || fail "$1 does not have $2 lines: $(<"$1")"
}

# An image of 1 MiB, as partclone describes it.
head -c 1M /dev/urandom >source.img
{
    printf 'block_size: 512\nblocks_total: 2048\n'
    printf 'offset: %032x\nlength: %032x\n' 0 $((1 << 20))
    echo "sha1: $(sha1sum <source.img | cut -c 1-40)"
} >sda1.info
"$seedbed" create --partclone sda1.info --name sda1 -o sda1.torrent >created
hash=$(grep -oE '[0-9a-f]{40}$' created)
noise_file target.img 1
port=$(free_port)

# --- the command line
run 0 --help
said stdout 'Usage: seedbed daemon .*'
only stderr 0
run 2 --nonsense
said stderr "seedbed daemon: unrecognised option '--nonsense'; .*"
only stderr 1
run 2 --check
said stderr "seedbed daemon: unrecognised option '--check'; .*"
run 2 extra
said stderr 'seedbed daemon: too many arguments.*'
run 2 --config
said stderr "seedbed daemon: .*'--config'.*"

# --- unreadable files
for option in "" --check-config; do
    # shellcheck disable=SC2086 # none, or one
    run 2 --config missing.toml $option
    said stderr 'missing.toml: No such file or directory .*'
    only stderr 1
    only stdout 0
done
mkdir -p folder.toml
run 2 --config folder.toml
said stderr 'folder.toml: .*'
only stderr 1

# --- invalid configurations, with and without --check-config: nothing starts
# bad PLACE KEY REASON LINE...: expects a configuration of these lines to be refused with "bad.toml:PLACE: KEY: REASON".
bad() {
    local place=$1 key=$2 reason=$3 option
    shift 3
    printf '%s\n' "$@" >bad.toml
    for option in "" --check-config; do
        # shellcheck disable=SC2086 # none, or one
        run 2 -c bad.toml $option
        said stderr "bad.toml:$place: $key: $reason"
        only stderr 1
        only stdout 0
    done
}
image=('[[image]]' 'name = "sda1"' 'torrent = "sda1.torrent"' 'device = "target.img"' 'mode = "deploy"')
bad 1 syntax '.*' '[network'
bad 2 syntax '.*' '[log]' 'level = "info' '# no end'
bad 1 nonsense 'unknown key.*' 'nonsense = 1'
bad 2 network.listne 'unknown key.*' '[network]' 'listne = "127.0.0.1:1"'
bad 2 network.listen "'localhost:1' does not start with a literal address: .*" '[network]' 'listen = "localhost:1"'
bad 2 network.listen 'empty: .*' '[network]' 'listen = []'
bad 2 network.local_discovery '.*' '[network]' 'local_discovery = "no"'
bad 2 memory.pool '1 MiB is out of range: 16 MiB to 1 TiB' '[memory]' 'pool = "1 MiB"'
bad 2 memory.pool '.*' '[memory]' 'pool = "16 MB"'
bad 2 memory.cache '.*' '[memory]' 'cache = "all"'
bad 2 memory.cache '2 TiB is out of range: 0 B to 1 TiB' '[memory]' 'cache = "2 TiB"'
bad 2 memory.cache_shards '3 is not a power of two' '[memory]' 'cache_shards = 3'
bad 2 memory.huge_pages '.*' '[memory]' 'huge_pages = "no"'
bad 2 hashing.threads '0 is out of range: 1 to 1024' '[hashing]' 'threads = 0'
bad 2 hashing.ahead '.*' '[hashing]' 'ahead = 0'
bad 2 hashing.thraeds 'unknown key; did you mean threads\?' '[hashing]' 'thraeds = 2'
bad 2 log.level "'loud' is not known: expected error, warning, info, debug or trace" '[log]' 'level = "loud"'
bad 2 profile.hdd.threads '.*' '[profile.hdd]' 'threads = 0'
bad 2 profile.hdd.threads '.*' '[profile.hdd]' 'threads = "two"'
bad 2 profile.nvme.queue_depth '1025 is out of range: 1 to 1024' '[profile.nvme]' 'queue_depth = 1025'
bad 2 profile.nvme.direct_io 'expected true, false or "auto", found a string' '[profile.nvme]' 'direct_io = "yes"'
bad 2 profile.nvme.io_engine "'aio' is not known: expected auto, threads or io_uring" '[profile.nvme]' 'io_engine = "aio"'
bad 1 profile.floppy '.*' '[profile.floppy]' 'threads = 1'
bad 1 image.mode 'missing: .*' "${image[@]:0:4}"
bad 5 image.mode "'clone' is not known: expected seed or deploy" "${image[@]:0:4}" 'mode = "clone"'
bad 2 image.name "'a/b' is not a name: .*" '[[image]]' 'name = "a/b"' "${image[@]:2}"
bad 6 image.size '.*' "${image[@]}" 'size = "much"'
bad 6 image.allow_mounted 'only for mode "seed"' "${image[@]}" 'allow_mounted = true'
bad 5 image.verify 'expected a string, found a boolean' "${image[@]:0:4}" 'verify = true' 'mode = "seed"'
bad 6 image.peers '.*' "${image[@]}" 'peers = ["peer"]'
bad 6 image.trackers '.*' "${image[@]}" 'trackers = ["ftp://x"]'
bad 7 image.name "'sda1' is already at bad.toml:2" "${image[@]}" '[[image]]' 'name = "sda1"' 'torrent = "b.torrent"' \
    'device = "b.img"' 'mode = "deploy"'
bad 9 image.device "'$work/target.img' is already at bad.toml:4" "${image[@]}" '[[image]]' 'name = "b"' 'torrent = "b.torrent"' \
    "device = \"$work/target.img\"" 'mode = "deploy"'

# All errors are reported at once, by file and line.
mkdir -p etc/images.d
printf '%s\n' '[network]' 'listen = "nonsense"' '[memory]' 'pool = 1' '[log]' 'levle = "info"' >etc/seedbed.toml
printf '%s\n' "${image[@]:0:4}" 'mode = 3' >etc/images.d/one.toml
printf '%s\n' '[log]' 'level = "info"' >etc/images.d/two.toml
run 2 -c etc/seedbed.toml --check-config
only stderr 5
said stderr 'etc/seedbed.toml:2: network.listen: .*'
said stderr 'etc/seedbed.toml:4: memory.pool: .*'
said stderr 'etc/seedbed.toml:6: log.levle: unknown key.*'
said stderr 'etc/images.d/one.toml:5: image.mode: .*'
said stderr 'etc/images.d/two.toml:[0-9]+: log: .*only \[\[image\]\] tables are allowed in this folder.*'
only stdout 0

# --- valid configurations: --check-config shows what they would do, and does nothing
before=$(sha1sum target.img source.img sda1.torrent)
write_config good.toml "$port"
add_image good.toml sda1 sda1.torrent target.img deploy
run 0 --config good.toml --check-config
said stdout "sda1: deploy to $work/target.img: 1 MiB in 1 extents?, info-hash $hash; .*"
said stdout 'good.toml: 1 image, the configuration is valid'
only stderr 0
only stdout 2
write_config none.toml "$port"
run 0 --check-config --config none.toml
said stdout 'none.toml: 0 images, the configuration is valid'

# With every part of the engine switched off.
write_config off.toml "$port" '[memory]' 'cache = "0"' 'huge_pages = false' '[hashing]' 'ahead = false'
printf '[profile.%s]\ncoalesce = "16 KiB"\nread_ahead = "16 KiB"\ndirect_io = false\nio_engine = "threads"\n' \
    hdd sata_ssd nvme >>off.toml
run 0 --config off.toml --check-config
said stdout 'off.toml: 0 images, the configuration is valid'
only stderr 0

# Valid, but some images would fail: status 3, and a line for every image.
# torrent_of NAME: makes NAME.torrent, for an image of the same size with a different info-hash.
torrent_of() {
    "$seedbed" create --partclone sda1.info --name "$1" -o "$1.torrent" >created
}
truncate -s 1048064 small.img
add_image good.toml small small.torrent small.img deploy
add_image good.toml lost lost.torrent lost.img seed
add_image good.toml missing missing.torrent missing.img deploy
torrent_of small
torrent_of missing
run 3 -c good.toml --check-config
said stdout "sda1: deploy to $work/target.img: .*"
said stdout "small: would fail: $work/small.img: too small: it has 1048064 bytes, the image needs 1048576"
said stdout "lost: would fail: $work/lost.torrent: No such file.*"
said stdout "missing: would fail: $work/missing.img: No such file.*"
said stdout 'good.toml: 4 images, 3 would fail'
only stderr 0
[[ ! -e missing.img && ! -e lost.img && ! -e lost.torrent ]] || fail "--check-config created a file"
[[ $(stat -c %s small.img) == 1048064 ]] || fail "--check-config changed the size of a file"
[[ $(sha1sum target.img source.img sda1.torrent) == "$before" ]] || fail "--check-config wrote to a file"

# Two images with the same torrent, in two files: the check refuses the second one, in one line.
cp sda1.torrent again.torrent
noise_file again.img 1
write_config twice.toml "$port"
add_image twice.toml sda1 sda1.torrent target.img deploy
add_image twice.toml again again.torrent again.img deploy
run 3 -c twice.toml --check-config
said stdout "sda1: deploy to $work/target.img: .*"
said stdout "again: would fail: $work/again.torrent has the same info-hash as $work/sda1.torrent of image sda1"
said stdout 'twice.toml: 2 images, 1 would fail'
only stdout 3
only stderr 0
# The daemon serves the image that it opens first, and logs why the other one fails.
start_daemon twice twice.toml
expect_line twice.log " error (sda1|again): .*the torrent $hash is already served from $work/(target|again).img"
stop_daemon twice

# A failure to write the output fails the command.
status=0
"$seedbed" daemon -c none.toml --check-config >/dev/full 2>stderr || status=$?
((status == 1)) || fail "standard output is full: exit status $status"
said stderr 'seedbed daemon: cannot write to standard output'
for arguments in --help --version {daemon,deploy,status,verify,create,probe}\ --help; do
    status=0
    # shellcheck disable=SC2086 # two of them
    "$seedbed" $arguments >/dev/full 2>stderr || status=$?
    ((status == 1)) || fail "standard output is full: seedbed $arguments ends with $status"
    [[ $(<stderr) == *": cannot write to standard output" ]] || fail "seedbed $arguments says: $(<stderr)"
    "$seedbed" $arguments >stdout 2>stderr || fail "seedbed $arguments ends with $?"
    [[ -s stdout && ! -s stderr ]] || fail "seedbed $arguments prints nothing, or complains: $(<stderr)"
done

# --- an address in use: status 1, one line
exec {taken}< <(exec /usr/bin/python3 -c '
import signal, socket, sys
s = socket.socket()
s.bind(("127.0.0.1", int(sys.argv[1])))
s.listen()
print("listens", flush=True)
signal.pause()' "$port")
defer taken kill "$!"
read -r -t 60 -u "$taken" answer && [[ $answer == listens ]]
run 1 -c none.toml
(($(grep -c ' error ' stderr) == 1)) || fail "a port in use is not reported in one line: $(<stderr)"
grep -q " error listen on 127.0.0.1:$port: " stderr || fail "a port in use is not reported: $(<stderr)"

# An address of another machine: the same.
write_config away.toml "$port"
sed -i 's/127.0.0.1/192.0.2.1/' away.toml
run 1 -c away.toml
grep -q " error listen on 192.0.2.1:$port: " stderr || fail "an address of another machine is not reported: $(<stderr)"
pass
