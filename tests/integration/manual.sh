#!/bin/bash
# The installed manual pages: man and mandoc accept them without a warning, and they describe every subcommand,
# option, exit status and key. SEEDBED is the program in its build folder.
# Labels: once
set -euo pipefail
# shellcheck source=lib_daemon.sh
. "$(dirname "$0")/lib_daemon.sh"

need man mandoc gzip
pages=$(dirname "$seedbed")/packaging/man
export LC_ALL=C.UTF-8

# check PAGE: succeeds if man and mandoc accept PAGE; their warnings go to the file complaints.
check() {
    { mandoc -Tlint "$1" 2>&1 || true; man --warnings -E UTF-8 -l -Tutf8 -Z "$1" 2>&1 >ditroff; } >complaints
    [[ ! -s complaints ]]
}
for page in seedbed.1 seedbed.toml.5 seedbed-boot-image.8 seedbed-faults.7 seedbed-image.5 seedbed-messages.7 seedbed-migration.7 seedbed-partclone.7; do
    gzip -dc "$pages/$page.gz" >"$page" || fail "$page is missing: build the target manual"
    check "$page" || fail "$page: $(<complaints)"
    ! grep -nE '^\.\\" [A-Z]+$|@[A-Z_]+@' "$page" || fail "$page: a placeholder was not replaced"
    MANWIDTH=200 man -l -P cat "$page" | col -b >"$page.txt"
done
# EXAMPLES come right after DESCRIPTION.
[[ $(grep -A 1 -x '\.SH DESCRIPTION' <(grep '^\.SH' seedbed.1)) == *EXAMPLES ]] || fail "seedbed.1 does not begin with EXAMPLES"
sed 's/^\.SH FILES/.SH FILES\n.TP/; s/^\.PP$/.PQ/' seedbed.1 >broken.1
! check broken.1 || fail "a broken page passes the check"

# contains PAGE TEXT: fails unless PAGE contains TEXT.
contains() {
    grep -qF -e "$2" "$1.txt" || fail "$1 does not contain '$2'"
}
commands=$("$seedbed" --help | sed -n 's/^  \([a-z]*\) .*/\1/p')
(($(wc -w <<<"$commands") >= 6)) || fail "the subcommands are: $commands"
for command in $commands; do
    contains seedbed.1 "seedbed $command - "
    "$seedbed" "$command" --help >help
    sed -n '/^Options:/,/^Exit status:/s/^  \(-., \)\?\(--[a-z-]*\).*/\2/p' help >options
    grep -qx -e --help options || fail "'seedbed $command --help' lists no option"
    while read -r option; do
        sed -n "/seedbed $command - /,/seedbed [a-z]* - \|^[A-Z]/{/seedbed $command - /d;p}" seedbed.1.txt |
            grep -E -e "^ +(-., )?$option( |\$)" >/dev/null || fail "seedbed.1 does not describe '$command $option'"
    done <options
    sed -n '/^Exit status:/,$s/^  [0-9]  //p' help | while read -r line; do
        contains seedbed.1 "${line%%[,:;(]*}"
    done
done
contains seedbed.1 XDG_STATE_HOME
contains seedbed-messages.7 'not a terminal; pass --yes to confirm'

config=$(dirname "$here")/../config/seedbed.toml
sed -n 's/^#\([a-z_]* = .*\)/\1/p' "$config" >keys
(($(wc -l <keys) > 60)) || fail "seedbed.toml has $(wc -l <keys) keys"
while read -r key; do
    contains seedbed.toml.5 "$key"
done <keys
# The section ALL KEYS names each key with its default and the time at which a change takes effect.
sed -n '/^ALL KEYS/,/^FILES/p' seedbed.toml.5.txt >all_keys
sed -n 's/^#\([a-z_]*\) = .*/\1/p' "$config" | sort -u | while read -r key; do
    grep -qE "^ +$key[[:space:]].*(; default |; required).*; (reload|restart)" all_keys || fail "seedbed.toml.5 has no row for $key"
done
sed -n 's/^#\?\(\[.*\]\)$/\1/p' "$config" | while read -r table; do
    grep -qxF "   $table" seedbed.toml.5.txt || fail "seedbed.toml.5 has no section $table"
done
pass
