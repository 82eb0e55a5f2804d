#!/usr/bin/env bash
# clang-tidy with the checked-in configuration over core, config and daemon; what it finds is a failure.
#
# Usage: tests/tidy.sh [LAYER...]     a CMake library without "seedbed_", for example cache or swarm; all by default
#
# Each layer is checked as one translation unit (CMake's unity build), since most of the time goes into the headers of libtorrent and
# Boost: the names in its unnamed namespaces must be unique in the layer.
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
  echo "tidy.sh: no layer is called ${layers[*]}" >&2
  exit 2
}
echo "tidy.sh: ${#files[@]} layers"
# A unity file includes .cpp files, and nothing else does.
printf '%s\0' "${files[@]}" |
  xargs -0 -r -n 1 -P "$jobs" "$tidy" --quiet -p build/tidy --checks=-bugprone-suspicious-include --warnings-as-errors='*'
