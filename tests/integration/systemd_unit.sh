#!/bin/bash
# The files that `cmake --install` installs for systemd: a unit that systemd-analyze accepts and rates as well confined, and whose
# reload refuses a broken configuration; the user and the folders.
# SEEDBED is the program in its build folder. Changes nothing outside its own folder.
# Labels: once alone
set -euo pipefail

seedbed=$(readlink -f "${SEEDBED:?path of the seedbed program}")
build=$(dirname "$seedbed")
# systemd-analyze's exposure in tenths; 0 is best. The daemon cannot do without the network, raw block devices, and a user that reads
# the host's mounts.
threshold=15

skip() {
    echo "SKIP: $1"
    exit 77
}
fail() {
    echo "FAIL: $1" >&2
    exit 1
}

for tool in systemd-analyze systemd-sysusers systemd-tmpfiles cmake; do
    command -v "$tool" >/dev/null || skip "$tool is not installed"
done

work=$(mktemp -d "${TMPDIR:-/tmp}/seedbed-unit-XXXXXX")
trap 'rm -rf "$work"' EXIT
tree=$work/tree
DESTDIR=$tree cmake --install "$build" >"$work/install" 2>&1 || {
    cat "$work/install" >&2
    fail "cmake --install"
}
# After another installation under a different prefix, the unit names that program, and the user's configuration is kept.
echo '# mine' >>"$tree/etc/seedbed/seedbed.toml"
DESTDIR=$tree cmake --install "$build" --prefix /opt/seedbed >"$work/install" 2>&1 || fail "cmake --install --prefix"
grep -q '^ExecStart=/opt/seedbed/bin/seedbed ' "$tree/opt/seedbed/lib/systemd/system/seedbed.service" ||
    fail "with another prefix, the unit does not start the program there"
[[ $(tail -n 1 "$tree/etc/seedbed/seedbed.toml") == '# mine' ]] || fail "the second installation has overwritten the configuration"
rm -rf "$tree"
DESTDIR=$tree cmake --install "$build" >"$work/install" 2>&1 || fail "cmake --install"

unit=$(find "$tree" -name seedbed.service)
[[ -f $unit ]] || fail "no seedbed.service was installed"
program=$(sed -n 's/^ExecStart=\([^ ]*\).*/\1/p' "$unit")
[[ -x $tree$program ]] || fail "the unit starts $program, which was not installed"
# The unit's manual pages are installed.
read -ra documents < <(sed -n 's/^Documentation=//p' "$unit")
((${#documents[@]} == 2)) || fail "the unit names ${#documents[@]} manual pages"
for document in "${documents[@]}"; do
    [[ $document =~ ^man:(.*)\((.)\)$ && -s $tree/usr/share/man/man${BASH_REMATCH[2]}/${BASH_REMATCH[1]}.${BASH_REMATCH[2]}.gz ]] ||
        fail "$document was not installed: $(find "$tree" -name '*.gz')"
done
install -D /bin/true "$tree/bin/kill" # for ExecReload

# verify: runs systemd-analyze verify on the unit, with its output in $work/said.
verify() {
    systemd-analyze verify --man=no --recursive-errors=no --root="$tree" seedbed.service >"$work/said" 2>&1
}
# analyze THRESHOLD: the same with systemd-analyze security; fails if the exposure is above THRESHOLD.
analyze() {
    systemd-analyze security --no-pager --offline=true --threshold="$1" --root="$tree" seedbed.service >"$work/said" 2>&1
}

verify || fail "systemd-analyze verify: $(<"$work/said")"
[[ ! -s $work/said ]] || fail "systemd-analyze verify warns: $(<"$work/said")"
analyze "$threshold" || fail "the service is less confined than before: $(<"$work/said")"
grep 'Overall exposure' "$work/said"

# calls SET: prints the system calls of a set, including those of nested sets.
calls() {
    local entry
    [[ $1 == @* ]] || {
        echo "$1"
        return
    }
    while read -r entry; do
        case $entry in
        @*) calls "$entry" ;;
        [a-z_]*) echo "$entry" ;;
        esac
    done < <(systemd-analyze syscall-filter "$1" | tail -n +2)
}
# allows UNIT CALL: succeeds if the unit's SystemCallFilter allows the call.
allows() {
    local set passes=1
    while read -r set; do
        if calls "${set#\~}" | grep -x "$2" >"$work/said"; then
            [[ $set == \~* ]] && passes=1 || passes=0
        fi
    done < <(sed -n 's/^SystemCallFilter=//p' "$1" | awk '{ no = sub(/^~/, "") ? "~" : ""; for (i = 1; i <= NF; i++) print no $i }')
    return $passes
}
for call in io_uring_setup io_uring_enter io_uring_register fsync sync_file_range madvise landlock_create_ruleset \
    landlock_add_rule landlock_restrict_self; do
    allows "$unit" "$call" || fail "the service may not call $call"
done
for call in chown setpriority mount; do
    ! allows "$unit" "$call" || fail "the service may call $call"
done

# The same checks fail for broken units.
cp "$unit" "$work/good"
# broken WHY SED_SCRIPT: fails unless systemd-analyze rejects the changed unit.
broken() {
    sed "$2" "$work/good" >"$unit"
    ! cmp -s "$work/good" "$unit" || fail "'$2' changes nothing in the unit"
    ! verify || fail "systemd-analyze verify accepts $1"
}
broken "an unknown key" 's/^Restart=/Restrat=/'
broken "an unknown value" 's/^Type=notify/Type=notifies/'
broken "a missing program" "s|^ExecStart=$program|&-missing|"
sed '/^\(Protect\|Restrict\|SystemCall\|CapabilityBoundingSet\|User\|DevicePolicy\)/d' "$work/good" >"$unit"
! analyze "$threshold" || fail "an unconfined service passes as confined"
cp "$work/good" "$unit"

# A reload of a broken file fails with the reason, and the daemon gets no signal; an image that would be refused does not block it.
# reload WANT: runs the unit's ExecReload= lines on $work/seedbed.toml as systemd does, in order until one fails. Their output is in
# $work/said, and $work/told exists if the daemon was signalled. The exit status must be WANT.
reload() {
    local want=$1 line status=0
    rm -f "$work/told"
    : >"$work/said"
    while read -r line && ((status == 0)); do
        if [[ $line == "/bin/kill -HUP \$MAINPID" ]]; then
            touch "$work/told"
        elif [[ $line == "$program daemon --config /etc/seedbed/seedbed.toml"* ]]; then
            line=${line/"/etc/seedbed/seedbed.toml"/"$work/seedbed.toml"}
            # shellcheck disable=SC2086 # words, as systemd splits them
            "$tree"$line >"$work/said" 2>&1 || status=$?
        else
            fail "the test does not know ExecReload=$line"
        fi
    done < <(sed -n 's/^ExecReload=//p' "$unit")
    ((status == want)) || fail "a reload ends with $status instead of $want: $(<"$work/said")"
}
: >"$work/seedbed.toml"
reload 0
[[ -e $work/told ]] || fail "a reload of a good file does not reach the daemon"
printf '%s\n' '[[image]]' 'name = "sda1"' 'torrent = "no.torrent"' 'device = "no.img"' 'mode = "seed"' >"$work/seedbed.toml"
reload 0
[[ -e $work/told ]] || fail "an image that would be refused blocks a reload"
printf '%s\n' '[network]' 'connections = "many"' >"$work/seedbed.toml"
reload 2
[[ ! -e $work/told ]] || fail "a broken file reaches the daemon"
grep -q "^$work/seedbed.toml:2: network.connections: " "$work/said" || fail "a refused reload gives no reason: $(<"$work/said")"

# The user and the folders, created in the tree; this needs root.
sysusers=$(find "$tree" -path '*/sysusers.d/seedbed.conf')
tmpfiles=$(find "$tree" -path '*/tmpfiles.d/seedbed.conf')
[[ -f $sysusers && -f $tmpfiles ]] || fail "sysusers.d or tmpfiles.d have no seedbed.conf"
if ((EUID == 0)); then
    mkdir -p "$tree/etc"
    echo 'disk:x:6:' >"$tree/etc/group"
    systemd-sysusers --root="$tree" "$sysusers" >"$work/said" 2>&1 || fail "systemd-sysusers: $(<"$work/said")"
    grep -q '^seedbed:' "$tree/etc/passwd" || fail "systemd-sysusers created no user"
    grep -q '^disk:.*[:,]seedbed$' "$tree/etc/group" || fail "the user is not in the group disk"
    systemd-tmpfiles --root="$tree" --create "$tmpfiles" >"$work/said" 2>&1 || fail "systemd-tmpfiles: $(<"$work/said")"
    [[ -d $tree/etc/seedbed/images.d ]] || fail "/etc/seedbed/images.d was not created"
    owner=$(stat -c %u:%g:%a "$tree/var/lib/seedbed")
    [[ $owner == "$(awk -F: '$1 == "seedbed" { print $3 ":" $4 }' "$tree/etc/passwd"):700" ]] ||
        fail "/var/lib/seedbed belongs to $owner"
else
    echo "not root: the user and the folders were not created"
fi

echo "PASS"
