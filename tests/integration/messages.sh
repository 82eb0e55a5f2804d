#!/bin/bash
# What the README's section "Troubleshooting" quotes is what the program says: each part of a message between two "…" stands in
# the sources. Needs nothing but the sources.
# Labels: once
set -euo pipefail

source_dir=$(cd "$(dirname "$(readlink -f "$0")")/../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/seedbed-messages-XXXXXX")
trap 'rm -rf "$work"' EXIT
export LC_ALL=C.UTF-8

fail() {
    echo "FAIL: $1" >&2
    exit 1
}

# The sources with adjacent literals joined, as a compiler does, and without escapes; fmt's {} and what is put between two
# literals end a part just as "…" does.
find "$source_dir"/{daemon,config,core} -name '*.cpp' -print0 | xargs -0 cat |
    perl -0pe 's/"\s*\n\s*"//g; s/\\"/"/g' >"$work/sources"

# The first column of the section's tables, without the quotes around it.
sed -n '/^## Troubleshooting$/,/^## /s/^| `\([^`]*\)` |.*/\1/p' "${1:-$source_dir/README.md}" >"$work/messages"
(($(wc -l <"$work/messages") > 60)) || fail "the README quotes $(wc -l <"$work/messages") messages"
[[ -z $(sort "$work/messages" | uniq -d) ]] || fail "quoted twice: $(sort "$work/messages" | uniq -d)"
wrong=0
while IFS= read -r message; do
    longest=
    while IFS= read -r part; do
        [[ ${#part} -le ${#longest} ]] || longest=$part
        # What stands at its edges can belong to what is put in.
        part=$(sed 's/^[ :]*//; s/[ :;]*$//' <<<"$part")
        grep -qF -e "$part" "$work/sources" || {
            echo "not in the sources: '$part' of '$message'" >&2
            wrong=1
        }
    done < <(sed 's/…/\n/g' <<<"$message" | grep -E '[a-z]{2}')
    ((${#longest} >= 8)) || {
        echo "quotes next to nothing: '$message'" >&2
        wrong=1
    }
done <"$work/messages"
((wrong == 0)) || fail "the README quotes what the program does not say"
echo "PASS"
