#!/usr/bin/env bash
# Demonstrates Seedbed on this machine and proves the result: captures an ext4 file system with more than 1 GiB of data with
# partclone, seeds it with one daemon from its loop device, and deploys it with another to a second loop device.
#
# Usage: sudo packaging/demo.sh
#
# Installs missing packages, builds the release preset, asks no questions, and leaves only packages and the build folder behind.
# Needs about 3 GiB in TMPDIR (default: /var/tmp), or 6 GiB if loop devices are unavailable and image files replace them.
# SEEDBED_PROGRAM names a program to use instead of building one. Exit status: 0 PASS, 1 FAIL.
set -euo pipefail

source_dir=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
python=/usr/bin/python3 # not that of a virtual environment
disk_size=2G
export PATH=$PATH:/usr/sbin:/sbin LC_ALL=C

say() { printf '\n== %s\n' "$*"; }
fail() {
  local log
  # The last log lines of both daemons.
  for log in "${work:-/nonexistent}"/{seeding,deploying}.log; do
    [[ ! -s $log ]] || { echo "-- the ${log##*/}:" && tail -n 15 "$log"; }
  done
  printf '\nFAIL: %s\n' "$1"
  exit 1
}

((EUID == 0)) || { echo "demo.sh: run it as root: sudo packaging/demo.sh" >&2 && exit 1; }

work=
pids=()   # background processes, in the order of their start
mounts=() # mount points
loops=()  # loop devices
# shellcheck disable=SC2317 # called by trap
cleanup() {
  local status=$? pid item
  trap '' INT TERM HUP # nothing interrupts the clean-up
  set +e
  for pid in "${pids[@]}"; do
    kill -TERM "$pid" 2>/dev/null
  done
  for pid in "${pids[@]}"; do
    await_end "$pid" 10 || kill -KILL "$pid" 2>/dev/null
    wait "$pid" 2>/dev/null
  done
  for item in "${mounts[@]}"; do
    ! mountpoint -q "$item" || umount "$item" || umount --lazy "$item"
  done
  for item in "${loops[@]}"; do
    losetup -d "$item"
  done
  [[ -z $work ]] || rm -rf --one-file-system "$work"
  exit "$status"
}
trap cleanup EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# await_end PID SECONDS: waits until the process ends; fails if it still runs after that time.
await_end() {
  local tenths
  for ((tenths = 0; tenths < $2 * 10; ++tenths)); do
    kill -0 "$1" 2>/dev/null || return 0
    sleep 0.1
  done
  return 1
}

# as_owner COMMAND...: runs the command as the owner of the source folder, so that a build under sudo leaves no files of root.
as_owner() {
  local owner home
  owner=$(stat -c %U "$source_dir")
  home=$(getent passwd "$owner" | cut -d: -f6) || true
  if [[ $owner == root || -z $home ]]; then
    "$@"
  else
    runuser -u "$owner" -- env HOME="$home" "$@"
  fi
}

say "packages"
"$source_dir/packaging/setup.sh" demo

seedbed=${SEEDBED_PROGRAM:-}
if [[ -z $seedbed ]]; then
  say "build"
  cd "$source_dir"
  as_owner cmake --preset release -Wno-dev --log-level=WARNING
  as_owner cmake --build --preset release --target seedbed
  seedbed=$source_dir/build/release/seedbed
fi
[[ -x $seedbed ]] || fail "$seedbed is not a program"
seedbed=$(readlink -f "$seedbed")

work=$(mktemp -d "${TMPDIR:-/var/tmp}/seedbed-demo-XXXXXX")
cd "$work"
mkdir captured mnt-source mnt-target
# need_space MIB: fails unless the work folder has that much free space.
need_space() {
  local free
  free=$(df --output=avail -B 1M . | tail -n 1)
  ((free >= $1)) || fail "${work%/*} has ${free// /} MiB free, but needs $1; set TMPDIR to another folder"
}
need_space 3000
truncate -s "$disk_size" source.img target.img

# attach FILE: attaches a loop device and puts its name in $attached; fails if none is available.
attach() {
  attached=$(losetup --find --show "$1" 2>>losetup.log) || return 1
  loops+=("$attached")
}
detach_all() {
  local device
  for device in "${loops[@]}"; do
    losetup -d "$device"
  done
  loops=()
}

# mount_at DEVICE FOLDER OPTION...
mount_at() {
  local device=$1 folder=$2
  shift 2
  mounts+=("$work/$folder") # first, since a signal can arrive in between
  mount "$@" "$device" "$work/$folder"
}

# fill FOLDER: creates many files, large and small, in a tree with every kind of entry.
fill() {
  local i
  for i in 1 2 3 4; do
    head -c 272M /dev/urandom >"$1/large-$i"
    # A quarter of the small files each time, so that they lie between the large ones.
    awk -v RS='\0' -v ORS='\0' -v i="$i" 'NR % 4 == i - 1' "$work/small-files" |
      tar --null --no-recursion -T - -P -cf - 2>>"$work/tar.log" | tar -C "$1" -xf - 2>>"$work/tar.log"
  done
  # Delete some, so that the captured blocks form many extents, most of which are not multiples of 16 KiB.
  find "$1/usr" -type f -print0 | awk -v RS='\0' -v ORS='\0' 'NR % 5 == 0' | xargs -0 rm -f
  mkdir -m 1777 "$1/odd"
  truncate -s 64M "$1/odd/sparse"
  printf 'x' | dd of="$1/odd/sparse" bs=1 seek=23456789 conv=notrunc status=none
  ln -s ../large-1 "$1/odd/symbolic link"
  ln "$1/large-2" "$1/odd/hard-link"
  : >"$1/odd/empty"
  printf 'set-uid\n' >"$1/odd/owned"
  chown 1234:5678 "$1/odd/owned"
  chmod 4751 "$1/odd/owned"
}

say "an ext4 file system of $disk_size with data"
find /usr/include /usr/share -xdev -type f -size -256k -print0 >all-files 2>/dev/null || true
head -z -n 8000 all-files >small-files
small=$(tr -cd '\0' <small-files | wc -c)
((small >= 2000)) || fail "only $small small files in /usr/include and /usr/share to copy"

loop_mode=true
reason=
if ! attach source.img || ! attach target.img; then
  loop_mode=false
  reason=$(tail -n 1 losetup.log)
elif source=${loops[0]} target=${loops[1]} && mkfs.ext4 -q -F "$source" &&
  ! mount_at "$source" mnt-source 2>mount.log; then
  loop_mode=false
  reason=$(tail -n 1 mount.log)
fi
if $loop_mode; then
  echo "source $source, target $target"
  fill "$work/mnt-source"
  umount mnt-source
else
  detach_all
  echo "loop devices are unavailable (${reason:-no reason given}); using image files"
  need_space 6000 # both trees are copied out at the end
  source=$work/source.img target=$work/target.img
  mkdir tree
  fill "$work/tree"
  mkfs.ext4 -q -F -d tree "$source"
  rm -rf tree
fi

say "capture its used blocks with partclone"
partclone.ext4 -c -t -s "$source" -O captured --buffer_size 16777216 -L partclone.log >partclone.out 2>&1 || {
  tail -n 5 partclone.out
  fail "partclone.ext4 could not capture $source"
}
[[ -s captured/torrent.info ]] || fail "partclone.ext4 wrote no torrent.info"
"$seedbed" create --partclone captured/torrent.info --name demo -o demo.torrent || fail "seedbed create failed"

# Two free ports.
read -r seed_port deploy_port < <("$python" -c 'import socket
sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
print(*(s.getsockname()[1] for s in sockets))')

# configuration MODE DEVICE PORT: prints a configuration of one image, on the loopback interface only.
configuration() {
  cat <<END
[control]
socket = "$work/$1.sock"

[network]
listen = ["127.0.0.1:$3"]
local_discovery = false

[[image]]
name = "demo"
torrent = "$work/demo.torrent"
device = "$2"
mode = "$1"
END
}
configuration seed "$source" "$seed_port" >seeding.toml
{
  configuration deploy "$target" "$deploy_port"
  echo "peers = [\"127.0.0.1:$seed_port\"]"
} >deploying.toml

# Receives the messages of NOTIFY_SOCKET. Draws STATUS on standard error and prints one line: "seeding" or "failed: REASON".
cat >watch.py <<'END'
import os, re, socket, sys, time

path, name = sys.argv[1:]
terminal = sys.stderr.isatty()
receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
receiver.bind(path)
last_phase, last_line, ended = None, 0.0, False


def draw(phase, percent, rest):
    global last_phase, last_line
    now = time.monotonic()
    text = f"{phase} {percent}%{rest}" if percent is not None else f"{phase}{rest}"
    if terminal:
        filled = 100 if phase == "seeding" else int(percent or 0)
        bar = "#" * (filled * 30 // 100)
        width = (os.get_terminal_size(sys.stderr.fileno()).columns or 80) - 1
        sys.stderr.write("\r" + f"[{bar:<30}] {text}"[:width] + "\x1b[K")
    elif phase != last_phase or now - last_line >= 3:
        last_line = now
        sys.stderr.write(f"   {text}\n")
    last_phase = phase
    sys.stderr.flush()


while True:
    message = receiver.recv(65536).decode(errors="replace")
    for line in message.split("\n"):
        if ended or not line.startswith("STATUS="):
            continue
        for part in line.removeprefix("STATUS=").split("; "):
            match = re.fullmatch(re.escape(name) + r": (\w+)(?:: (.*)| (\d+)%(.*)|(.*))", part)
            if not match:
                continue
            phase, reason, percent, rest, tail = match.groups()
            draw(phase, percent, rest or tail or (": " + reason if reason else ""))
            if phase in ("seeding", "failed"):
                ended = True
                if terminal:
                    sys.stderr.write("\n")
                print("seeding" if phase == "seeding" else f"failed: {reason}", flush=True)
                # Keeps receiving, since the daemon sends messages until it ends.
END

# start WHAT: starts the daemon with WHAT.toml and waits until it seeds. Sets $daemon to its process id and $took to the milliseconds.
start() {
  local what=$1 verdict begin watch tenths
  "$python" watch.py "$work/$what.socket" demo >"$what.verdict" &
  watch=$!
  pids+=("$watch")
  for ((tenths = 0; tenths < 100; ++tenths)); do
    [[ ! -S $what.socket ]] || break
    sleep 0.1
  done
  mkdir "$what.state" "$what.run"
  begin=$(date +%s%N)
  NOTIFY_SOCKET=$work/$what.socket STATE_DIRECTORY=$work/$what.state RUNTIME_DIRECTORY=$work/$what.run \
    "$seedbed" daemon --config "$what.toml" >"$what.log" 2>&1 </dev/null &
  daemon=$!
  pids+=("$daemon")
  while [[ ! -s $what.verdict ]]; do
    kill -0 "$daemon" 2>/dev/null || fail "the $what daemon exited early"
    kill -0 "$watch" 2>/dev/null || fail "watch.py for the $what daemon exited early"
    (($(date +%s%N) - begin < 900 * 1000000000)) || fail "the $what daemon takes longer than 15 minutes"
    sleep 0.05
  done
  took=$((($(date +%s%N) - begin) / 1000000)) 
  verdict=$(<"$what.verdict")
  [[ $verdict == seeding ]] || fail "the $what daemon: ${verdict:-no status}"
}

# stop PID WHAT
stop() {
  local status=0
  kill -TERM "$1" 2>/dev/null || true
  await_end "$1" 30 || fail "the $2 daemon did not stop within 30 s"
  wait "$1" || status=$?
  ((status == 0)) || fail "the $2 daemon ended with exit status $status"
}

say "seed with one daemon, on port $seed_port"
start seeding
seeder=$daemon
say "deploy with another daemon, on port $deploy_port"
start deploying
deployer=$daemon
# The log line appears at about the same time.
for ((tenths = 0; tenths < 50; ++tenths)); do
  ! grep -q 'demo: done: ' deploying.log || break
  sleep 0.1
done
done_line=$(grep -o 'demo: done: .*' deploying.log | head -n 1) || fail "the deploying daemon seeds, but its log contains no 'done:'"
echo "$done_line"
stop "$deployer" deploying
stop "$seeder" seeding

say "compare source and target"
sync
if $loop_mode; then
  blockdev --flushbufs "$source" "$target"
fi
# Independent of Seedbed: compares the extents in torrent.info on both disks, and their hashes with those in torrent.info.
cat >compare.py <<'END'
import hashlib, os, sys

info, *paths = sys.argv[1:]
values = {"offset": [], "length": [], "sha1": []}
with open(info) as lines:
    for line in lines:
        key, value = line.split(":")
        if key in values:
            values[key].append(value.strip())
files = [os.open(path, os.O_RDONLY) for path in paths]
for file in files:
    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
piece_length, hashes = 16 << 20, []
digest, hashed, total = hashlib.sha1(), 0, 0


def part(file, offset, size):
    data = os.pread(file, size, offset)
    if len(data) != size:
        sys.exit(f"short read at {offset}")
    return data


for offset, length in zip(values["offset"], values["length"], strict=True):
    offset, end = int(offset, 16), int(offset, 16) + int(length, 16)
    while offset < end:
        size = min(end - offset, piece_length - hashed)
        source, target = (part(file, offset, size) for file in files)
        if source != target:
            first = next(i for i in range(size) if source[i] != target[i])
            sys.exit(f"source and target differ at byte {offset + first}")
        digest.update(target)
        hashed, offset, total = hashed + size, offset + size, total + size
        if hashed == piece_length:
            hashes.append(digest.hexdigest())
            digest, hashed = hashlib.sha1(), 0
if hashed:
    hashes.append(digest.hexdigest())
if hashes != values["sha1"]:
    sys.exit("the hashes of the pieces differ from torrent.info")
print(len(values["offset"]), len(hashes), total)
END
read -r extents pieces bytes < <("$python" compare.py captured/torrent.info "$source" "$target" 2>compare.log) ||
  fail "extents: $(tail -n 1 compare.log)"
echo "all $extents extents equal, all $pieces pieces have partclone's hashes ($((bytes >> 20)) MiB)"

e2fsck -fn "$target" >e2fsck.log 2>&1 || {
  tail -n 5 e2fsck.log
  fail "e2fsck finds errors in the target"
}
echo "e2fsck -fn: clean"

if $loop_mode; then
  mount_at "$source" mnt-source -o ro
  mount_at "$target" mnt-target -o ro
else
  # debugfs reports errors and continues; a file that it could not read is missing and found below.
  debugfs -R "rdump / $work/mnt-source" "$source" >debugfs.log 2>&1
  debugfs -R "rdump / $work/mnt-target" "$target" >>debugfs.log 2>&1
fi
# listing FOLDER: prints the modes, owners, sizes, times and links of its entries.
listing() {
  (cd "$1" && find . -printf '%P %y %m %U:%G %s %n %T@ %l\n' | sort)
}
listing mnt-source >source.list
listing mnt-target >target.list
if ! $loop_mode; then
  # Some times differ: those of folders that debugfs copied into, and of the entry that it wrote last.
  sed -i -E 's/ [0-9]+\.[0-9]+ / /' source.list target.list
fi
files=$(wc -l <target.list)
((files > 1000)) || fail "only $files files in the target"
cmp -s source.list target.list || fail "modes, owners, sizes or times differ: $(diff source.list target.list | sed -n 2p)"
diff -r --no-dereference mnt-source mnt-target >diff.log 2>&1 || fail "file trees differ: $(head -n 1 diff.log)"
echo "file trees equal: $files files and folders, with modes, owners, sizes and links"
if $loop_mode; then
  umount mnt-source mnt-target
fi

awk -v bytes="$bytes" -v ms="$took" 'BEGIN {
  printf "\nPASS: %.0f MiB deployed in %.1f s, from start to verified: %.0f MiB/s\n", bytes / 2^20, ms / 1000,
    bytes / 2^20 / (ms / 1000) }'
