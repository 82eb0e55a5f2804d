#!/bin/bash
# File systems deployed from one block device to another: one daemon seeds ext4, ntfs, xfs, btrfs and vfat, and another deploys
# them to devices filled with noise. Every extent is equal, no other byte has changed, the file system's own check passes, and the
# files are the same. Skips file systems whose tools are missing. SEEDBED is the program.
# Labels: once
set -euo pipefail
# shellcheck source=lib_daemon.sh
. "$(dirname "$0")/lib_daemon.sh"

need_loop
need partclone.ext4 mkfs.ext4 e2fsck ss

declare -A size=([ext4]=64 [ntfs]=64 [xfs]=300 [btrfs]=128 [vfat]=64) # MiB; close to the minimum that mkfs accepts
declare -A tools=([ext4]="e2fsck" [ntfs]="mkntfs ntfs-3g ntfsresize" [xfs]="mkfs.xfs xfs_repair"
    [btrfs]="mkfs.btrfs btrfs" [vfat]="mkfs.vfat mcopy mdel fsck.vfat")

# usable FS: succeeds if this machine can test FS; otherwise prints the reason.
usable() {
    local tool
    for tool in "partclone.$1" ${tools[$1]}; do
        command -v "$tool" >/dev/null || {
            echo "SKIP $1: $tool is not installed"
            return 1
        }
    done
    case $1 in
    ext4 | xfs | btrfs) can_mount "$1" || {
        echo "SKIP $1: the kernel does not support it"
        return 1
    } ;;
    ntfs) [[ -c /dev/fuse ]] || {
        echo "SKIP ntfs: no /dev/fuse"
        return 1
    } ;;
    esac
}

# check_file_system FS DEVICE: runs the file system's own check, read-only.
check_file_system() {
    case $1 in
    ext4) e2fsck -f -n "$2" ;;
    ntfs) ntfsresize --info --force --no-progress-bar "$2" ;;
    xfs) xfs_repair -n "$2" ;;
    btrfs) btrfs check --readonly --check-data-csum "$2" ;;
    vfat) fsck.vfat -n "$2" ;;
    esac >check.out 2>&1 || fail "$1: its check finds errors on $2: $(<check.out)"
}

# list_files FS DEVICE: prints the name and checksum of every file; mounts read-only, or uses mtools if the kernel has no vfat.
list_files() {
    if [[ $1 == vfat ]] && ! can_mount vfat; then
        mkdir copied
        mcopy -Q -n -s -i "$2" ::/ copied/ 2>mtools.out || fail "mcopy from $2: $(<mtools.out)"
        (cd copied && find . -type f -print0 | sort -z | xargs -0 sha1sum)
        rm -r copied
        return
    fi
    case $1 in
    ntfs)
        mkdir -p mounted
        ntfs-3g -o ro "$2" mounted || fail "$1: $2 cannot be mounted"
        defer "$work/mounted" umount "$work/mounted"
        ;;
    ext4) mount_at mounted -t ext4 -o ro,noload "$2" ;;
    xfs) mount_at mounted -t xfs -o ro,norecovery "$2" ;;
    btrfs) mount_at mounted -t btrfs -o ro "$2" ;;
    *) mount_at mounted -t "$1" -o ro "$2" ;;
    esac || fail "$1: $2 cannot be mounted"
    (cd mounted && find . -type f -print0 | sort -z | xargs -0 sha1sum)
    unmount mounted
}

seed_port=$(free_port)
write_config seed.toml "$seed_port"
write_config deploy.toml "$(free_port)"
declare -A source=() target=()
for fs in ext4 ntfs xfs btrfs vfat; do
    usable "$fs" || continue
    truncate -s "${size[$fs]}M" "$fs.source"
    source[$fs]=$(attach_loop "$fs.source")
    make_file_system "$fs" "${source[$fs]}"
    check_file_system "$fs" "${source[$fs]}"
    list_files "$fs" "${source[$fs]}" >"$fs.files"
    (($(wc -l <"$fs.files") > 500)) || fail "$fs: only $(wc -l <"$fs.files") files"
    capture "$fs" "${source[$fs]}" "$fs"
    echo "$fs: $(grep -c '^offset' "$fs.info") extents, $(image_bytes "$fs.info") bytes"
    noise_file "$fs.target" "${size[$fs]}"
    target[$fs]=$(attach_loop "$fs.target")
    add_image seed.toml "$fs" "$fs.torrent" "${source[$fs]}" seed
    add_image deploy.toml "$fs" "$fs.torrent" "${target[$fs]}" deploy "peers = [\"127.0.0.1:$seed_port\"]"
done
# The sources must not change while they are served: the targets are compared with the sources below.
sha1sum ./*.source >sources

start_daemon seed seed.toml
expect_line seed.log ' ready$'
start_daemon deploy deploy.toml
for fs in "${!target[@]}"; do
    expect_line deploy.log " $fs: done: " 120
done
never_line deploy.log 'failed:|failed its hash check'
stop_daemon deploy
stop_daemon seed
sha1sum --quiet -c sources || fail "a source has changed"

for fs in "${!target[@]}"; do
    compare_extents "$fs.info" "${source[$fs]}" "${target[$fs]}"
    gaps_are_noise "$fs.info" "${target[$fs]}"
    # The gaps contain noise, so only the extents can make this check pass.
    check_file_system "$fs" "${target[$fs]}"
    list_files "$fs" "${target[$fs]}" >"$fs.deployed"
    cmp "$fs.files" "$fs.deployed" || fail "$fs: the files differ"
done
pass
