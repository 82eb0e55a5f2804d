#!/usr/bin/env bash
# Runs clang-tidy with the checked-in configuration on core, config and daemon; any finding is a failure.
#
# Usage: tests/tidy.sh [LAYER...]     a CMake library without "seedbed_", for example cache or swarm; all by default
#
# Checks each layer as one translation unit (CMake's unity build), since the headers of libtorrent and Boost take most of the time:
# names in unnamed namespaces must be unique within the layer.
set -euo pipefail

source_dir=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
cd "$source_dir"
jobs=${SEEDBED_JOBS:-$(nproc)}
tidy=clang-tidy-14
command -v "$tidy" >/dev/null || tidy=clang-tidy

cmake --preset tidy >/dev/null
layers=("$@")
files=()
for unity in build/tidy/CMakeFiles/seedbed_*.dir/Unity/unity_0_cxx.cxx; do
  layer=${unity#*/seedbed_}
  layer=${layer%%.dir*}
  if ((${#layers[@]} == 0)) || [[ " ${layers[*]} " == *" $layer "* ]]; then
    files+=("$unity")
  fi
done
((${#files[@]})) || {
  echo "tidy.sh: no such layer: ${layers[*]}" >&2
  exit 2
}
echo "tidy.sh: ${#files[@]} layers"
# Only a unity file includes .cpp files. The largest layers come first, so that the processors end together.
wc -l "${files[@]}" | sort -rn | awk '$2 ~ /cxx$/ { printf "%s%c", $2, 0 }' |
  xargs -0 -r -n 1 -P "$jobs" "$tidy" --quiet -p build/tidy --checks=-bugprone-suspicious-include --warnings-as-errors='*'
