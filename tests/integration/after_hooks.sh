#!/bin/bash
# The programs of packaging/hooks on real file systems: machine-id and SSH host keys, host name on Linux and Windows, boot loader and
# boot entry. Needs no daemon, but SEEDBED for the library.
# Labels: once
set -euo pipefail
# shellcheck source=lib_daemon.sh
. "$(dirname "$0")/lib_daemon.sh"

need_loop
need mkfs.ext4 ssh-keygen
can_mount ext4 || skip "the kernel does not support ext4"
hooks=$(dirname "$here")/../packaging/hooks
for hook in "$hooks"/*; do
    [[ -x $hook ]] || fail "$hook cannot be executed"
    ! command -v shellcheck >/dev/null || shellcheck "$hook" || fail "shellcheck: $hook"
done

# hook NAME VARIABLE=VALUE...: runs one, with its output in hook.out; sets hook_status.
hook() {
    local name=$1
    shift
    hook_status=0
    env "$@" timeout 60 "$hooks/$name" >hook.out 2>&1 || hook_status=$?
    [[ -z $(findmnt -rno TARGET | grep -F "${TMPDIR:-/tmp}/tmp." || true) ]] || fail "$name left a mount: $(findmnt -rno TARGET)"
}
succeeds() {
    hook "$@"
    ((hook_status == 0)) || fail "$1 fails: $(<hook.out)"
}

# --- Linux
truncate -s 32M linux.img
linux=$(attach_loop linux.img)
mkfs.ext4 -q "$linux"
mount_at root "$linux"
mkdir -p root/etc/ssh root/var/lib/dbus
echo 0123456789abcdef0123456789abcdef | tee root/etc/machine-id >root/var/lib/dbus/machine-id
echo image >root/etc/hostname
printf '127.0.0.1\tlocalhost\n127.0.1.1 image.example image\n192.0.2.1\tserver\n' >root/etc/hosts
ssh-keygen -q -t ed25519 -N '' -f root/etc/ssh/ssh_host_ed25519_key
old_key=$(<root/etc/ssh/ssh_host_ed25519_key.pub)
unmount root
facts=("SEEDBED_ROOT_PARTITION=$linux" SEEDBED_ROOT_TYPE=ext4 SEEDBED_MACHINE=PC-17 SEEDBED_EFI_PARTITION=)
succeeds 10-renew-ids "${facts[@]}"
succeeds 20-host-name "${facts[@]}"
succeeds 20-host-name "${facts[@]}" # again: no second line in /etc/hosts
succeeds 30-boot-entry "${facts[@]}"
mount_at root "$linux"
[[ -f root/etc/machine-id && ! -s root/etc/machine-id && ! -e root/var/lib/dbus/machine-id ]] || fail "the machine-id was not renewed"
[[ -s root/etc/ssh/ssh_host_ed25519_key.pub && $(<root/etc/ssh/ssh_host_ed25519_key.pub) != "$old_key" ]] || fail "the SSH host key was not renewed"
[[ $(stat -c %a root/etc/ssh/ssh_host_ed25519_key) == 600 ]] || fail "others may read the SSH host key"
[[ $(<root/etc/hostname) == PC-17 ]] || fail "the host name is $(<root/etc/hostname)"
diff root/etc/hosts - <<<$'127.0.0.1\tlocalhost\n127.0.1.1\tPC-17\n192.0.2.1\tserver' || fail "/etc/hosts is wrong"
rm root/etc/hosts
unmount root
succeeds 20-host-name "${facts[@]}"
mount_at root "$linux"
[[ $(<root/etc/hosts) == $'127.0.1.1\tPC-17' ]] || fail "without /etc/hosts: $(<root/etc/hosts)"
unmount root
sum=$(sha256sum <linux.img)
# shellcheck disable=SC2016 # not to be expanded
hook 20-host-name "${facts[@]}" 'SEEDBED_MACHINE=$(reboot)'
((hook_status == 1)) || fail "a wrong host name is accepted: $(<hook.out)"
succeeds 20-host-name "${facts[@]}" SEEDBED_MACHINE=boot:52:54:00:00:00:01
succeeds 20-host-name "${facts[@]}" SEEDBED_ROOT_TYPE=
[[ $(sha256sum <linux.img) == "$sum" ]] || fail "a host name that is not set changes the disk"

# --- Windows
if command -v mkntfs >/dev/null && command -v ntfs-3g >/dev/null && [[ -c /dev/fuse ]]; then
    truncate -s 16M windows.img
    windows=$(attach_loop windows.img)
    mkntfs -q -F -f "$windows" >mkfs.out 2>&1 || fail "mkntfs: $(<mkfs.out)"
    mount_windows() {
        mkdir -p windows
        ntfs-3g "$windows" windows
        defer "$work/windows" umount "$work/windows"
    }
    mount_windows
    mkdir windows/Windows
    unmount windows
    facts=("SEEDBED_ROOT_PARTITION=$windows" SEEDBED_ROOT_TYPE=ntfs)
    for name in PC-17 PC-18; do # the second time, the file exists
        succeeds 20-host-name "${facts[@]}" "SEEDBED_MACHINE=$name"
    done
    succeeds 10-renew-ids "${facts[@]}"
    mount_windows
    xml=windows/Windows/Panther/unattend.xml
    [[ $(grep -c '<ComputerName>PC-18</ComputerName>' "$xml") == 1 ]] || fail "unattend.xml: $(<"$xml")"
    /usr/bin/python3 -c 'import sys, xml.etree.ElementTree as tree; tree.parse(sys.argv[1])' "$xml" || fail "unattend.xml is no XML"
    unmount windows
    hook 20-host-name "${facts[@]}" SEEDBED_MACHINE=LONGER-THAN-15-CHARACTERS
    ((hook_status == 1)) || fail "a name that is too long for Windows is accepted"
else
    echo "not tested: Windows (mkntfs, ntfs-3g or /dev/fuse is missing)"
fi

# --- UEFI
if command -v mkfs.vfat >/dev/null && command -v sfdisk >/dev/null; then
    truncate -s 64M disk.img
    mkdir bin efivars
    # A kernel without partition tables, or without FAT, is replaced by programs before those that the hook runs: the partition is then a
    # device of its own, with ext4.
    printf 'label: gpt\n,48M,U\n' | sfdisk -q disk.img
    disk=$(attach_loop disk.img -P)
    esp=${disk}p1
    if [[ ! -b $esp ]]; then
        truncate -s 48M esp.img
        esp=$(attach_loop esp.img)
        # shellcheck disable=SC2016
        printf '#!/bin/sh\n[ "$1" = "/sys/class/block/%s/partition" ] || exit 99\necho 1\n' "${esp##*/}" >bin/cat
        chmod +x bin/cat
    fi
    fat=vfat
    if can_mount vfat; then
        mkfs.vfat -F 32 "$esp" >mkfs.out 2>&1 || fail "mkfs.vfat: $(<mkfs.out)"
    else # the same with ext4 in place of FAT
        fat=ext4
        mkfs.ext4 -q "$esp"
        # shellcheck disable=SC2016
        printf '#!/bin/sh\n[ "$1 $2" = "-t vfat" ] || exit 99\nshift 2\nexec %s "$@"\n' "$(command -v mount)" >bin/mount
        chmod +x bin/mount
    fi
    mount_at esp -t "$fat" "$esp"
    mkdir -p esp/EFI/debian
    echo shim >esp/EFI/debian/shimx64.efi
    echo grub >esp/EFI/debian/grubx64.efi
    unmount esp
    cat >bin/efibootmgr <<END
#!/bin/sh
echo "\$*" >>$work/efibootmgr.calls
[ -n "\$*" ] || printf 'BootCurrent: 0001\nBoot0001* debian\tHD(1)\nBoot0002* PXE\n'
END
    chmod +x bin/efibootmgr
    facts=("PATH=$work/bin:$PATH" SEEDBED_EFI_ARCH=x86_64 "SEEDBED_DEVICE=$disk" "SEEDBED_EFI_PARTITION=$esp" SEEDBED_IMAGE=debian
        "SEEDBED_EFIVARS=$work/efivars")
    succeeds 30-boot-entry "${facts[@]}"
    printf '%s\n' '' '-q -B -b 0001' "-q -c -d $disk -p 1 -L debian -l \\EFI\\debian\\shimx64.efi" >expected
    diff expected efibootmgr.calls || fail "efibootmgr was called in another way"
    mount_at esp -t "$fat" "$esp"
    [[ $(<esp/EFI/BOOT/BOOTX64.EFI) == shim && $(<esp/EFI/BOOT/grubx64.efi) == grub ]] || fail "the removable path is incomplete"
    echo own >esp/EFI/BOOT/BOOTX64.EFI
    unmount esp
    # Without UEFI, only the removable path counts; what is there stays.
    succeeds 30-boot-entry "${facts[@]}" "SEEDBED_EFIVARS=$work/nowhere"
    diff expected efibootmgr.calls || fail "efibootmgr was called without UEFI"
    mount_at esp -t "$fat" "$esp"
    [[ $(<esp/EFI/BOOT/BOOTX64.EFI) == own ]] || fail "an existing boot loader was replaced"
    rm -r esp/EFI/BOOT esp/EFI/debian
    unmount esp
    hook 30-boot-entry "${facts[@]}"
    ((hook_status == 1)) || fail "a disk without a boot loader is accepted: $(<hook.out)"
else
    echo "not tested: UEFI (mkfs.vfat or sfdisk is missing)"
fi
pass
