# shellcheck shell=bash
# Disks that boot with BIOS and UEFI, and virtual machines without KVM. A library: the script that sources it defines `fail REASON` and
# sets limit, the number of seconds after its start at which every wait fails.
#
#   missing_packages PROGRAM:PACKAGE...  prints the packages of the programs that are missing
#   missing_firmware                     prints the packages of GRUB and of the UEFI firmware that are missing
#   make_boot_disk FILE MIB TREE LABEL   makes a disk of MIB with a GPT, GRUB for BIOS and UEFI, and an ext4 file system LABEL with
#                                        the files of TREE; GRUB reads TREE/boot/grub/grub.cfg. MIB: at least 64 more than TREE
#   machine_options NAME FIRMWARE BUS MIB  sets the array machine_options to options of qemu-system-x86_64: one processor, MIB of memory,
#                                        FIRMWARE (bios or uefi), the first serial port written to NAME.serial. The disk is on BUS
#                                        (virtio, sata or nvme); add a -drive with id=disk
#   machine_pids                         array of the process ids of running machines; the script fills it
#   check_machines                       fails if one of these processes has ended
#   await FILE PATTERN WHAT              waits until a line of FILE matches, and prints it

# The folders of GRUB and of the firmware; Debian's by default.
GRUB_DIR=${GRUB_DIR:-/usr/lib/grub}
OVMF=${OVMF:-/usr/share/OVMF}

missing_packages() {
    local need
    for need; do
        command -v "${need%:*}" >/dev/null || printf ' %s' "${need#*:}"
    done
}
missing_firmware() {
    [[ -d $GRUB_DIR/i386-pc ]] || printf ' grub-pc-bin'
    [[ -d $GRUB_DIR/x86_64-efi ]] || printf ' grub-efi-amd64-bin'
    [[ -r $OVMF/OVMF_CODE_4M.fd ]] || printf ' ovmf'
}

# write_number FILE OFFSET NUMBER: into the file, as 8 bytes, little-endian.
write_number() {
    python3 -c 'import sys; sys.stdout.buffer.write(int(sys.argv[1]).to_bytes(8, "little"))' "$3" |
        dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}
make_boot_disk() {
    local disk=$1 mib=$2 tree=$3 label=$4 parts
    local modules=(part_gpt ext2 search search_label configfile normal linux)
    parts=$(mktemp -d -p .)
    # GRUB for BIOS and for UEFI; both find the partition by its label.
    # shellcheck disable=SC2016 # GRUB expands it
    printf 'search --no-floppy --set=root --label %s\nset prefix=($root)/boot/grub\nconfigfile $prefix/grub.cfg\n' "$label" >"$parts/early.cfg"
    grub-mkimage -d "$GRUB_DIR/i386-pc" -O i386-pc -p /boot/grub -c "$parts/early.cfg" -o "$parts/core.img" biosdisk "${modules[@]}"
    grub-mkimage -d "$GRUB_DIR/x86_64-efi" -O x86_64-efi -p /boot/grub -c "$parts/early.cfg" -o "$parts/BOOTX64.EFI" "${modules[@]}"

    truncate -s "${mib}M" "$disk"
    sfdisk -q "$disk" <<'END'
label: gpt
start=2048, size=1MiB, type=21686148-6449-6E6F-744E-656564454649
start=4096, size=40MiB, type=uefi
start=86016, type=linux
END
    # The boot record loads the first sector of core.img, sector 2048 of the disk; that sector loads the rest, from sector 2049 on.
    dd if="$GRUB_DIR/i386-pc/boot.img" of="$disk" bs=1 count=440 conv=notrunc status=none
    write_number "$disk" 92 2048
    dd if="$parts/core.img" of="$disk" bs=512 seek=2048 conv=notrunc status=none
    write_number "$disk" $((2048 * 512 + 0x1f4)) 2049
    truncate -s 40M "$parts/esp.img"
    mkfs.vfat -n ESP "$parts/esp.img" >/dev/null
    mmd -i "$parts/esp.img" ::/EFI ::/EFI/BOOT
    mcopy -i "$parts/esp.img" "$parts/BOOTX64.EFI" ::/EFI/BOOT/
    dd if="$parts/esp.img" of="$disk" bs=1M seek=2 conv=notrunc,sparse status=none
    mkfs.ext4 -q -L "$label" -d "$tree" -E offset=$((86016 * 512)) "$disk" $(((mib - 42 - 1) * 1024))k
    rm -r "$parts"
}

machine_options() {
    local name=$1 firmware=$2 bus=$3 mib=$4
    # Without ERMS: with it, Linux uses byte-string instructions, which QEMU executes one byte at a time.
    machine_options=(-accel tcg -machine q35 -cpu "max,erms=off,fsrm=off" -smp 1 -m "$mib" -display none -monitor none
        -chardev "file,id=serial,path=$name.serial,append=on" -serial chardev:serial)
    case $bus in
        virtio) machine_options+=(-device "virtio-blk-pci,drive=disk,bootindex=1") ;;
        sata) machine_options+=(-device "ahci,id=ahci" -device "ide-hd,drive=disk,bus=ahci.0,bootindex=1") ;;
        nvme) machine_options+=(-device "nvme,drive=disk,serial=$name,bootindex=1") ;;
    esac
    if [[ $firmware == uefi ]]; then
        cp "$OVMF/OVMF_VARS_4M.fd" "$name.vars"
        machine_options+=(-drive "if=pflash,format=raw,readonly=on,file=$OVMF/OVMF_CODE_4M.fd" -drive "if=pflash,format=raw,file=$name.vars")
    fi
}

machine_pids=()
check_machines() {
    local pid
    for pid in "${machine_pids[@]}"; do
        kill -0 "$pid" 2>/dev/null || fail "a virtual machine has ended by itself: $(tail -q -n 2 ./*.qemu)"
    done
}

await() {
    local line
    # Not tail -F: a login prompt ends without a line feed.
    # shellcheck disable=SC2154 # the script sets limit
    until line=$(grep -a -m 1 -E "$2" "$1" 2>/dev/null); do
        ((SECONDS < limit)) || fail "$3: not within $limit s; the last lines of $1: $(tail -n 5 "$1")"
        check_machines
        sleep 1
    done
    printf '[%3d s] %s: %s\n' $SECONDS "$3" "$(tr -d '\r' <<<"$line" | sed 's/\x1b\[[0-9;?]*[A-Za-z]//g' | cut -c 1-160)"
}
