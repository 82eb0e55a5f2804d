#!/bin/bash
# The boot image, without making one: what seedbed-boot-image refuses before it starts, how the kernel line is read, what udhcpc's script
# does with a lease, and shellcheck. packaging/boot/try.sh boots the image in virtual machines. SEEDBED is the program.
# Labels: once
set -euo pipefail
# shellcheck source=lib_daemon.sh
. "$(dirname "$0")/lib_daemon.sh"

boot=$(readlink -f "$(dirname "$here")/../packaging/boot")
need dpkg-deb busybox

for script in "$boot"/seedbed-boot-image "$boot"/{try,lib_virtual}.sh "$boot"/initramfs/*; do
    ! command -v shellcheck >/dev/null || shellcheck -x "$script" || fail "shellcheck: $script"
done

# --- seedbed-boot-image: one line for each error, and no file
# A mmdebstrap that must not start: its start would be an error that is not expected.
mkdir bin
printf '#!/bin/sh\necho started >>"%s/started"\nexit 9\n' "$work" >bin/mmdebstrap
printf '#!/bin/sh\necho Avail\ncat "%s/free"\n' "$work" >bin/df
echo 9000000 >free
chmod +x bin/mmdebstrap bin/df
# refuses STATUS TEXT ARGUMENT...
refuses() {
    local expected=$1 text=$2 status=0
    shift 2
    PATH=$work/bin:$PATH "$boot/seedbed-boot-image" "$@" >out 2>err || status=$?
    ((status == expected)) || fail "$*: exit status $status instead of $expected: $(<err)"
    [[ $(<err) == "seedbed-boot-image: "*"$text"* && $(wc -l <err) == 1 ]] || fail "$*: says '$(<err)' instead of '$text'"
    [[ ! -e started && ! -e output/vmlinuz ]] || fail "$*: it started"
}
url=http://192.0.2.10:6969
refuses 2 '--server is missing' --output output
for wrong in 192.0.2.10:6969 https://host:6969 http://host:port 'http://host:6969 init=/bin/sh' http://host:6969/announce; do
    refuses 2 "is not http://HOST:PORT" --server "$wrong" --output output
done
refuses 2 "unknown argument '--serve'" --serve "$url"
refuses 2 '--deb needs a value' --server "$url" --deb
refuses 2 "--kernel '6.1;rm' is not a version" --server "$url" --kernel '6.1;rm'
refuses 2 "--add '-oX=y' is not the name of a package" --server "$url" --add -oX=y
refuses 1 'cannot be read' --server "$url" --deb none.deb
mkdir -p other/DEBIAN
printf 'Package: other\nVersion: 1\nArchitecture: all\nMaintainer: a\nDescription: b\n' >other/DEBIAN/control
dpkg-deb -b other other.deb >/dev/null
refuses 1 'is not a Seedbed package' --server "$url" --deb other.deb --output output
printf '#!/bin/sh\nexit 2\n' >old
chmod +x old
SEEDBED=$work/old refuses 1 "has no command 'agent'" --server "$url" --output output
echo 1500000 >free
refuses 1 'has only 1500 MB free' --server "$url" --output output
echo 9000000 >free
PATH=$work/bin:$PATH "$boot/seedbed-boot-image" --help >out || fail "--help fails"
for option in --server --output --deb --kernel --add; do
    grep -q -e "^  $option " out || fail "--help does not explain $option"
done
# All is well: it starts, and reports the failure of mmdebstrap.
status=0
PATH=$work/bin:$PATH "$boot/seedbed-boot-image" --server "$url/" --output output >out 2>err || status=$?
[[ -e started ]] || fail "it does not start: $(<err)"
grep -q 'cannot make the boot image' err || fail "exit status $status after mmdebstrap failed: $(<err)"
[[ -z $(ls -A output) ]] || fail "it left files: $(ls -A output)"

# --- dnsmasq accepts its configuration, also as README and its comments say to change it
if command -v dnsmasq >/dev/null; then
    sed "s|@DIR@|$work|g; s|@SERVER@|$url|g" "$boot/dnsmasq.conf" >dnsmasq.conf
    sed "/tag:ipxe/s|boot.ipxe|$url/boot/boot.ipxe|" dnsmasq.conf >http.conf
    sed '/^dhcp-range=/d; /^#dhcp-[a-z]*=/s/#//' dnsmasq.conf >only_server.conf
    for file in dnsmasq http only_server; do
        dnsmasq --test --conf-file="$file.conf" >out 2>&1 || fail "$file.conf: $(<out)"
        ! grep -q '@' "$file.conf" || fail "$file.conf: a placeholder was not replaced"
    done
    (($(grep -c "^[^#].*$url/boot/boot.ipxe" http.conf) == 4 && $(grep -c '^dhcp-range=' only_server.conf) == 1)) || fail "dnsmasq.conf has other lines to change"
fi

# --- the kernel line, read by the shell of the initramfs and by Debian's
# parse SHELL LINE: prints what read_kernel_line sets, or its error.
parse() {
    # shellcheck disable=SC2016 # the other shell expands it
    "${shell[@]}" -c 'set -u; . "$1"; read_kernel_line "$2" && echo "$seedbed_server|$seedbed_image|$seedbed_disk|$seedbed_after|$seedbed_shell"' - \
        "$boot/initramfs/seedbed" "$1" 2>&1 || true
}
for shell in "busybox sh" dash; do
    read -r -a shell <<<"$shell"
    command -v "${shell[0]}" >/dev/null || continue
    while IFS='>' read -r line expected; do
        got=$(parse "$line")
        [[ $got == "$expected" ]] || fail "${shell[*]}: '$line' gives '$got' instead of '$expected'"
    done <<END
boot=seedbed seedbed.server=$url/ console=tty0>$url||||
BOOT_IMAGE=vmlinuz seedbed.server=$url seedbed.image=win11 seedbed.disk=nvme,200G..600G seedbed.after=poweroff>$url|win11|nvme,200G..600G|poweroff|
seedbed.image=a seedbed.server=$url seedbed.disk=serial=S4*=X seedbed.shell>$url|a|serial=S4*=X||yes
quiet>kernel line: seedbed.server= is missing
seedbed.server=192.0.2.10>kernel line: seedbed.server='192.0.2.10' is not http://HOST:PORT
seedbed.server=$url seedbed.after=halt>kernel line: seedbed.after='halt' is not reboot, poweroff or wait
seedbed.server=$url seedbed.disk=auto>kernel line: seedbed.disk= needs seedbed.image=
seedbed.server=$url seedbed.image=../x>kernel line: seedbed.image='../x' is not the name of an image
seedbed.server=$url seedbed.imag=x>kernel line: 'seedbed.imag=x' is unknown
END
done

# --- the agent gets the options of the kernel line; one that ends is started again, unless it refuses its options
cat >bin/seedbed <<END
#!/bin/sh
echo "\$*" >>"$work/runs"
[ "\$(wc -l <"$work/runs")" -lt 2 ] && exit 3
exit 2
END
printf '#!/bin/sh\n' >bin/sleep
chmod +x bin/seedbed bin/sleep
status=0
# shellcheck disable=SC2016 # the other shell expands it
PATH=$work/bin:$PATH dash -c '. "$1"; read_kernel_line "$2"; run_agent' - "$boot/initramfs/seedbed" "seedbed.server=$url seedbed.after=wait" >out || status=$?
((status == 1)) || fail "run_agent ends with $status"
[[ $(uniq -c runs | sed 's/^ *//') == "2 agent --server $url --after-deploy /usr/share/seedbed/hooks --after wait" ]] || fail "the agent ran as: $(<runs)"
grep -q 'ended with status 3; starting it again' out || fail "run_agent says: $(<out)"

# --- an image that the kernel line names is deployed without an order: again while the server is away (4) or the download stalls (5), and
# not after another failure. The machine goes down once its data is flushed, or waits. No program but these can be found.
mkdir only
for program in sync busybox sleep seedbed; do
    printf '#!/bin/sh\necho "%s $*" >>"%s/runs"\n' "$program" "$work" >"only/$program"
done
echo "[ \"\$1\" = 10 ] || kill \$PPID" >>only/sleep # the last sleep has no end
cat >>only/seedbed <<END
read -r status rest <"$work/statuses"
echo "\$rest" >"$work/statuses"
exit "\$status"
END
chmod +x only/*
# deploys STATUSES WORDS: runs deploy_image with these words of the kernel line, while seedbed ends with these statuses.
deploys() {
    rm runs
    echo "$1" >statuses
    status=0
    # shellcheck disable=SC2016 # the other shell expands it
    timeout 60 env PATH="$work/only" "$(command -v dash)" -c '. "$1"; read_kernel_line "$2"; deploy_image' - "$boot/initramfs/seedbed" \
        "seedbed.server=$url $2" >out || status=$?
}
# ran LINE...: fails unless exactly these programs ran.
ran() {
    diff runs <(printf '%s\n' "$@") || fail "deploy_image, which ended with status $status, ran other programs"
}
end="--server 192.0.2.10:6969 --yes --seed-until-idle 15s"
deploys '4 5 0' 'seedbed.image=win11 seedbed.disk=nvme,200G..600G seedbed.after=poweroff'
run="seedbed deploy win11 nvme,200G..600G $end"
ran "$run" 'sleep 10' "$run" 'sleep 10' "$run" 'sync ' 'busybox poweroff -f' 'sleep 3600'
deploys 0 'seedbed.image=win11'
ran "seedbed deploy win11 auto $end" 'sync ' 'busybox reboot -f' 'sleep 3600'
deploys 0 'seedbed.image=win11 seedbed.after=wait'
ran "seedbed deploy win11 auto $end" 'sync ' 'sleep 3600'
deploys 3 'seedbed.image=win11'
ran "seedbed deploy win11 auto $end"
((status == 1)) || fail "a refused disk: status $status"
pass
