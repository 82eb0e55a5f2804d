#!/bin/bash
# `seedbed probe` on real device classes: QEMU boots Debian's kernel with an NVMe disk, a multipath NVMe disk, SATA disks, virtio,
# USB, an SD card and devices stacked on them. Takes about 20 seconds and does not need root; downloads the kernel's package once
# (70 MB, kept in SEEDBED_CACHE). Exit status: 0 passed, 1 failed, 77 skipped.
# shellcheck disable=SC2054 # the commas belong to QEMU's options
set -u
here=$(cd "$(dirname "$0")" && pwd)
seedbed=${SEEDBED:-$here/../../build/dev/seedbed}
cache=${SEEDBED_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/seedbed}
# shellcheck source=qemu/kernel.sh
. "$here/qemu/kernel.sh"

skip() {
    echo "SKIP qemu_device_classes: $1"
    exit 77
}

fail() {
    echo "FAIL qemu_device_classes: $1"
    tail -n 20 "$work/console" 2>/dev/null
    exit 1
}

for program in qemu-system-x86_64 busybox cpio python3 apt-get dpkg-deb; do
    command -v "$program" >/dev/null || skip "$program is missing"
done
busybox=$(command -v busybox)
if ldd "$busybox" >/dev/null 2>&1; then
    skip "$busybox is not static (package busybox-static)"
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
[ -x "$seedbed" ] || fail "$seedbed is not a program; set SEEDBED to one"
kernel=$(unpack_kernel "$cache" 2>"$work/reason") || skip "no kernel: $(tail -n 1 "$work/reason")"

# Adds QEMU's arguments for a new disk image of $1 MiB with the id dSIZE and the further options $2.
args=()
add_drive() {
    truncate -s "$1M" "$work/$1.img"
    args+=(-drive "if=none,id=d$1,format=raw,file=$work/$1.img${2:-}")
}
add_drive 64
args+=(-device nvme,serial=single,drive=d64)
add_drive 65
args+=(-device nvme-subsys,id=subsystem -device nvme,serial=multi,subsys=subsystem
    -device nvme,serial=multi,subsys=subsystem
    -device nvme-ns,drive=d65,shared=on,logical_block_size=4096,physical_block_size=4096)
add_drive 66
add_drive 67
args+=(-device ahci,id=ahci -device ide-hd,bus=ahci.0,drive=d66,rotation_rate=7200
    -device ide-hd,bus=ahci.1,drive=d67,rotation_rate=1)
add_drive 68 ,readonly=on
args+=(-device virtio-blk-pci,drive=d68)
add_drive 69
add_drive 70
args+=(-device qemu-xhci,id=xhci -device usb-storage,bus=xhci.0,drive=d69
    -device usb-uas,id=uas,bus=xhci.0 -device scsi-hd,bus=uas.0,drive=d70,rotation_rate=1)
add_drive 71
args+=(-device virtio-scsi-pci,id=scsi -device scsi-hd,bus=scsi.0,drive=d71,rotation_rate=7200)
add_drive 128 # an SD card's size is a power of two
args+=(-device sdhci-pci -device sd-card,drive=d128)

root=$work/root
mkdir -p "$root"/{bin,sbin,proc,sys,dev,run}
modules=(nvme ahci sd_mod virtio_blk virtio_pci virtio_scsi usb_storage uas xhci_pci sdhci_pci mmc_block dm_mod loop)
copy_modules "$kernel" "$root" "${modules[@]}" || fail "cannot copy the kernel's modules"
printf '%s\n' "${modules[@]}" >"$root/modules"
find "$work" -name '*.img' | wc -l >"$root/disks"
install -m 755 "$here/qemu/init" "$root/init"
install -m 755 "$busybox" "$root/bin/busybox"
ln -s ../bin/busybox "$root/sbin/modprobe"
copy_program "$seedbed" "$root" || fail "cannot copy $seedbed"
ln -s "$(readlink -f "$seedbed")" "$root/seedbed"
if dmsetup=$(PATH=$PATH:/usr/sbin:/sbin command -v dmsetup); then
    copy_program "$dmsetup" "$root" || fail "cannot copy $dmsetup"
fi
(cd "$root" && find . | cpio --quiet -o -H newc | gzip -1) >"$work/initrd" || fail "cannot make the initramfs"

timeout 300 qemu-system-x86_64 -accel tcg -m 512 -nodefaults -display none -no-reboot \
    -kernel "$kernel"/boot/vmlinuz-* -initrd "$work/initrd" \
    -append "console=ttyS0 quiet panic=-1 usb_storage.delay_use=0" \
    -serial "file:$work/console" -serial "file:$work/probed.json" -serial "file:$work/status" "${args[@]}" ||
    fail "QEMU ended with exit status $?"
[ "$(tr -d '\r\n' <"$work/status")" = 0 ] || fail "seedbed probe in the guest: exit status '$(cat "$work/status")'"
/usr/bin/python3 "$here/qemu/check_probe.py" "$work/probed.json" || fail "classes are not as expected"
