#!/usr/bin/env bash
# Prints which lines of core, config and daemon the unit tests run: a table of the rooms, then the files below the limit with the
# lines that never ran.
#
# Usage: tests/coverage.sh [PATTERN]     a regular expression for paths, such as core/cache or daemon/fleet/; all paths by default
#
# Exit status 1 if less than COVERAGE percent (95 by default) of the lines of a room of core run. Takes as long as a build; needs
# gcovr, and root for the tests that need it. CMAKE_ARGUMENTS are passed to cmake; GCOV is the program that reads the counts
# ("llvm-cov gcov" for clang).
set -euo pipefail

source_dir=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
cd "$source_dir"
build=${COVERAGE_BUILD:-build/coverage}
pattern=${1:-.}
command -v gcovr >/dev/null || {
  echo "coverage.sh: gcovr is not installed" >&2
  exit 2
}
read -ra arguments <<<"${CMAKE_ARGUMENTS:-}"
cmake --preset coverage -B "$build" "${arguments[@]}" >/dev/null
cmake --build "$build" --parallel "${SEEDBED_JOBS:-$(nproc)}" --target unit_tests
find "$build" -name '*.gcda' -delete
SEEDBED_TEST_SEEDS=${SEEDBED_TEST_SEEDS:-2} ctest --test-dir "$build" --label-regex '^unit$' --parallel "$(nproc)" --output-on-failure
gcovr --root . --object-directory "$build" --gcov-executable "${GCOV:-gcov}" --exclude-unreachable-branches \
  --filter '(core|config|daemon)/' --json "$build/coverage.json" >/dev/null
/usr/bin/python3 - "$build/coverage.json" "$pattern" "${COVERAGE:-95}" <<'END_OF_TABLE'
import collections
import json
import re
import sys

path, pattern, limit = sys.argv[1], re.compile(sys.argv[2]), float(sys.argv[3])
files = {}
with open(path, encoding="utf-8") as file:
    for one in json.load(file)["files"]:
        if pattern.search(one["file"]):
            counts = {}
            for line in one["lines"]:  # a template's line occurs once per instance
                if not line.get("gcovr/noncode"):
                    counts[line["line_number"]] = max(counts.get(line["line_number"], 0), line["count"])
            files[one["file"]] = counts


def percent(counts):
    return 100 * sum(count > 0 for count in counts) / len(counts) if counts else 100


rooms = collections.defaultdict(list)
for name, counts in files.items():
    parts = name.split("/")
    rooms["/".join(parts[: 1 if parts[0] == "config" else 2])] += counts.values()
    if parts[0] == "core":
        rooms["core"] += counts.values()
low = False
print(f"{'room':<24} {'lines':>6} {'run':>7}")
for room in sorted(rooms):
    print(f"{room:<24} {len(rooms[room]):>6} {percent(rooms[room]):>6.1f}%")
    low = low or room.startswith("core") and percent(rooms[room]) < limit
print(f"\nfiles below {limit:g} %")
for name, counts in sorted(files.items()):
    if percent(counts.values()) < limit:
        missed = sorted(line for line, count in counts.items() if count == 0)
        runs = []
        for line in missed:
            if runs and line == runs[-1][1] + 1:
                runs[-1][1] = line
            else:
                runs.append([line, line])
        text = " ".join(f"{first}-{last}" if last > first else str(first) for first, last in runs)
        print(f"{percent(counts.values()):>5.1f}% {name}: {text}")
sys.exit(1 if low else 0)
END_OF_TABLE
