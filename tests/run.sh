#!/usr/bin/env bash
# Sets up, builds and tests everything as continuous integration does; stops at the first failure.
#
# Usage: tests/run.sh [unit|tidy|dev|ci|core|asan|tsan|fuzz]...     core, ci and tidy by default; all of them take more than an hour
#   unit   unit tests only, in under a minute after a build; installs nothing and needs no root
#   tidy   clang-tidy with the checked-in configuration
#   dev    a build with warnings as errors; the layout of the sources; all tests; beside them, at idle priority, a minute of each
#          target of tests/fuzz if core came before, and clang-tidy if tidy comes, too
#   ci     the same, but compiles each layer as one translation unit: faster from scratch, slower after an edit; without the
#          tests that core ran
#   core   AddressSanitizer and UndefinedBehaviorSanitizer, with clang; unit tests of core/foundation, cache and backend, which
#          share memory; builds the targets of tests/fuzz; the tests run beside the next build
#   asan   AddressSanitizer and UndefinedBehaviorSanitizer; all tests that need no virtual machine
#   tsan   ThreadSanitizer; unit tests and the integration tests with the label "threads"
#   fuzz   a minute of each target of tests/fuzz, built with clang
#
# Installs missing packages first, which needs root. Many integration tests need root, too; a test that cannot run prints the
# reason and is skipped. SEEDBED_JOBS is the number of parallel compilations (by default, the number of processors).
set -euo pipefail

source_dir=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
cd "$source_dir"
jobs=${SEEDBED_JOBS:-$(nproc)}

presets=("$@")
((${#presets[@]})) || presets=(core ci tidy)
for preset in "${presets[@]}"; do
  if [[ ! $preset =~ ^(unit|tidy|dev|ci|core|asan|tsan|fuzz)$ ]]; then
    echo "run.sh: '$preset' is none of unit, tidy, dev, ci, core, asan, tsan and fuzz" >&2
    exit 2
  fi
done

current=
declare -A beside=() # NAME -> the process group of what runs beside the tests
results=$(mktemp)
ended() {
  local status=$?
  if ((status)); then
    echo "run.sh: FAILED at '$current' with exit status $status"
  fi
  echo "run.sh: $SECONDS s in total"
  cat "$results" # the last lines of ctest, one per preset
  local group
  for group in "${beside[@]}"; do
    kill -- "-$group" || true
  done
  rm -f "$results" "$results".*
}
trap ended EXIT

# used: prints the processor time of the commands that have ended, in seconds.
used() {
  awk '{ print int(($16 + $17) / 100) }' "/proc/$$/stat" # the children's user and system time, in ticks of 10 ms
}

# stage NAME COMMAND...: runs COMMAND; prints NAME, how long it took, and the processor time of what ended meanwhile.
stage() {
  local begin=$SECONDS before
  before=$(used)
  current=$1
  shift
  printf '==== %s\n' "$current"
  "$@"
  printf '==== %s: %d s, %d s of processors\n' "$current" $((SECONDS - begin)) $(($(used) - before))
}

check_layout() {
  # Files that a command has left in the source folder must not be committed.
  local stray
  stray=$(git ls-files -z 2>/dev/null | tr '\0' '\n' |
    LC_ALL=C grep -avE '^((core|daemon|config|systemd|packaging|tests|\.ci|\.github)/|[A-Za-z.-]+$)' || true)
  if [[ -n $stray ]]; then
    printf 'not a folder of this project: %q\n' "$stray" >&2
    return 1
  fi
  local formatter=clang-format-14
  # Other versions format some constructs differently, but are better than nothing if Debian 12's is unavailable.
  command -v "$formatter" >/dev/null || formatter=clang-format
  find core config daemon packaging tests \( -name '*.cpp' -o -name '*.hpp' \) -print0 |
    xargs -0 -r -n 16 -P "$jobs" "$formatter" --dry-run -Werror
}

# under_sanitizer COMMAND...: runs COMMAND with the sanitizers' settings, which other builds ignore.
under_sanitizer() {
  local aslr=()
  # The ThreadSanitizer of GCC 12 fails if addresses are randomised by more than 28 bits ("unexpected memory mapping"); without
  # randomisation, it always works.
  if [[ $preset == tsan && $(cat /proc/sys/vm/mmap_rnd_bits 2>/dev/null || echo 32) -gt 28 ]] && setarch -R true; then
    aslr=(setarch -R)
  fi
  ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1 \
    UBSAN_OPTIONS=print_stacktrace=1 \
    TSAN_OPTIONS="suppressions=$source_dir/tests/support/tsan.supp second_deadlock_stack=1" \
    "${aslr[@]}" "$@"
}

# start_beside NAME COMMAND...: runs COMMAND in the background, in a process group of its own.
start_beside() {
  set -m
  ("${@:2}") >"$results.$1" 2>&1 </dev/null &
  set +m
  beside[$1]=$!
}

# end_beside NAME: waits for it; prints its output.
end_beside() {
  local status=0
  wait "${beside[$1]}" || status=$?
  unset "beside[$1]"
  cat "$results.$1"
  return "$status"
}

run_tests() {
  local status=0
  # Two more than the number of processors: scripts wait most of the time.
  under_sanitizer ctest --preset "$preset" --parallel $((jobs + 2)) --no-tests=error --no-label-summary "$@" |
    tee "$results.log" || status=$?
  sed -n "s/^[0-9]*% tests passed, /$preset: &/p" "$results.log" >>"$results"
  rm -f "$results.log"
  return "$status"
}

if [[ -z ${CCACHE_DIR:-} && ! -w ${HOME:-/} ]]; then
  export CCACHE_DIR=$source_dir/build/ccache
fi
if [[ ! ${presets[*]} =~ ^(unit|fuzz)$ ]]; then
  stage "packages" packaging/setup.sh test
fi
core_tests=(test_foundation test_cache test_backend)
seeds=${SEEDBED_TEST_SEEDS:-} # of the random tests; by default, each test's own number
has_fuzz_targets=
tidied=
for preset in "${presets[@]}"; do
  targets=()
  tests=()
  settings=()
  name=$preset
  export SEEDBED_TEST_SEEDS=$seeds
  [[ -n $seeds ]] || unset SEEDBED_TEST_SEEDS
  if [[ $preset == tidy ]]; then
    [[ -n $tidied ]] || stage "tidy" tests/tidy.sh
    continue
  fi
  if [[ $preset == fuzz ]]; then
    stage "fuzz: packages" packaging/setup.sh fuzz
    stage "fuzz: configure" cmake --preset fuzz
    stage "fuzz: build" cmake --build --preset fuzz --parallel "$jobs"
    stage "fuzz: targets" tests/fuzz.sh
    continue
  fi
  if [[ $preset == unit ]]; then
    preset=dev
    targets=(--target unit_tests)
    export SEEDBED_TEST_SEEDS=1
    tests=(--label-regex '^unit$')
  fi
  if [[ $preset == core ]]; then
    stage "core: packages" packaging/setup.sh fuzz
    preset=fuzz # the same layers serve the fuzzing targets
    targets=(--target "${core_tests[@]}" fuzz_targets)
    has_fuzz_targets=1
    export SEEDBED_TEST_SEEDS=1 # for the random tests, which take ten times as long
    tests=(--tests-regex "^($(IFS='|'; echo "${core_tests[*]}"))\$")
  fi
  if [[ $name == dev || $name == ci ]]; then
    stage "layout" check_layout
    targets=(--target all seedbed_bench) # the benchmarks are not run, but must compile
    if [[ -n $has_fuzz_targets ]]; then
      settings=(-D "SEEDBED_SKIP_UNIT_TESTS=$(IFS=';' && echo "${core_tests[*]}")")
    fi
  fi
  stage "$name: configure" cmake --preset "$preset" "${settings[@]}"
  stage "$name: build" cmake --build --preset "$preset" --parallel "$jobs" "${targets[@]}"
  if [[ $name == core && ${presets[*]} =~ core\ (dev|ci) ]]; then
    start_beside "core: tests" run_tests "${tests[@]}" # during the next build: the longest one keeps one processor busy
    continue
  fi
  [[ -z ${beside["core: tests"]:-} ]] || stage "core: tests" end_beside "core: tests"
  if [[ $name == dev || $name == ci ]]; then
    # On the time that the tests leave.
    [[ -z $has_fuzz_targets ]] || start_beside fuzz chrt --idle 0 tests/fuzz.sh
    if [[ " ${presets[*]} " == *" tidy "* ]]; then
      start_beside tidy chrt --idle 0 tests/tidy.sh
      tidied=1
    fi
  fi
  stage "$name: tests" run_tests "${tests[@]}"
  for what in "${!beside[@]}"; do
    stage "$what" end_beside "$what"
  done
done
