#!/bin/bash
# Runs every target of tests/fuzz for some time, 60 seconds by default, with the inputs that make_corpus.py writes and those that
# earlier runs have found, in BUILD/corpus. Prints a table; fails if a target does, whose input stays in BUILD/findings.
# Usage: fuzz.sh [SECONDS [TARGET...]]; BUILD is the environment's SEEDBED_FUZZ_BUILD, or build/fuzz. `tests/run.sh fuzz` builds
# the targets and runs this.
set -euo pipefail
seconds=${1:-60}
shift $(($# > 0))
source=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
build=${SEEDBED_FUZZ_BUILD:-$source/build/fuzz}
targets=("$@")
if ((!${#targets[@]})); then
    for file in "$source"/tests/fuzz/*.cpp; do
        targets+=("$(basename "$file" .cpp)")
    done
fi

/usr/bin/python3 "$source/tests/fuzz/make_corpus.py" "$source" "$build/corpus"
mkdir -p "$build/findings"
export ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1
export UBSAN_OPTIONS=print_stacktrace=1
failures=0
printf '%-16s %12s %10s %8s  %s\n' target executions per_second inputs outcome
for target in "${targets[@]}"; do
    log=$build/findings/$target.log
    outcome=ok
    # The main causes of false alarms are load and large inputs: no input takes 20 s, none is larger than 64 KiB.
    "$build/tests/fuzz/fuzz_$target" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -max_len=65536 \
        -print_final_stats=1 -artifact_prefix="$build/findings/$target-" "$build/corpus/$target" >"$log" 2>&1 || outcome=FAILED
    executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    rate=$(sed -n 's/^stat::average_exec_per_sec: *//p' "$log")
    inputs=$(find "$build/corpus/$target" -type f | wc -l)
    if [[ $outcome == FAILED ]]; then
        failures=$((failures + 1))
        outcome="FAILED: $(grep -m 1 -E '^SUMMARY|ERROR:|runtime error' "$log" || tail -n 1 "$log"); see $log"
    fi
    printf '%-16s %12s %10s %8s  %s\n' "$target" "${executions:-?}" "${rate:-?}" "$inputs" "$outcome"
done
((failures == 0))
