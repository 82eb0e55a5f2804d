#!/bin/bash
# Shows the way from empty machines to deployed ones, on this machine alone: a server with the packed image of one disk, a DHCP server
# that knows nothing of it, and virtual machines (QEMU without KVM) of 512 MiB that boot over the network by iPXE and are deployed:
#
#   PC-1      a virtio disk of 2 GB, BIOS with iPXE
#   PC-2      a SATA disk of 3 GB, BIOS without iPXE: loads undionly.kpxe first; its last partition grows
#   PC-3      an NVMe disk of 4 GB, UEFI without iPXE: loads snponly.efi first
#   SMALL     a disk of 512 MB, too small for the image: is refused
#   STRANGER  has no [[machine]] table: waits, and nothing is written. Loads the boot image by TFTP; the others load it by HTTP
#   HTTP      UEFI HTTP boot without PXE: loads snponly.efi from the daemon; has no [[machine]] table either
#   USB-BIOS, USB-UEFI  boot the ISO from a USB drive; have no [[machine]] table either
#
# The first three reboot from their disks to a login prompt with their own host names. All of it is in two network namespaces and in one
# temporary folder, and needs no network but for Debian's packages.
#
# Usage: sudo packaging/boot/try.sh [SECONDS]
#   SECONDS  give up after this time (default: 7200)
#
# Environment: SEEDBED, the program (default: the installed one); DEB, its package, from which the boot image takes it (default: the
# program); MACHINES, the machines to start (default: all); AT_ONCE, how many of them run at the same time (default: one for each
# processor); TRY_DIR, a folder that keeps the boot image and the packed disk for the next time, the consoles of the machines, and, if
# chromium is installed, pictures of the web page. Exit status: 0 if all of this happens, 1 otherwise.
set -euo pipefail

here=$(dirname "$(readlink -f "$0")")
limit=${1:-7200}
read -r -a machines <<<"${MACHINES:-PC-1 PC-2 PC-3 STRANGER SMALL HTTP USB-BIOS USB-UEFI}"
at_once=${AT_ONCE:-$(nproc)}
server=http://10.77.0.1:6969
page=http://10.77.0.1:8081/
boot_http=$server/boot
space=seedbed-try-$$
export PATH=$PATH:/usr/sbin:/sbin LC_ALL=C

say() { printf '\n[%3d s] == %s\n' $SECONDS "$*"; }
fail() {
    printf '[%3d s] FAIL: %s\n' $SECONDS "$1"
    exit 1
}

# shellcheck source-path=SCRIPTDIR source=lib_virtual.sh
. "$here/lib_virtual.sh"

# --- what it needs
[[ $limit =~ ^[0-9]+$ ]] || fail "'$limit' is not a number of seconds"
[[ $at_once =~ ^[1-9][0-9]*$ ]] || fail "AT_ONCE: '$at_once' is not a number of machines"
((EUID == 0)) || fail "needs root, for a network namespace"
missing=$(missing_packages qemu-system-x86_64:qemu-system-x86 dnsmasq:dnsmasq-base mmdebstrap:mmdebstrap partclone.ext4:partclone \
    mkfs.ext4:e2fsprogs mkfs.vfat:dosfstools mcopy:mtools sfdisk:fdisk losetup:mount ip:iproute2 python3:python3 openssl:openssl \
    busybox:busybox-static grub-mkimage:grub-common)$(missing_firmware)
SEEDBED=$(readlink -f "${SEEDBED:-$(command -v seedbed || true)}" || true)
[[ -x $SEEDBED ]] || fail "no program: install seedbed, or set SEEDBED"
export SEEDBED
[[ -z ${DEB:-} || -r $DEB ]] || fail "DEB: $DEB cannot be read"
DEB=${DEB:+$(readlink -f "$DEB")}
[[ -z $missing ]] || fail "not installed; run: apt-get install$missing"

# --- the end of everything that is started
work=$(mktemp -d /var/tmp/seedbed-try.XXXXXX)
keep=$(readlink -m "${TRY_DIR:-$work}")
pids=() dnsmasq='' loop=''
# shellcheck disable=SC2317 # called by trap
cleanup() {
    local status=$?
    set +e
    kill "${pids[@]}" "${machine_pids[@]}" $dnsmasq 2>/dev/null
    wait
    ip netns delete "$space" 2>/dev/null
    ip netns delete "$space-dhcp" 2>/dev/null
    [[ -z $loop ]] || losetup -d "$loop"
    [[ $keep == "$work" ]] || cp ./*.serial ./*.log "$keep" 2>/dev/null
    rm -rf --one-file-system "$work"
    exit $status
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP
mkdir -p "$keep" || fail "cannot make $keep"
cd "$work"

# start LOG COMMAND...: runs it in the background, in the server's network namespace.
start() { start_in "$space" "$@"; }
# start_in NAMESPACE LOG COMMAND...
start_in() {
    local namespace=$1 log=$2
    shift 2
    ip netns exec "$namespace" "$@" >>"$log" 2>&1 </dev/null &
    pids+=($!)
}
# await_state NAME STATE...: waits until the server says one of these.
await_state() {
    local states
    states=$(IFS='|' && echo "${*:2}")
    until machine_list | grep -qE "^\(?$1\)? .* ($states)( |$)"; do
        ! machine_list | grep -E "^$1 .* failed( |$)" || fail "$1 has failed"
        ((SECONDS < limit)) || fail "$1 is not $states within $limit s: $(machine_list)"
        check_machines
        sleep 2 # the daemon has no event to wait for
    done
    machine_list | grep -E "^\(?$1\)? "
}
machine_list() { "$SEEDBED" machine list --socket "$work/socket"; }

# picture NAME: writes what a browser shows to TRY_DIR. If the machines leave chromium too little time, there is no picture.
picture() {
    [[ -n ${TRY_DIR:-} ]] && command -v chromium >/dev/null || return 0
    rm -f "$keep/$1.png"
    timeout 100 ip netns exec "$space" chromium --headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --hide-scrollbars \
        --force-prefers-reduced-motion \
        --user-data-dir="$work/browser" --window-size=1280,800 --timeout=5000 --screenshot="$keep/$1.png" "$page" \
        >"$1.chromium.log" 2>&1 </dev/null || true
    if [[ -s $keep/$1.png ]]; then
        printf '[%3d s] the page, as a picture: %s\n' $SECONDS "$1.png"
    else
        printf '[%3d s] no picture of the page: chromium took too long\n' $SECONDS
    fi
}

# --- the golden disk: the kernel and the initramfs of the boot image, and a system of one program, busybox, with a login prompt on the
# serial port
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
    local tree=$work/tree disk=$work/golden.img
    make_tree "$tree"
    make_boot_disk "$disk" 1024 "$tree" golden
    loop=$(losetup -f --show "$disk")
    "$SEEDBED" create "$loop" --pack --tracker "$server/announce" -o golden.sbi || fail "create"
    losetup -d "$loop"
    loop=''
    rm -r "$disk" "$tree"
    mv golden.sbi golden.torrent "$keep/"
}

# keep_running QEMU...: starts QEMU again when its machine reboots. After a reboot inside QEMU without KVM, each write to memory that held
# code takes milliseconds.
keep_running() {
    local qemu=''
    trap '[[ -z $qemu ]] || kill "$qemu"; wait; exit' TERM
    while :; do
        ip netns exec "$space" "$@" -no-reboot &
        qemu=$!
        wait "$qemu" || exit
    done
}
# --- a machine: run_machine NAME MAC SIZE BUS [FIRMWARE]
run_machine() {
    local name=$1 mac=$2 size=$3 bus=$4 firmware=${5:-bios}
    local network=virtio-net-pci,netdev=net,mac=$mac,bootindex=2
    truncate -s "$size" "$name.img"
    machine_options "$name" "$firmware" "$bus" 512
    [[ $firmware != uefi ]] || network+=,romfile= # the firmware's PXE, and not QEMU's iPXE
    # As if PXE were off in the firmware's menu.
    [[ $name != HTTP ]] || machine_options+=(-fw_cfg "name=opt/org.tianocore/IPv4PXESupport,string=n"
        -fw_cfg "name=opt/org.tianocore/IPv6PXESupport,string=n")
    [[ $name != USB* ]] || machine_options+=(-device qemu-xhci -drive "if=none,id=usb,format=raw,readonly=on,file=$keep/boot/seedbed.iso"
        -device "usb-storage,drive=usb,bootindex=0")
    ip -n "$space" tuntap add "tap-$name" mode tap
    ip -n "$space" link set "tap-$name" master bridge up
    keep_running qemu-system-x86_64 "${machine_options[@]}" -drive "if=none,id=disk,format=raw,discard=unmap,file=$name.img" \
        -netdev "tap,id=net,ifname=tap-$name,script=no,downscript=no" -device "$network" >>"$name.qemu" 2>&1 </dev/null &
    machine_pids+=($!)
}
# boot NAME: starts the machine.
boot() {
    case $1 in
        PC-1) run_machine PC-1 52:54:00:77:00:01 2G virtio ;;
        PC-2) run_machine PC-2 52:54:00:77:00:02 3G sata ;;
        PC-3) run_machine PC-3 52:54:00:77:00:03 4G nvme uefi ;;
        SMALL) run_machine SMALL 52:54:00:77:00:04 512M virtio ;;
        STRANGER) run_machine STRANGER 52:54:00:77:00:09 2G virtio ;;
        HTTP) run_machine HTTP 52:54:00:77:00:0c 2G virtio uefi ;;
        USB-BIOS) run_machine USB-BIOS 52:54:00:77:00:0a 2G sata ;;
        USB-UEFI) run_machine USB-UEFI 52:54:00:77:00:0b 2G virtio uefi ;;
        *) fail "MACHINES: '$1' is unknown" ;;
    esac
}
# show_console NAME: the lines of its console that are Seedbed's, without the tables of progress.
show_console() {
    printf '    console of %s:\n' "$1"
    tr -d '\r\000' <"$1.serial" | sed 's/\x1b\[[0-9;?]*[A-Za-z]//g' | grep -a -E '^seedbed: |machine|job|deploy|verif|refus|hook|host name|login:|URI: ' |
        grep -a -v '^\[ *[0-9]*\.[0-9]*\]' | cut -c 1-160 | awk '!seen[$0]++' | head -n 24 | sed 's/^/    | /'
}
# start_dnsmasq [plain]: uses the configuration that seedbed-boot-image made, adapted to this network. As its comments say, iPXE loads the
# script, and then the rest, by HTTP; STRANGER loads them by TFTP. QEMU's BIOS machines have iPXE; with "plain", PC-2 is treated as one
# without it and gets undionly.kpxe.
start_dnsmasq() {
    {
        sed -e 's/^dhcp-range=.*/dhcp-range=10.77.0.1,proxy/' -e 's/^\(dhcp-boot\|pxe-service\)=tag:ipxe,/&tag:tftp,/' "$keep/boot/dnsmasq.conf"
        sed -n "s#^\(dhcp-boot\|pxe-service\)=tag:ipxe,\(.*\)boot.ipxe\$#\1=tag:ipxe,tag:!tftp,tag:!plain,\2$boot_http/boot.ipxe#p" \
            "$keep/boot/dnsmasq.conf"
        printf '%s\n' 'dhcp-host=52:54:00:77:00:09,set:tftp' 'pxe-service=tag:plain,x86PC,"Seedbed",undionly.kpxe'
        [[ ${1:-} != plain ]] || echo 'dhcp-host=52:54:00:77:00:02,set:plain'
    } >dnsmasq.conf
    start "dnsmasq.log" dnsmasq --no-daemon --conf-file="$work/dnsmasq.conf" --interface=bridge --bind-interfaces --user=root --pid-file=
    unset 'pids[-1]'
    dnsmasq=$!
}
stop_dnsmasq() {
    kill "$dnsmasq"
    wait "$dnsmasq" || true # ended by the signal
    dnsmasq=''
}
# boot_undionly: boots PC-2. Its firmware loads undionly.kpxe, which sends a DHCP request of its own some seconds later.
boot_undionly() {
    stop_dnsmasq
    start_dnsmasq plain
    boot PC-2
    await dnsmasq.log 'sent .*/undionly.kpxe to' "PC-2 has loaded undionly.kpxe"
    stop_dnsmasq
    start_dnsmasq
}
# try_machines NAME...: boots them together, and waits until each has done what it must.
try_machines() {
    local name
    say "booting: $*"
    [[ " $* " != *" PC-2 "* ]] || boot_undionly # before the others: it restarts dnsmasq
    for name; do
        [[ $name == PC-2 ]] || boot "$name"
    done
    [[ " $* " != *" HTTP "* ]] || await HTTP.serial "URI: $boot_http/snponly.efi" "HTTP loads iPXE"
    for name; do
        await "$name.serial" 'seedbed: .*: 10\.77\.0\.' "$name has an address"
    done
    for name; do
        case $name in
            PC-*) await_state "$name" running "done" ;;
            SMALL) await_state SMALL refused ;;
            *) await "$name.serial" 'this machine has no job' "$name" ;;
        esac
    done
    [[ $* != *PC-* ]] || picture page-middle
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
mib=$(($(du -cb "$keep"/boot/* | tail -n 1 | cut -f 1) >> 20))
((mib < 150)) || fail "the files of the boot image take $mib MiB: expected less than 150"
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
[boot]
files = "$keep/boot"
[web]
listen = "10.77.0.1:8081"
[[image]]
name = "golden"
torrent = "$keep/golden.torrent"
device = "$keep/golden.sbi"
mode = "seed"
END
cat >room.csv <<'END'
name,mac,image,disk,grow,after
PC-1,52:54:00:77:00:01,golden,auto,,reboot
PC-2,52:54:00:77:00:02,golden,auto,last,reboot
PC-3,52:54:00:77:00:03,golden,nvme,,reboot
SMALL,52:54:00:77:00:04,golden,auto,,reboot
END
"$SEEDBED" machine import room.csv --config seedbed.toml
start_dnsmasq
# The DHCP server of the network: it only gives addresses.
start_in "$space-dhcp" dhcp.log dnsmasq --no-daemon --conf-file=/dev/null --port=0 --dhcp-range=10.77.0.100,10.77.0.200,1h --user=root \
    --dhcp-leasefile="$work/leases" --pid-file=
start daemon.log "$SEEDBED" daemon --config seedbed.toml
await daemon.log ' ready' "the daemon"

for ((first = 0; first < ${#machines[@]}; first += at_once)); do
    try_machines "${machines[@]:first:at_once}"
done
say "at the end"
machine_list
picture page-end
for name in "${machines[@]}"; do
    [[ $name == PC-* || $(stat -c %b "$name.img") == 0 ]] || fail "the disk of $name was written"
done
echo "the disks of the other machines are still empty"
say "what the firmware and iPXE loaded by TFTP; the rest came from the daemon, $boot_http"
sed -n 's|.* sent [^ ]*/\([a-z.]*\) to .*|\1|p' dnsmasq.log | sort | uniq -c
say "PASS in $SECONDS s"
