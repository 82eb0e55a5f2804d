#!/bin/bash
# Every include points down, and no files include each other in a cycle; tests/structure.py detects both faults. Needs only the sources.
# Labels: once
set -euo pipefail

source_dir=$(cd "$(dirname "$(readlink -f "$0")")/../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/seedbed-structure-XXXXXX")
trap 'rm -rf "$work"' EXIT

fail() {
    echo "FAIL: $1" >&2
    exit 1
}
command -v ctags >/dev/null || {
    echo "SKIP: ctags is not installed"
    exit 77
}

"$source_dir/tests/structure.py" || fail "the structure has faults"

# broken FILE INCLUDE COMPLAINT: expects a complaint about a copy of the sources in which FILE also includes INCLUDE.
broken() {
    rm -rf "$work/copy"
    mkdir "$work/copy"
    cp -r "$source_dir"/{core,config,daemon} "$work/copy"
    sed -i "1i #include \"$2\"" "$work/copy/$1"
    if "$source_dir/tests/structure.py" --source "$work/copy" >"$work/out"; then
        fail "$1 may include $2"
    fi
    grep -qF "$3" "$work/out" || fail "no complaint of '$3': $(grep '^structure.py' "$work/out")"
}
broken core/device/sysfs.cpp core/backend/backend.hpp "points up: core/device/sysfs.cpp includes core/backend/backend.hpp"
broken daemon/http/http_server.hpp daemon/swarm/peer_status.hpp "points up: daemon/http/http_server.hpp"
broken daemon/text/version.cpp daemon/log/logging.hpp "points up: daemon/text/version.cpp"
broken core/foundation/error.hpp core/foundation/save_file.hpp "cycle of files: core/foundation/error, core/foundation/save_file"
mkdir "$work/empty"
"$source_dir/tests/structure.py" --source "$work/empty" 2>/dev/null && fail "a folder without sources passes"
echo PASS
