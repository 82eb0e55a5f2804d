#!/bin/bash
# seedbed-faults(7) is the table of tests/faults: each row with its fault and the required response, and no other.
# Needs only the sources.
# Labels: once
set -euo pipefail

source_dir=$(cd "$(dirname "$(readlink -f "$0")")/../.." && pwd)
page=${1:-$source_dir/packaging/man/seedbed-faults.md}

bash "$source_dir/tests/faults/run.sh" --list >/dev/null || exit 1
count=$(bash "$source_dir/tests/faults/run.sh" --list | grep -c '^: .')
((count >= 40)) || {
    echo "FAIL: tests/faults/run.sh --list prints $count rows" >&2
    exit 1
}
# The rows stand between DESCRIPTION and SEE ALSO.
diff <(sed -n '/^# TARGET$/,/^# SEE ALSO$/p' "$page" | sed '$d') <(bash "$source_dir/tests/faults/run.sh" --list) || {
    echo "FAIL: $page differs from tests/faults/run.sh --list (>)" >&2
    exit 1
}
echo "PASS"
