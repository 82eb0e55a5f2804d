#!/bin/bash
# Runs the rows of the fault table, seedbed-faults(7), and prints the table with their results.
#
# Usage: SEEDBED=PROGRAM tests/faults/run.sh [PATTERN]    rows whose name matches the shell pattern, "target_*"; all by default
#        tests/faults/run.sh --list                       prints the table as in packaging/man/seedbed-faults.md; runs nothing
#
# A row is a script next to this one, PART_NAME.sh, whose first comment lines are "# Fault: ..." and "# Required: ...". The output of a
# row that fails is printed after the table. A row that cannot run on this machine is skipped, with the reason. Exit status: 0 if no
# row has failed, 1 otherwise. SEEDBED_JOBS is the number of rows to run at once (by default, the number of processors),
# SEEDBED_FAULT_SECONDS the time limit of each (180).
set -euo pipefail

here=$(dirname "$(readlink -f "$0")")
limit=${SEEDBED_FAULT_SECONDS:-180}

# header ROW KEY: prints the text of a comment line.
header() {
    sed -n "1,5s/^# $2: //p" "$here/$1.sh"
}

# rows PATTERN: prints the names of the rows in the order of the table.
rows() {
    local part file
    for part in target source torrent checkpoint daemon network; do
        for file in "$here/$part"_*.sh; do
            file=${file##*/}
            # shellcheck disable=SC2053 # a pattern
            [[ ${file%.sh} != $1 ]] || echo "${file%.sh}"
        done
    done
}

list() {
    local row part previous=
    for row in $(rows '*'); do
        part=${row%%_*}
        [[ $part == "$previous" ]] || printf '# %s\n\n' "${part^^}"
        previous=$part
        header "$row" Fault | fmt -w 72
        header "$row" Required | fmt -w 70 | sed '1s/^/: /; 1!s/^/  /'
        echo
    done
}

# run ROW: runs it; its output is in ROW.out, its exit status and its seconds in ROW.result.
run() {
    local status=0 began=$SECONDS
    timeout -k 30 "$limit" bash "$here/$1.sh" </dev/null >"$results/$1.out" 2>&1 || status=$?
    echo "$status $((SECONDS - began))" >"$results/$1.result"
}

# verdict ROW: prints its result for the table.
verdict() {
    local status seconds
    read -r status seconds <"$results/$1.result"
    case $status in
    0) echo "passed ($seconds s)" ;;
    77) echo "skipped: $(sed -n 's/^SKIP: //p' "$results/$1.out" | head -n 1)" ;;
    124 | 137) echo "FAILED: not within $limit s" ;;
    *) echo "FAILED ($seconds s)" ;;
    esac
}

case ${1:-*} in
--list)
    list
    exit 0
    ;;
-*)
    sed -n '2,/^$/s/^# \?//p' "$0"
    exit 2
    ;;
esac
[[ -x ${SEEDBED:-} ]] || {
    echo "run.sh: set SEEDBED to the seedbed program" >&2
    exit 2
}
mapfile -t chosen < <(rows "${1:-*}")
((${#chosen[@]} > 0)) || {
    echo "run.sh: no row matches '$1'" >&2
    exit 2
}
results=$(mktemp -d "${TMPDIR:-/tmp}/seedbed-faults-XXXXXX")
trap 'rm -rf "$results"' EXIT
running=0
for row in "${chosen[@]}"; do
    if ((running >= ${SEEDBED_JOBS:-$(nproc)})); then
        wait -n
        running=$((running - 1))
    fi
    run "$row" &
    running=$((running + 1))
done
wait

failed=()
for row in "${chosen[@]}"; do
    verdict=$(verdict "$row")
    printf '%s\n    fault:    %s\n    required: %s\n    result:   %s\n' "$row" "$(header "$row" Fault)" "$(header "$row" Required)" "$verdict"
    [[ $verdict != FAILED* ]] || failed+=("$row")
done
for row in "${failed[@]}"; do
    printf '\n==== %s\n' "$row"
    tail -n 40 "$results/$row.out"
done
count() {
    grep -l "^$1 " "$results"/*.result | wc -l
}
echo
echo "${#chosen[@]} rows: $(count 0 || true) passed, $(count 77 || true) skipped, ${#failed[@]} failed, $SECONDS s"
((${#failed[@]} == 0))
