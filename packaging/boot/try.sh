#!/bin/bash
# Shows the way from empty machines to deployed ones, on this machine alone: a server with the packed image of one disk, a DHCP server
# that knows nothing of it, and virtual machines (QEMU without KVM) of 512 MiB that boot over the network by iPXE and are deployed:
#
#   PC-1      a virtio disk of 2 GB, BIOS
#   PC-2      a SATA disk of 3 GB, BIOS
#   PC-3      an NVMe disk of 4 GB, UEFI
#   SMALL     a disk of 512 MB, too small for the image: is refused
#   STRANGER  no [[machine]] is written for it: waits, and nothing is written
#   USB-BIOS, USB-UEFI  boot the ISO from a USB drive; no [[machine]] either
#
# The first three reboot from their disks to a login prompt with their own host names. All of it is in two network namespaces and in one
# temporary folder, and needs no network but for Debian's packages.
#
# Usage: sudo packaging/boot/try.sh [SECONDS]
#   SECONDS  give up after this time (default: 7200)
#
# Environment: SEEDBED, the program (default: the installed one); DEB, its package, from which the boot image takes it (default: the
# program); MACHINES, the machines to start (default: all); AT_ONCE, how many of them run at the same time (default: one for each
# processor); TRY_DIR, a folder that keeps the boot image and the packed disk for the next time. Exit status: 0 all as said, 1 not.
set -euo pipefail

here=$(dirname "$(readlink -f "$0")")
limit=${1:-7200}
read -r -a machines <<<"${MACHINES:-PC-1 PC-2 PC-3 SMALL STRANGER USB-BIOS USB-UEFI}"
at_once=${AT_ONCE:-$(nproc)}
server=http://10.77.0.1:6969
space=seedbed-try-$$
export PATH=$PATH:/usr/sbin:/sbin LC_ALL=C

say() { printf '\n[%3d s] == %s\n' $SECONDS "$*"; }
fail() {
    printf '[%3d s] FAIL: %s\n' $SECONDS "$1"
    exit 1
}

# --- what it needs
[[ $limit =~ ^[0-9]+$ ]] || fail "'$limit' is not a number of seconds"
[[ $at_once =~ ^[1-9][0-9]*$ ]] || fail "AT_ONCE: '$at_once' is not a number of machines"
((EUID == 0)) || fail "needs root, for a network namespace"
missing=''
for need in qemu-system-x86_64:qemu-system-x86 dnsmasq:dnsmasq-base mmdebstrap:mmdebstrap partclone.ext4:partclone mkfs.ext4:e2fsprogs \
    mkfs.vfat:dosfstools mcopy:mtools sfdisk:fdisk losetup:mount ip:iproute2 python3:python3 openssl:openssl busybox:busybox-static \
    grub-mkimage:grub-common; do
    command -v "${need%:*}" >/dev/null || missing+=" ${need#*:}"
done
SEEDBED=$(readlink -f "${SEEDBED:-$(command -v seedbed || true)}" || true)
[[ -x $SEEDBED ]] || fail "no program: install seedbed, or set SEEDBED"
export SEEDBED
ovmf=${OVMF:-/usr/share/OVMF}
for format in i386-pc:grub-pc-bin x86_64-efi:grub-efi-amd64-bin; do
    [[ -d ${GRUB_DIR:-/usr/lib/grub}/${format%:*} ]] || missing+=" ${format#*:}"
done
[[ -z $missing ]] || fail "not installed; run: apt-get install$missing"
[[ ${machines[*]} != *PC-3* && ${machines[*]} != *UEFI* || -r $ovmf/OVMF_CODE_4M.fd ]] || fail "not installed; run: apt-get install ovmf"

# --- the end of everything that is started
work=$(mktemp -d /var/tmp/seedbed-try.XXXXXX)
keep=${TRY_DIR:-$work}
pids=() machine_pids=() loop=''
# shellcheck disable=SC2317 # called by trap
cleanup() {
    local status=$?
    set +e
    ((${#pids[@]} + ${#machine_pids[@]} == 0)) || kill "${pids[@]}" "${machine_pids[@]}" 2>/dev/null
    wait
    ip netns delete "$space" 2>/dev/null
    ip netns delete "$space-dhcp" 2>/dev/null
    [[ -z $loop ]] || losetup -d "$loop"
    rm -rf --one-file-system "$work"
    exit $status
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP
mkdir -p "$keep"
cd "$work"

# start LOG COMMAND...: runs it in the background, in the server's network namespace.
start() { start_in "$space" "$@"; }
# start_in NAMESPACE LOG COMMAND...
start_in() {
    local namespace=$1 log=$2
    shift 2
    ip netns exec "$namespace" "$@" >"$log" 2>&1 </dev/null &
    pids+=($!)
}
# await FILE PATTERN WHAT: waits until a line of FILE matches, and prints it.
await() {
    local line
    # Not tail -F: a login prompt ends without a line feed.
    until line=$(grep -a -m 1 -E "$2" "$1" 2>/dev/null); do
        ((SECONDS < limit)) || fail "$3: not within $limit s; the last lines of $1: $(tail -n 5 "$1")"
        sleep 1
    done
    printf '[%3d s] %s: %s\n' $SECONDS "$3" "$(tr -d '\r\033' <<<"$line" | cut -c 1-160)"
}
# await_state NAME STATE: waits until the server says so.
await_state() {
    until machine_list | grep -qE "^\(?$1\)? .* $2( |$)"; do
        ((SECONDS < limit)) || fail "$1 is not $2 within $limit s: $(machine_list)"
        sleep 2 # the daemon has no event to wait for
    done
    machine_list | grep -E "^\(?$1\)? "
}
machine_list() { "$SEEDBED" machine list --socket "$work/socket"; }

# --- the golden disk: GPT, for BIOS and UEFI; the kernel and the initramfs of the boot image, and a system of one program, busybox, with
# a login prompt on the serial port
# write_number FILE OFFSET BYTES NUMBER: as little-endian, into the file.
write_number() {
    python3 -c 'import sys; sys.stdout.buffer.write(int(sys.argv[2]).to_bytes(int(sys.argv[1]), "little"))' "$3" "$4" |
        dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}
make_tree() {
    local tree=$1
    mkdir -p "$tree"/{bin,sbin,etc,proc,sys,dev,run,tmp,root,boot/grub}
    cp "$(command -v busybox)" "$tree/bin/busybox"
    ln -s busybox "$tree/bin/sh"
    for applet in init getty login; do ln -s ../bin/busybox "$tree/sbin/$applet"; done
    ln -s ../bin/busybox "$tree/bin/login"
    cp "$keep/boot/vmlinuz" "$keep/boot/initrd.img" "$tree/boot/"
    echo golden >"$tree/etc/hostname"
    printf '127.0.0.1\tlocalhost\n127.0.1.1\tgolden\n' >"$tree/etc/hosts"
    : >"$tree/etc/machine-id"
    echo 'root:x:0:' >"$tree/etc/group"
    echo "root:$(openssl passwd -6 seedbed):0:0:root:/root:/bin/sh" >"$tree/etc/passwd"
    printf '%s\n' '::sysinit:/bin/busybox hostname -F /etc/hostname' 'ttyS0::respawn:/sbin/getty -L ttyS0 115200 vt100' \
        'tty1::respawn:/sbin/getty tty1 38400' >"$tree/etc/inittab"
    cat >"$tree/boot/grub/grub.cfg" <<'END'
linux /boot/vmlinuz boot=local root=LABEL=golden ro console=tty0 console=ttyS0,115200
initrd /boot/initrd.img
boot
END
}
make_disk() {
    local tree=$work/tree disk=$work/golden.img grub=${GRUB_DIR:-/usr/lib/grub}
    make_tree "$tree"
    # GRUB's two programs, which find the partition by its label.
    # shellcheck disable=SC2016 # GRUB expands it
    printf 'search --no-floppy --set=root --label golden\nset prefix=($root)/boot/grub\nconfigfile $prefix/grub.cfg\n' >early.cfg
    local modules=(part_gpt ext2 search search_label configfile normal linux)
    grub-mkimage -d "$grub/i386-pc" -O i386-pc -p /boot/grub -c early.cfg -o core.img biosdisk "${modules[@]}"
    grub-mkimage -d "$grub/x86_64-efi" -O x86_64-efi -p /boot/grub -c early.cfg -o BOOTX64.EFI "${modules[@]}"

    truncate -s 1G "$disk"
    sfdisk -q "$disk" <<'END'
label: gpt
start=2048, size=1MiB, type=21686148-6449-6E6F-744E-656564454649
start=4096, size=40MiB, type=uefi
start=86016, type=linux
END
    # The boot record reads the first sector of core.img from the BIOS boot partition, sector 2048; that reads the rest, from 2049 on.
    dd if="$grub/i386-pc/boot.img" of="$disk" bs=1 count=440 conv=notrunc status=none
    write_number "$disk" 92 8 2048
    dd if=core.img of="$disk" bs=512 seek=2048 conv=notrunc status=none
    write_number "$disk" $((2048 * 512 + 0x1f4)) 8 2049
    truncate -s 40M esp.img
    mkfs.vfat -n ESP esp.img >/dev/null
    mmd -i esp.img ::/EFI ::/EFI/BOOT
    mcopy -i esp.img BOOTX64.EFI ::/EFI/BOOT/
    dd if=esp.img of="$disk" bs=1M seek=2 conv=notrunc,sparse status=none
    mkfs.ext4 -q -L golden -d "$tree" -E offset=$((86016 * 512)) "$disk" $(((1024 - 42 - 1) * 1024))k
    loop=$(losetup -f --show "$disk")
    "$SEEDBED" create "$loop" --pack --tracker "$server/announce" -o golden.sbi || fail "create"
    losetup -d "$loop"
    loop=''
    rm -r "$disk" esp.img "$tree"
    mv golden.sbi golden.torrent "$keep/"
}

# --- a machine: run_machine NAME MAC SIZE BUS
run_machine() {
    local name=$1 mac=$2 size=$3 bus=$4 firmware=() disk
    local network=(-device "virtio-net-pci,netdev=net,mac=$mac,bootindex=2")
    truncate -s "$size" "$name.img"
    case $bus in
        virtio) disk=(-device "virtio-blk-pci,drive=disk,bootindex=1") ;;
        sata) disk=(-device "ahci,id=ahci" -device "ide-hd,drive=disk,bus=ahci.0,bootindex=1") ;;
        nvme) disk=(-device "nvme,drive=disk,serial=$name,bootindex=1") ;;
    esac
    if [[ $name == PC-3 || $name == *UEFI ]]; then
        cp "$ovmf/OVMF_VARS_4M.fd" "$name.vars"
        firmware=(-drive "if=pflash,format=raw,readonly=on,file=$ovmf/OVMF_CODE_4M.fd" -drive "if=pflash,format=raw,file=$name.vars")
        network=(-device "virtio-net-pci,netdev=net,mac=$mac,bootindex=2,romfile=") # the firmware's PXE, and not QEMU's iPXE
    fi
    [[ $name != USB* ]] || disk+=(-device qemu-xhci -drive "if=none,id=usb,format=raw,readonly=on,file=$keep/boot/seedbed.iso"
        -device "usb-storage,drive=usb,bootindex=0")
    ip -n "$space" tuntap add "tap-$name" mode tap
    ip -n "$space" link set "tap-$name" master bridge up
    start "$name.qemu" nice qemu-system-x86_64 -accel tcg -machine q35 -cpu max -m 512 -display none -serial "file:$name.serial" \
        -monitor none -drive "if=none,id=disk,format=raw,discard=unmap,file=$name.img" "${disk[@]}" "${firmware[@]}" \
        -netdev "tap,id=net,ifname=tap-$name,script=no,downscript=no" "${network[@]}"
    unset 'pids[-1]'
    machine_pids+=($!)
}
# boot NAME: starts the machine.
boot() {
    case $1 in
        PC-1) run_machine PC-1 52:54:00:77:00:01 2G virtio ;;
        PC-2) run_machine PC-2 52:54:00:77:00:02 3G sata ;;
        PC-3) run_machine PC-3 52:54:00:77:00:03 4G nvme ;;
        SMALL) run_machine SMALL 52:54:00:77:00:04 512M virtio ;;
        STRANGER) run_machine STRANGER 52:54:00:77:00:09 2G virtio ;;
        USB-BIOS) run_machine USB-BIOS 52:54:00:77:00:0a 2G sata ;;
        USB-UEFI) run_machine USB-UEFI 52:54:00:77:00:0b 2G virtio ;;
        *) fail "MACHINES: '$1' is unknown" ;;
    esac
}
# show_console NAME: the lines of its console that are Seedbed's, without the tables of progress.
show_console() {
    printf '    console of %s:\n' "$1"
    tr -d '\r\000' <"$1.serial" | sed 's/\x1b\[[0-9;?]*[A-Za-z]//g' | grep -a -E '^seedbed: |machine|job|deploy|verif|refus|hook|host name|login:' |
        grep -a -v '^\[ *[0-9]*\.[0-9]*\]' | cut -c 1-160 | awk '!seen[$0]++' | head -n 24 | sed 's/^/    | /'
}
# try_machines NAME...: boots them together, and waits until each has done what it must.
try_machines() {
    local name
    say "booting: $*"
    for name; do boot "$name"; done
    for name; do
        await "$name.serial" 'seedbed: .*: 10\.77\.0\.' "$name has an address"
    done
    for name; do
        case $name in
            PC-*) await_state "$name" running ;;
            SMALL) await_state SMALL refused ;;
            *) await "$name.serial" 'this machine has no job' "$name" ;;
        esac
    done
    for name; do
        [[ $name != PC-* ]] || await_state "$name" "done"
    done
    for name; do
        [[ $name != PC-* ]] || await "$name.serial" "$name login:" "$name has rebooted from its disk"
    done
    kill "${machine_pids[@]}"
    wait "${machine_pids[@]}" || true # ended by the signal
    machine_pids=()
    for name; do show_console "$name"; done
}

say "$(date -u +%FT%TZ), $("$SEEDBED" --version | head -n 1), $(qemu-system-x86_64 --version | head -n 1)"
echo "$(nproc) processors; each machine has one, without KVM, and 512 MiB; $at_once machines run at the same time"
say "the boot image"
if [[ ! -e $keep/boot/boot.ipxe ]]; then
    maker=$here/seedbed-boot-image
    [[ -x $maker ]] || maker=seedbed-boot-image # installed
    "$maker" --server "$server" --output "$keep/boot" ${DEB:+--deb "$DEB"}
else
    ls -s --block-size=K "$keep/boot"
fi
say "the golden disk, packed"
[[ -e $keep/golden.sbi ]] || make_disk
"$SEEDBED" probe "$keep/golden.sbi"

say "the server: 10.77.0.1 with dnsmasq and seedbed daemon; the DHCP server: 10.77.0.2"
ip netns add "$space"
ip -n "$space" link set lo up
ip -n "$space" link add bridge type bridge
ip -n "$space" addr add 10.77.0.1/24 dev bridge
ip -n "$space" link set bridge up
ip netns add "$space-dhcp"
ip -n "$space" link add port type veth peer name eth0 netns "$space-dhcp"
ip -n "$space" link set port master bridge up
ip -n "$space-dhcp" addr add 10.77.0.2/24 dev eth0
ip -n "$space-dhcp" link set eth0 up
cat >seedbed.toml <<END
[control]
socket = "$work/socket"
[resume]
folder = "$work/state"
[network]
listen = "10.77.0.1:6881"
[tracker]
listen = "10.77.0.1:6969"
[[image]]
name = "golden"
torrent = "$keep/golden.torrent"
device = "$keep/golden.sbi"
mode = "seed"
END
cat >room.csv <<'END'
name,mac,serial,image,disk,after
PC-1,52:54:00:77:00:01,,golden,auto,reboot
PC-2,52:54:00:77:00:02,,golden,auto,reboot
PC-3,52:54:00:77:00:03,,golden,nvme,reboot
SMALL,52:54:00:77:00:04,,golden,auto,reboot
END
"$SEEDBED" machine import room.csv --config seedbed.toml
# The made configuration, with this network; and a DHCP server that only gives addresses.
sed "s/^dhcp-range=.*/dhcp-range=10.77.0.1,proxy/" "$keep/boot/dnsmasq.conf" >dnsmasq.conf
start dnsmasq.log dnsmasq --no-daemon --conf-file="$work/dnsmasq.conf" --interface=bridge --bind-interfaces --user=root --pid-file=
start_in "$space-dhcp" dhcp.log dnsmasq --no-daemon --conf-file=/dev/null --port=0 --dhcp-range=10.77.0.100,10.77.0.200,1h --user=root \
    --dhcp-leasefile="$work/leases" --pid-file=
start daemon.log "$SEEDBED" daemon --config seedbed.toml
await daemon.log ' ready' "the daemon"

for ((first = 0; first < ${#machines[@]}; first += at_once)); do
    try_machines "${machines[@]:first:at_once}"
done
say "at the end"
machine_list
for name in "${machines[@]}"; do
    [[ $name == PC-* || $(stat -c %b "$name.img") == 0 ]] || fail "the disk of $name was written"
done
echo "the disks of the other machines are still empty"
say "what the firmware and iPXE loaded"
grep -h -o -E 'sent [^ ]*/[a-z.]+ to' dnsmasq.log | sort | uniq -c
say "PASS in $SECONDS s"
