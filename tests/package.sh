#!/bin/bash
# Tests the Debian package: lintian; in a fresh Debian 12 tree: installation, the program, user, manual and completion, an upgrade that
# keeps a changed configuration, removal, purging. Not part of run.sh: it downloads a Debian system.
# Usage: package.sh [DEB]; build/release/seedbed_*.deb by default, made by `cmake --build build/release --target package`. Needs root,
# debootstrap, lintian and a network. Exit status: 0 passed, 77 skipped, anything else failed.
set -euo pipefail
root=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
deb=$(readlink -f "${1:-$(ls "$root"/build/release/seedbed_*.deb)}")
fail() {
    echo "FAIL: $*"
    exit 1
}
for program in debootstrap lintian dpkg-deb; do
    command -v "$program" >/dev/null || { echo "SKIP: $program is not installed"; exit 77; }
done
((EUID == 0)) || { echo "SKIP: needs root"; exit 77; }

work=$(mktemp -d)
tree=$work/tree
trap 'for at in proc sys; do ! mountpoint -q "$tree/$at" || umount "$tree/$at"; done; rm -rf "$work"' EXIT
lintian --fail-on error,warning "$deb" || fail "lintian"

debootstrap --variant=minbase bookworm "$tree" "${MIRROR:-http://deb.debian.org/debian}" >"$work/debootstrap.log" 2>&1 || {
    echo "SKIP: debootstrap: $(tail -n 1 "$work/debootstrap.log")"
    exit 77
}
mount -t proc proc "$tree/proc"
mount -t sysfs -o ro sysfs "$tree/sys"
inside() { LC_ALL=C DEBIAN_FRONTEND=noninteractive chroot "$tree" "$@"; }
# apt COMMAND...: what it prints is shown only if it fails.
apt() { inside apt-get -y -q -o Dpkg::Options::=--force-confold "$@" >"$work/apt.log" 2>&1 || fail "apt-get $*: $(tail -n 20 "$work/apt.log")"; }
owner() { inside stat -c '%U:%G %a' "$1"; }
# Debian 12's minbase installs manual pages and documents; bash completion needs no other package.
apt update
apt install --no-install-recommends bash-completion adduser
cp "$deb" "$tree/seedbed.deb"
apt install --no-install-recommends /seedbed.deb

# --- installed
inside seedbed --version >/dev/null || fail "the program does not start"
[[ $(inside id -nG seedbed) == *disk* ]] || fail "the user is not in the group disk"
[[ $(owner /var/lib/seedbed) == "seedbed:seedbed 700" ]] || fail "/var/lib/seedbed: $(owner /var/lib/seedbed)"
[[ $(owner /etc/seedbed/images.d) == "root:root 755" ]] || fail "/etc/seedbed/images.d: $(owner /etc/seedbed/images.d)"
[[ ! -e $tree/etc/systemd/system/multi-user.target.wants/seedbed.service ]] || fail "the service was enabled"
inside seedbed daemon --config /etc/seedbed/seedbed.toml --check-syntax || fail "the configuration is refused"
for page in 1/seedbed.1 5/seedbed.toml.5 5/seedbed-image.5 7/seedbed-{faults,messages,migration,partclone}.7 8/seedbed-boot-image.8; do
    [[ -s $tree/usr/share/man/man$page.gz ]] || fail "no page $page"
done
inside seedbed-boot-image --help >/dev/null || fail "seedbed-boot-image does not start"
for file in README.md dnsmasq.conf try.sh lib_virtual.sh initramfs/hook initramfs/seedbed initramfs/udhcpc; do
    [[ -s $tree/usr/share/seedbed/boot/$file ]] || fail "no /usr/share/seedbed/boot/$file"
done
for program in hooks/{10-renew-ids,20-host-name,30-boot-entry} examples/{deployed-mail,deployed-webhook,wake-machines}; do
    [[ -x $tree/usr/share/seedbed/$program ]] || fail "no program /usr/share/seedbed/$program"
done
for file in deploy.conf examples/README.md examples/seedbed-wake.{service,timer} examples/seedbed.rules.yml examples/seedbed-dashboard.json; do
    [[ -s $tree/usr/share/seedbed/$file ]] || fail "no /usr/share/seedbed/$file"
done
# Every option in --help of every command is completed, and a file after an option that takes one.
complete() {
    inside bash -c '. /usr/share/bash-completion/completions/seedbed; compopt() { :; }; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _seedbed
        printf "%s\n" "${COMPREPLY[@]}"' - "$@"
}
mapfile -t commands < <(inside seedbed --help | sed -n 's/^  \([a-z]*\) .*/\1/p')
((${#commands[@]} >= 7)) || fail "commands: ${commands[*]}"
for command in "${commands[@]}"; do
    complete seedbed "${command:0:3}" | grep -x "$command" >/dev/null || fail "bash does not complete $command"
    offered=$(complete seedbed "$command" --)
    while read -r option; do
        grep -qx -e "$option" <<<"$offered" || fail "bash does not complete $command $option"
    done < <(inside seedbed "$command" --help | sed -n 's/^  \(-., \)\{0,1\}\(--[a-z-]*\).*/\2/p')
done
complete seedbed daemon --config /etc/seedbed/ | grep seedbed.toml >/dev/null || fail "bash does not complete a file"
apt install --no-install-recommends zsh
inside zsh -n /usr/share/zsh/vendor-completions/_seedbed || fail "zsh's completion has an error"

# --- upgraded: a changed configuration and the images stay
echo '# mine' >>"$tree/etc/seedbed/seedbed.toml"
echo '# mine' >"$tree/etc/seedbed/images.d/one.toml"
dpkg-deb -R "$deb" "$work/next"
sed -i 's/^Version: .*/&+next/' "$work/next/DEBIAN/control"
echo '# new' >>"$work/next/etc/seedbed/seedbed.toml"
(cd "$work/next" && find . -type f ! -path './DEBIAN/*' -printf '%P\0' | xargs -0 md5sum >DEBIAN/md5sums)
dpkg-deb --root-owner-group -b "$work/next" "$tree/next.deb" >/dev/null
apt install --no-install-recommends /next.deb
[[ $(inside dpkg-query -W -f '${Version}' seedbed) == *+next ]] || fail "not upgraded"
[[ $(tail -n 1 "$tree/etc/seedbed/seedbed.toml") == '# mine' ]] || fail "the upgrade replaced a changed configuration"
[[ -e $tree/etc/seedbed/seedbed.toml.dpkg-dist ]] || fail "the upgrade did not leave the new configuration beside it"

# --- removed, purged
apt remove seedbed
[[ ! -e $tree/usr/bin/seedbed && ! -e $tree/usr/lib/systemd/system/seedbed.service ]] || fail "the program is still there"
[[ -e $tree/etc/seedbed/seedbed.toml && -e $tree/etc/seedbed/images.d/one.toml && -e $tree/var/lib/seedbed ]] || fail "removal took the configuration"
apt purge seedbed
[[ ! -e $tree/etc/seedbed && ! -e $tree/var/lib/seedbed ]] || fail "left: $(find "$tree/etc/seedbed" "$tree/var/lib/seedbed" 2>/dev/null)"
echo PASS
