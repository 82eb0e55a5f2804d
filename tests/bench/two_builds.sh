#!/bin/bash
# Compares two builds of the program, which take turns within one run: swarm (to downloaded and flushed), backend write, read and
# mixed.
# Usage: two_builds.sh BASE_BUILD BUILD [ROUNDS]. The builds are folders of release builds with the target seedbed_bench; 7 rounds by
# default. Takes about a minute per round and needs an idle machine. SIZE is the size of the image ("512 MiB"), SIDE the setup of
# the backend (see seedbed_bench --help); JSON a file for the report. Exit status 1 if a rate of BUILD is below 0.97 times that of
# BASE_BUILD.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
base=$(readlink -f "${1:?folder of the base build}")/tests/bench/seedbed_bench
build=$(readlink -f "${2:?folder of a build}")/tests/bench/seedbed_bench
rounds=${3:-7}
size=${SIZE:-512 MiB}
side=${SIDE:-seedbed:direct=0}
for program in "$base" "$build"; do
    [[ -x $program ]] || {
        echo "two_builds.sh: no $program" >&2
        exit 2
    }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# measure NAME BUILD_NAME PROGRAM ARGUMENT...: one run.
measure() {
    local name=$1 label=$2 program=$3
    shift 3
    "$program" "$@" --side "$side" --size "$size" --runs 1 --json "$work/one.json" >/dev/null
    "$here/stats.py" backend "$work/one.json" "$name" | awk -F '\t' -v OFS='\t' -v label="$label" '{ $3 = label; print }' >>"$work/results"
}
for ((round = 0; round < rounds; round++)); do
    for name in swarm write read mixed; do
        arguments=(backend --load "$name")
        [[ $name != swarm ]] || arguments=(swarm)
        # The builds take turns at being first.
        if ((round % 2)); then
            measure "$name" build "$build" "${arguments[@]}"
            measure "$name" base "$base" "${arguments[@]}"
        else
            measure "$name" base "$base" "${arguments[@]}"
            measure "$name" build "$build" "${arguments[@]}"
        fi
    done
done
sed -n 's/^run\t\([^\t]*MiB\/s[^\t]*\)\tbuild\t.*/limit\t\1\tbuild\tbase\t>=\t0.97/p' "$work/results" | sort -u >"$work/limits"
{
    sort -s -t $'\t' -k 2,3 "$work/results" # base comes first
    cat "$work/limits"
    printf 'note\t%s, %s, %s rounds\n' "$side" "$size" "$rounds"
    printf 'note\tran on %s processors (%s); SHA-1 with one: %s bytes a second\n' "$(nproc)" \
        "$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1)" \
        "$(openssl speed -seconds 1 -bytes 16384 -evp sha1 2>/dev/null | awk '/^sha1/ { print $2 }')"
} >"$work/report"
"$here/stats.py" report "$work/report" "two builds" ${JSON:+"$JSON"}
