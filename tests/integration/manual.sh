#!/bin/bash
# The manual pages, as they are installed: man and mandoc have nothing to complain of, and they tell of every subcommand,
# option, exit status and key that there is. SEEDBED is the program in its build folder.
# Labels: once
set -euo pipefail
# shellcheck source=lib_daemon.sh
. "$(dirname "$0")/lib_daemon.sh"

need man mandoc gzip
pages=$(dirname "$seedbed")/packaging/man
export LC_ALL=C.UTF-8

# check PAGE: what is wrong with it goes to the file complaints.
check() {
    { mandoc -Tlint "$1" 2>&1 || true; man --warnings -E UTF-8 -l -Tutf8 -Z "$1" 2>&1 >ditroff; } >complaints
    [[ ! -s complaints ]]
}
for page in seedbed.1 seedbed.toml.5 seedbed-messages.7 seedbed-migration.7; do
    gzip -dc "$pages/$page.gz" >"$page" || fail "there is no $page: build the target manual"
    check "$page" || fail "$page: $(<complaints)"
    ! grep -nE '^\.\\" [A-Z]+$|@[A-Z_]+@' "$page" || fail "$page: something was not put in"
    MANWIDTH=200 man -l -P cat "$page" | col -b >"$page.txt"
done
sed 's/^\.SH FILES/.SH FILES\n.TP/; s/^\.PP$/.PQ/' seedbed.1 >broken.1
! check broken.1 || fail "nothing is wrong with a page that is broken"

# told PAGE TEXT
told() {
    grep -qF -e "$2" "$1.txt" || fail "$1 does not tell of '$2'"
}
commands=$("$seedbed" --help | sed -n 's/^  \([a-z]*\) .*/\1/p')
(($(wc -w <<<"$commands") >= 6)) || fail "the subcommands are: $commands"
for command in $commands; do
    told seedbed.1 "seedbed $command - "
    "$seedbed" "$command" --help >help
    sed -n '/^Options:/,/^Exit status:/s/^  \(-., \)\?\(--[a-z-]*\).*/\2/p' help >options
    grep -qx -e --help options || fail "'seedbed $command --help' tells of no option"
    while read -r option; do
        sed -n "/seedbed $command - /,/seedbed [a-z]* - \|^[A-Z]/{/seedbed $command - /d;p}" seedbed.1.txt |
            grep -qE -e "^ +(-., )?$option( |\$)" || fail "seedbed.1 does not tell of '$command $option'"
    done <options
    sed -n '/^Exit status:/,$s/^  [0-9]  //p' help | while read -r line; do
        told seedbed.1 "${line%%[,:;(]*}"
    done
done
told seedbed.1 XDG_STATE_HOME
told seedbed-messages.7 'there is no terminal to ask on: --yes is needed'

config=$(dirname "$here")/../config/seedbed.toml
sed -n 's/^#\([a-z_]* = .*\)/\1/p' "$config" >keys
(($(wc -l <keys) > 60)) || fail "seedbed.toml has $(wc -l <keys) keys"
while read -r key; do
    told seedbed.toml.5 "$key"
done <keys
sed -n 's/^#\?\(\[.*\]\)$/\1/p' "$config" | while read -r table; do
    grep -qxF "   $table" seedbed.toml.5.txt || fail "seedbed.toml.5 has no section $table"
done
pass
