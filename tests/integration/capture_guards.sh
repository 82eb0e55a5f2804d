#!/bin/bash
# What create refuses because the image would not be what its name says: parts of a file system, a hibernated Windows, a device
# whose content is ambiguous, compressed files; and that it shows partclone's warnings. SEEDBED is the program.
# Labels: once
set -euo pipefail
# shellcheck source=lib_daemon.sh
. "$(dirname "$0")/lib_daemon.sh"

need_loop
need partclone.ext4 partclone.ntfs partclone.btrfs mkfs.ext4 mkfs.btrfs mkfs.ntfs ntfscp ntfscat unshare gzip
export TMPDIR=$work/tmp
mkdir tmp

# refuse PATTERN ARGUMENT...: create refuses its source in one line and writes no file.
refuse() {
    local pattern=$1 status=0
    shift
    "$seedbed" create "$@" -o refused.torrent >stdout 2>stderr || status=$?
    ((status == 3)) || fail "create $*: exit status $status: $(<stderr)"
    grep -qE -e "$pattern" stderr || fail "create $*: '$(<stderr)' does not contain '$pattern'"
    [[ $(wc -l <stderr) -eq 1 && ! -e refused.torrent ]] || fail "create $*: $(<stderr)"
}
# accept ARGUMENT...: create makes a torrent; what it prints is in stderr.
accept() {
    "$seedbed" create "$@" -o accepted.torrent --force >stdout 2>stderr || fail "create $*: $(<stderr)"
}

# --- one of several devices

truncate -s 256M btrfs0.img btrfs1.img
mkfs.btrfs -q -f btrfs0.img btrfs1.img >mkfs.out 2>&1
for member in btrfs0.img btrfs1.img; do
    refuse "$member: it is one of 2 devices of its btrfs; an image of this device alone is incomplete" "$member" --capture
done

truncate -s 32M journal.img outside.img
journal=$(attach_loop journal.img)
mke2fs -q -O journal_dev -b 4096 "$journal"
mkfs.ext4 -q -F -b 4096 -J "device=$journal" outside.img 2>mkfs.out
refuse "outside.img: the journal of its file system is on another device" outside.img --capture
accept outside.img

# --- a hibernated Windows

truncate -s 64M ntfs.img
mkfs.ntfs -q -F -f ntfs.img >mkfs.out 2>&1
accept ntfs.img --capture
grep -q 'ntfs.img: the image leaves out the backup boot sector of NTFS at byte 67108352' stderr ||
    fail "create does not say what partclone leaves out: $(<stderr)"
head -c 64K /dev/zero >hiberfil.sys
ntfscp -f ntfs.img hiberfil.sys hiberfil.sys >ntfscp.out 2>&1
accept ntfs.img --capture # a file that was discarded
{ printf 'hibr' && head -c 64K /dev/zero; } >hiberfil.sys
ntfscp -f ntfs.img hiberfil.sys hiberfil.sys >ntfscp.out 2>&1
refuse "ntfs.img: Windows is hibernated on it, or was shut down with fast startup" ntfs.img --capture
accept ntfs.img --capture --allow-hibernated
unshare --mount sh -c 'mount --bind /dev/null "$(command -v ntfscat)" && exec "$@"' sh \
    "$seedbed" create ntfs.img --capture -o unknown.torrent >stdout 2>stderr || fail "without ntfscat: $(<stderr)"
grep -q "ntfs.img: cannot check for a hibernated Windows" stderr || fail "without ntfscat: $(<stderr)"

# --- several signatures

truncate -s 32M ext4.img
mkfs.ext4 -q -F ext4.img
cp ext4.img both.img
printf -- '-rom1fs-' | dd of=both.img conv=notrunc status=none
refuse 'both.img: several signatures \((romfs, ext4|ext4, romfs)\), of which only one can be valid' both.img --capture
accept both.img --capture --raw-if-needed
grep -q 'both.img: several signatures .*; taking a raw image' stderr || fail "$(<stderr)"

# --- files that are not images

gzip -k ext4.img
refuse 'ext4.img.gz: gzip-compressed data, not a raw image; unpack or convert it first' ext4.img.gz
accept ext4.img.gz --raw
partclone.ext4 -c -s ext4.img -o ext4.partclone -L partclone.log >partclone.out 2>&1
refuse 'ext4.partclone: a partclone image, not a raw image' ext4.partclone
refuse 'ext4.partclone: a partclone image, not a raw image' ext4.partclone --capture
printf '<!DOCTYPE html>\n<title>404</title>' >page.img
refuse 'page.img: an HTML page, not a raw image' page.img

# --- a warning of partclone's, which succeeds

cp "$(command -v partclone.ext4)" real
printf '#!/bin/sh\necho "WARNING: lseek error at 7"\nexec %q/real "$@"\n' "$work" >warns
chmod +x warns
unshare --mount sh -c 'mount --bind "$1" "$(command -v partclone.ext4)" && shift && exec "$@"' sh "$work/warns" \
    "$seedbed" create ext4.img --capture -o warned.torrent >stdout 2>stderr || fail "a warning: $(<stderr)"
grep -qx 'seedbed create: ext4.img: partclone.ext4: WARNING: lseek error at 7' stderr || fail "a warning: $(<stderr)"

# --- F2FS, which partclone opens exclusively

if has mkfs.f2fs partclone.f2fs; then
    truncate -s 128M f2fs.img
    f2fs=$(attach_loop f2fs.img)
    mkfs.f2fs -q "$f2fs" >mkfs.out 2>&1
    accept "$f2fs" --capture
    grep -q 'partclone.f2fs captured' stderr || fail "F2FS: $(<stderr)"
else
    echo "left out: F2FS, as mkfs.f2fs is not installed"
fi
[[ -z $(ls -A tmp) ]] || fail "left in TMPDIR: $(ls -A tmp)"
pass
