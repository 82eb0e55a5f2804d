#!/usr/bin/env bash
# A deployed disk boots: packs a disk with Debian 12 (GPT; GRUB for BIOS and for UEFI), deploys it from a daemon to a disk of the same size
# and to a larger one whose last partition grows, and boots each in QEMU without KVM, with BIOS and with UEFI, to a login prompt on the
# serial port. Not a ctest test: it takes some minutes, and the first run downloads about 150 MB of packages (kept in SEEDBED_CACHE,
# ~/.cache/seedbed by default).
#
# Usage: tests/packed_boot.sh [SECONDS]     the time limit without the download, 1800 by default
#
# Needs root, loop devices, 3 GiB of free memory, debootstrap, qemu-system-x86, ovmf, grub-pc-bin and grub-efi-amd64-bin. SEEDBED is the
# program, by default build/dev/seedbed. Exit status: 0 passed, 77 skipped, anything else failed.
set -euo pipefail
limit=${1:-1800}
tests=$(dirname "$(readlink -f "$0")")
SEEDBED=${SEEDBED:-$tests/../build/dev/seedbed}
# Before lib_daemon.sh, which leaves the machine's network.
# shellcheck source-path=SCRIPTDIR source=lib_booted.sh
. "$tests/lib_booted.sh"
debian_tree linux-image-cloud-amd64,initramfs-tools,zstd,systemd-sysv,udev,e2fsprogs
# shellcheck source-path=SCRIPTDIR source=integration/lib_daemon.sh
. "$tests/integration/lib_daemon.sh"
# shellcheck source-path=SCRIPTDIR source=../packaging/boot/lib_virtual.sh
. "$tests/../packaging/boot/lib_virtual.sh"

need_loop
missing=$(missing_packages qemu-system-x86_64:qemu-system-x86 partclone.ext4:partclone partclone.vfat:partclone mkfs.ext4:e2fsprogs \
    mkfs.vfat:dosfstools mcopy:mtools sfdisk:fdisk jq:jq python3:python3 grub-mkimage:grub-common)$(missing_firmware)
[[ -z $missing ]] || skip "not installed:$missing"
[[ -d $tree ]] || skip "$tree is missing: debootstrap is not installed"
say() { printf '[%3d s] %s\n' $SECONDS "$*"; }
SECONDS=0 # without the download
echo "a packed Debian, deployed and booted"
echo "  ran on $(nproc) CPUs ($(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1)), Linux $(uname -r), $(qemu-system-x86_64 --version | head -n 1)"
echo

# --- the model disk: what an installation has, and a unit that writes to the serial port what this boot sees
mount_at layer -t tmpfs tmpfs
mkdir layer/upper layer/work root
mount -t overlay -o "lowerdir=$tree,upperdir=$work/layer/upper,workdir=$work/layer/work" overlay root
defer "$work/root" umount "$work/root"
echo golden >root/etc/hostname
: >root/etc/machine-id
printf 'LABEL=golden / ext4 errors=remount-ro 0 1\nLABEL=ESP /boot/efi vfat umask=0077,x-systemd.device-timeout=20min 0 1\n' >root/etc/fstab
rm -rf root/var/cache/apt/*.bin root/var/lib/apt/lists/*
mkdir -p root/boot/grub root/boot/efi
# no_timer_check: if QEMU gets too little processor time, the kernel would conclude that its timer does not work.
cat >root/boot/grub/grub.cfg <<'END'
linux /vmlinuz root=LABEL=golden ro no_timer_check console=tty0 console=ttyS0,115200
initrd /initrd.img
boot
END
mkdir root/etc/systemd/system.conf.d
# A machine without KVM may be slow.
printf '[Manager]\nDefaultTimeoutStartSec=20min\n' >root/etc/systemd/system.conf.d/slow.conf
printf '[Unit]\nJobRunningTimeoutSec=20min\n' >root/etc/systemd/system/dev-ttyS0.device
cat >root/etc/systemd/system/seen.service <<'END'
[Unit]
Description=Write to the serial port what this boot sees
After=local-fs.target
Before=serial-getty@ttyS0.service
[Service]
Type=oneshot
StandardOutput=tty
TTYPath=/dev/ttyS0
ExecStart=/bin/sh -c 'firmware=BIOS; [ ! -d /sys/firmware/efi ] || firmware=UEFI; \
    echo "seen: $$firmware, / of $$(df --output=size -m / | tail -n 1 | tr -d " ") MiB on $$(findmnt -no SOURCE /), $$(findmnt -no SOURCE /boot/efi)"'
[Install]
WantedBy=multi-user.target
END
mkdir -p root/etc/systemd/system/multi-user.target.wants
ln -s ../seen.service root/etc/systemd/system/multi-user.target.wants/
used=$(du -sm root | cut -f 1)
make_boot_disk golden.img 1024 root golden
unmount root
unmount layer
say "a disk of 1024 MiB with Debian $(<"$tree/etc/debian_version"), $used MiB of files, kernel $(basename "$tree"/boot/vmlinuz-*)"

# --- packed and served
model=$(attach_loop golden.img -r)
"$seedbed" create "$model" --pack -o golden.sbi >created 2>progress || fail "create: $(<progress)"
detach_loop "$model"
say "packed: $(($(stat -c %s golden.sbi) >> 20)) MiB"
port=$(free_port)
tracker=$(free_port)
printf '%s\n' '[control]' 'socket = "socket"' '[tracker]' "listen = \"127.0.0.1:$tracker\"" '[network]' "listen = \"127.0.0.1:$port\"" \
    'local_discovery = false' >seedbed.toml
add_image seedbed.toml golden "$work/golden.torrent" "$work/golden.sbi" seed
start_daemon server seedbed.toml
expect_line server.log ' ready'

# --- deployed to disks that hold something else
# deploy NAME MIB OPTION...
deploy() {
    local name=$1 device status=0
    noise_file "$name.img" "$2"
    device=$(attach_loop "$name.img")
    "$seedbed" deploy golden --server "127.0.0.1:$tracker" "$device" --yes --listen "127.0.0.1:$(free_port)" --no-local-discovery \
        --receipt "$name.json" "${@:3}" >"$name.log" 2>&1 || status=$?
    ((status == 0)) || fail "deploy to $name: exit status $status"
    jq -e .verified "$name.json" >/dev/null || fail "$name is not verified"
    "$seedbed" verify golden.torrent "$device" >verify.log 2>&1 || fail "verify of $name"
    detach_loop "$device"
    say "$name ($2 MiB): $(grep -a ': done: ' "$name.log" | tail -n 1 | sed 's/^.*: done: //')"
}
deploy same 1024
deploy larger 1536 --grow last

# --- booted. The disks stay as they were deployed: QEMU keeps what the machines write.
# boot NAME FIRMWARE BUS
boot() {
    local name=$1-$2
    machine_options "$name" "$2" "$3" 512
    qemu-system-x86_64 "${machine_options[@]}" -snapshot -drive "if=none,id=disk,format=raw,file=$1.img" -nic none </dev/null >"$name.qemu" 2>&1 &
    machine_pids+=("$!")
    defer "$name" end_process "$!"
}
for name in same larger; do
    boot "$name" bios virtio
    boot "$name" uefi nvme
done
for machine in same-bios same-uefi larger-bios larger-uefi; do
    await "$machine.serial" '^seen: ' "$machine"
    await "$machine.serial" 'golden login:' "$machine"
    grep -aqi "^seen: ${machine#*-}, " "$machine.serial" || fail "$machine: another firmware"
    ! grep -aE 'FAILED|emergency mode' "$machine.serial" || fail "$machine: a unit has failed"
done
size() {
    grep -a '^seen: ' "$1-bios.serial" | sed 's/.* of \([0-9]*\) MiB.*/\1/'
}
(($(size larger) > $(size same) + 400)) || fail "/ has $(size larger) MiB on the larger disk, $(size same) MiB on the other"
stop_daemon server
say "all four boots reach the login prompt"
pass
