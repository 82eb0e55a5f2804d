#!/bin/bash
# Failing disks: EIO on writes, on flushes, on reads of a source and on reading back; a disk that discards written data; a source
# that does not match its torrent. Each fails its image, in one line with device, offset and errno, and the image is never "done";
# another image is deployed at the same time. nbdkit and nbdfuse simulate the disks, with a loop device on top. SEEDBED is the
# program.
# Labels: alone
set -euo pipefail
# shellcheck source=lib_daemon.sh
. "$(dirname "$0")/lib_daemon.sh"

need_loop
need partclone.ext4 mkfs.ext4 ss
need_nbdfuse
can_mount ext4 || skip "the kernel does not support ext4"

size=48
truncate -s ${size}M source.img
source=$(attach_loop source.img)
make_file_system ext4 "$source" 24
capture ext4 "$source" good
(($(image_bytes good.info) > 24 << 20)) || fail "the test needs two pieces, to see which one differs"
read -r late_offset late_length <<<"$(extent good.info -1)" # in the last piece

seed_port=$(free_port)
write_config seed.toml "$seed_port"
write_config deploy.toml "$(free_port)"
# image NAME SOURCE TARGET: adds an image that is seeded from SOURCE and deployed to TARGET.
image() {
    [[ -e $1.torrent ]] || "$seedbed" create --partclone good.info --name "$1" -o "$1.torrent" >created
    add_image seed.toml "$1" "$1.torrent" "$2" seed
    add_image deploy.toml "$1" "$1.torrent" "$3" deploy "peers = [\"127.0.0.1:$seed_port\"]"
}
# source_of NAME: copies the source to an image file and prints its path.
source_of() {
    cp --sparse=always source.img "$1.source"
    echo "$work/$1.source"
}

# The disks fail from the beginning of the last extent on.
bad=$((late_offset / 4096 * 4096))
declare -A disk_of=()
# broken NAME METHOD=SCRIPT...: makes a disk in NAME.img that works except for these methods of nbdkit's eval plugin. In a script,
# $read and $write work as on a good disk, and $eio fails.
# shellcheck disable=SC2016
broken() {
    local name=$1 file=$work/$1.img pair
    local -A method=([get_size]="stat -c %s '$file'" [can_write]="exit 0" [can_flush]="exit 0" [flush]="sync '$file'"
        [pread]='eval "$read"' [pwrite]='eval "$write"')
    local read="dd if='$file' iflag=skip_bytes,count_bytes skip=\$4 count=\$3 bs=1M status=none"
    local write="dd of='$file' oflag=seek_bytes conv=notrunc seek=\$4 iflag=fullblock bs=1M status=none"
    local prelude="read=\"$read\"; write=\"$write\"; eio='echo EIO bad sector >&2; exit 1'; bad=$bad; work='$work'"
    shift
    for pair in "$@"; do
        method[${pair%%=*}]=${pair#*=}
    done
    local arguments=()
    for pair in "${!method[@]}"; do
        arguments+=("$pair=$prelude; ${method[$pair]}")
    done
    disk_of[$name]=$(start_nbd "$name" eval "${arguments[@]}")
}

image good "$source" "$(noise_file good.img $size && attach_loop good.img)"

# All writes fail.
noise_file write.img $size
touch write.trigger
disk_of[write]=$(start_nbd write --filter=error file write.img error=EIO error-pwrite-rate=100% \
    error-pwrite-file="$work/write.trigger")
image write "$(source_of write)" "${disk_of[write]}"

# In the scripts below, $3 is the length and $4 the offset.
# shellcheck disable=SC2016 # the disk expands them
{
    reaches='[ $(($4 + $3)) -gt $bad ]'
    # Only writes to the last extent fail.
    noise_file late_write.img $size
    broken late_write 'pwrite=if '"$reaches"'; then eval "$eio"; fi; eval "$write"'
    # All writes succeed, but the flush fails.
    noise_file flush.img $size
    broken flush 'flush=eval "$eio"'
    # All writes and flushes succeed, but reading back fails: reads fail from the first flush after a write, except for the single
    # pages that the kernel reads to write parts of them.
    noise_file read_back.img $size
    broken read_back 'pwrite=touch "$work/written"; eval "$write"' \
        'flush=if [ -e "$work/written" ]; then touch "$work/flushed"; fi' \
        'pread=if [ -e "$work/flushed" ] && [ $3 -gt 4096 ] && '"$reaches"'; then eval "$eio"; fi; eval "$read"'
    # The disk confirms the write of a page that it has discarded.
    noise_file lie.img $size
    broken lie 'pwrite=eval "$write"; if [ $4 -le $bad ] && '"$reaches"'; then
        head -c 4096 /dev/zero | tr "\\0" "\\245" | dd of="$work/lie.img" oflag=seek_bytes conv=notrunc seek=$bad status=none
    fi'
    # A source that cannot be read in the last extent.
    cp --sparse=always source.img bad_source.img
    broken bad_source 'pread=if '"$reaches"'; then eval "$eio"; fi; eval "$read"'
}
for name in late_write flush read_back lie; do
    image "$name" "$(source_of "$name")" "${disk_of[$name]}"
done
image bad_source "${disk_of[bad_source]}" "$(noise_file bad_source.target $size && attach_loop bad_source.target)"

# A source with one changed byte.
differs=$(source_of differs)
byte=$(od -An -tu1 -j "$((late_offset + late_length / 2))" -N 1 "$differs")
printf '%b' "\\x$(printf %x $((byte ^ 1)))" |
    dd of="$differs" oflag=seek_bytes conv=notrunc seek=$((late_offset + late_length / 2)) status=none
image differs "$differs" "$(noise_file differs.target $size && attach_loop differs.target)"

start_daemon seed seed.toml
start_daemon deploy deploy.toml

# failed DAEMON NAME PATTERN: fails unless the image has exactly one error line, which begins with PATTERN.
failed() {
    local lines
    expect_line "$1.log" " error $2: " 120
    lines=$(grep -E " error $2: " "$1.log" | cut -d ' ' -f 3-)
    [[ $lines =~ ^error\ $2:\ failed:\ $3 ]] || fail "$2: expected '$3', but the log says: $lines"
    echo "$lines"
    (($(wc -l <<<"$lines") == 1)) || fail "$2: more than one line"
}
errno='\(EIO\)'
expect_line deploy.log ' good: done: '
# A write that the page cache accepted fails during the flush: the write or the flush may report it first.
failed deploy write "(write|flush) ${disk_of[write]}: offset [0-9]+, length [1-9][0-9]*: .*$errno"
failed deploy late_write "(write|flush) ${disk_of[late_write]}: offset [0-9]+, length [1-9][0-9]*: .*$errno"
failed deploy flush "flush ${disk_of[flush]}: offset [0-9]+, length [1-9][0-9]*: .*$errno"
failed deploy read_back "read ${disk_of[read_back]}: offset [0-9]+, length [0-9]+: .*$errno"
failed deploy lie "${disk_of[lie]}: not verified: 1 of [0-9]+ pieces differ on the device, the first one at offset [0-9]+"
failed seed bad_source "read ${disk_of[bad_source]}: offset [0-9]+, length [0-9]+: .*$errno"
failed seed differs "$differs: does not match the torrent"

# The offsets lie in the bad range of the disk.
# within NAME LOG: fails unless "offset O, length L" in the image's line overlaps the bad range.
within() {
    local line
    line=$(grep -E " error $1: " "$2.log")
    [[ $line =~ offset\ ([0-9]+),\ length\ ([0-9]+) ]] || fail "$1: its line names no offset"
    ((BASH_REMATCH[1] + BASH_REMATCH[2] > bad)) || fail "$1: the bad range starts at $bad"
}
within read_back deploy
within bad_source seed
[[ $(grep -E ' error lie: ' deploy.log) =~ offset\ ([0-9]+),\ length\ ([0-9]+) ]]
((BASH_REMATCH[1] <= bad)) || fail "the discarded page is at $bad"

never_line deploy.log ' (write|late_write|flush|read_back|lie|bad_source|differs): done: '
never_line deploy.log ' (write|late_write|flush): durable'
never_line deploy.log ' (bad_source|differs): downloaded'
never_line deploy.log 'failed its hash check'
expect_line deploy.log ' read_back: durable'
expect_line deploy.log ' lie: durable'
stop_daemon deploy 30
stop_daemon seed
compare_extents good.info "$source" good.img
! /usr/bin/python3 "$here/lib_extents.py" equal good.info "$source" lie.img 2>where || fail "the disk has not discarded a page"
at=$(grep -oE '[0-9]+$' where)
((at >= late_offset && at < bad + 4096)) || fail "the disk has discarded another page: $(<where)"

# A write that fails immediately names its offset. No disk here can fail so, since the page cache accepts every write: strace makes
# the system call fail.
if have_strace; then
    noise_file injected.img $size
    write_config injected.toml "$(free_port)"
    add_image injected.toml good good.torrent "$work/injected.img" deploy "peers = [\"127.0.0.1:$seed_port\"]"
    start_daemon seed seed.toml
    start_daemon injected injected.toml "${strace[@]}" -o trace -e trace=pwritev -e inject=pwritev:error=EIO:when=3
    failed injected good "write $work/injected.img: offset [0-9]+, length [0-9]+: .*$errno"
    never_line injected.log ' good: (downloaded|written|durable|done)'
    stop_daemon injected
    stop_daemon seed
else
    echo "SKIP a write that fails immediately: strace cannot be used"
fi

# A repaired disk can be deployed to, even if the page cache has yet to report the lost write of another program.
dd if=/dev/zero of="${disk_of[write]}" bs=1M count=1 status=none
rm write.trigger
write_config again.toml "$(free_port)"
add_image again.toml write write.torrent "${disk_of[write]}" deploy "peers = [\"127.0.0.1:$seed_port\"]"
start_daemon seed seed.toml
start_daemon again again.toml
expect_line again.log ' write: done: '
stop_daemon again
stop_daemon seed
compare_extents good.info "$source" write.img
pass
