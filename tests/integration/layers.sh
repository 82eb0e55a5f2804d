#!/bin/bash
# Includes only point down: with a layer's include folders, the compiler finds the layer's own headers but none of a layer above.
# SEEDBED is the program; the include folders are next to it.
# Labels: once
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
build=$(dirname "${SEEDBED:?path of the seedbed program}")
commands=$build/compile_commands.json
[[ -f $commands ]] || {
    echo "SKIP: $build is not a build folder with a compile_commands.json"
    exit 77
}
cd "$here/../.."

# From the lowest to the highest. config and core/backend do not see each other; core/cache sees neither core/image nor core/device.
layers=(core/foundation core/device core/image core/cache core/backend)
rooms=(log text http swarm fleet image status service terminal commands)
failed=0

# include_flags LAYER: prints the -I options of its library. In a unity build, no file of the layer's folder is compiled itself.
include_flags() {
    /usr/bin/python3 - "$commands" "$1" <<'PYTHON'
import json, os, sys
library = "seedbed_" + {"daemon/image": "runner"}.get(sys.argv[2], os.path.basename(sys.argv[2])) + ".dir"
for entry in json.load(open(sys.argv[1])):
    if library in entry["command"].split(" -o ")[1]:
        words = entry["command"].split()
        own = [w for w in words if w.startswith("-I")]
        print(" ".join(own))
        sys.exit(0)
sys.exit("nothing of " + library + " is compiled")
PYTHON
}

# found FLAGS HEADER: succeeds if the preprocessor finds the header. It runs outside the sources, which it would search first.
found() {
    # shellcheck disable=SC2086 # one word per option
    echo "#if !__has_include(\"$2\")
#error not found
#endif" | (cd / && g++ -E -x c++ $1 -) >/dev/null 2>&1
}

declare -A flags_of
first_header() {
    find "$1" -maxdepth 2 -name '*.hpp' | sort | head -n 1
}

# expect yes|no LAYER OTHER
expect() {
    local header answer=no
    header=$(first_header "$3")
    [[ -n ${flags_of[$2]:-} ]] || flags_of[$2]=$(include_flags "$2")
    if found "${flags_of[$2]}" "$header"; then
        answer=yes
    fi
    if [[ $answer == "$1" ]]; then
        echo "PASS $2 sees $3: $1"
    else
        echo "FAIL $2 sees $3: $answer, expected $1 ($header)"
        failed=1
    fi
}

for i in "${!layers[@]}"; do
    for j in "${!layers[@]}"; do
        answer=no
        if ((j <= i)) && [[ "${layers[i]} ${layers[j]}" != "core/cache core/"@(image|device) ]]; then
            answer=yes
        fi
        expect "$answer" "${layers[i]}" "${layers[j]}"
    done
done
# The rooms of daemon/. log and text do not see each other.
for i in "${!rooms[@]}"; do
    for j in "${!rooms[@]}"; do
        answer=no
        if ((j <= i)) && [[ "${rooms[i]} ${rooms[j]}" != "text log" ]]; then
            answer=yes
        fi
        expect "$answer" "daemon/${rooms[i]}" "daemon/${rooms[j]}"
    done
done
expect yes daemon/log config
expect yes daemon/swarm core/backend
expect no daemon/http core/backend
expect yes config core/device
for other in core/cache core/backend core/image daemon/log; do
    expect no config "$other"
done
for lower in core/foundation core/device core/image core/cache core/backend; do
    expect no "$lower" config
done

# core includes none of the daemon's libraries.
if grep -rnE '#include <(toml\+\+|boost/program_options|spdlog|systemd)' core; then
    echo "FAIL core includes a library of the daemon's"
    failed=1
fi
exit $failed
