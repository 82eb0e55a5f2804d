#!/usr/bin/env bash
# Installs the missing Debian 12 packages that Seedbed needs. If none is missing, it changes nothing and does not need root.
# Asks no questions.
#
# Usage: packaging/setup.sh [build|test|demo|bench|fuzz]
#   build   packages for building (the default)
#   test    packages for building and all tests
#   demo    packages for building and packaging/demo.sh
#   bench   packages for the tests and the scripts of tests/bench
#   fuzz    packages for building the targets of tests/fuzz
set -euo pipefail

fail() {
  echo "setup.sh: $1" >&2
  exit 1
}

# A|B is satisfied by either package; if neither is installed, A is installed if apt knows it, otherwise B. A leading ? marks an
# optional package: if apt does not know it, the tests that use it are skipped.
build=(
  g++ cmake ninja-build ccache pkg-config dpkg-dev
  libtorrent-rasterbar-dev libboost-dev libboost-program-options-dev libspdlog-dev libtomlplusplus-dev
  nlohmann-json3-dev libexpected-dev libssl-dev libsystemd-dev liburing-dev libblkid-dev libfdisk-dev zlib1g-dev libzstd-dev libxxhash-dev libsqlite3-dev
  catch2 lowdown
  partclone ntfs-3g # run by `seedbed create --capture`
)
# busybox-static replaces busybox if that is installed; it has the same commands.
test=(
  'clang-format-14|clang-format' 'clang-tidy-14|clang-tidy' universal-ctags
  xorriso e2fsprogs xfsprogs btrfs-progs f2fs-tools dosfstools mtools fdisk gdisk zstd
  aria2 transmission-daemon transmission-cli '?opentracker' nginx python3 python3-libtorrent
  nbdkit libnbd-bin fuse3 iproute2 mount util-linux strace systemd jq curl zstd prometheus tmux man-db mandoc sqlite3 wakeonlan dnsmasq-base chromium chromium-driver
  qemu-system-x86 busybox-static cpio kmod
)
demo=(e2fsprogs mount util-linux python3)
bench=(fio nbdkit-plugin-dev libfuse3-dev gnuplot-nox udpcast)
fuzz=(clang-14 libclang-rt-14-dev python3)

(($# <= 1)) || fail "usage: setup.sh [build|test|demo|bench|fuzz]"
case ${1:-build} in
  build) wanted=("${build[@]}") ;;
  test) wanted=("${build[@]}" "${test[@]}") ;;
  demo) wanted=("${build[@]}" "${demo[@]}") ;;
  bench) wanted=("${build[@]}" "${test[@]}" "${bench[@]}") ;;
  fuzz) wanted=("${build[@]}" "${fuzz[@]}") ;;
  *) fail "usage: setup.sh [build|test|demo|bench|fuzz]" ;;
esac
for program in dpkg-query apt-get; do
  command -v "$program" >/dev/null || fail "$program is missing: this script is for Debian 12"
done

installed() {
  [[ $(dpkg-query -W -f '${db:Status-Abbrev}' "$1" 2>/dev/null) == ?i* ]]
}
known_to_apt() {
  [[ -n $(apt-cache madison "$1" 2>/dev/null) ]]
}

# missing ENTRY: succeeds if none of its alternatives is installed.
missing() {
  local alternative alternatives
  IFS='|' read -ra alternatives <<<"${1#\?}"
  for alternative in "${alternatives[@]}"; do
    ! installed "$alternative" || return 1
  done
}

entries=()
for entry in "${wanted[@]}"; do
  if missing "$entry"; then
    entries+=("$entry")
  fi
done
# An optional package that apt does not offer must not make every later run update apt's lists.
only_optional=true
for entry in "${entries[@]}"; do
  if [[ $entry != \?* ]] || known_to_apt "${entry#\?}"; then
    only_optional=false
  fi
done
if $only_optional; then
  echo "setup.sh: all packages for ${1:-build} are installed"
  exit 0
fi
((EUID == 0)) || fail "run it as root; these packages are missing: ${entries[*]}"

log=$(mktemp)
policy=
cleanup() {
  rm -f "$log" ${policy:+"$policy"}
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# apt COMMAND...: quiet; waits for another apt to end; leaves its output in $log.
apt() {
  DEBIAN_FRONTEND=noninteractive apt-get -y -q -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confdef \
    -o Dpkg::Options::=--force-confold "$@" >"$log" 2>&1 </dev/null
}
reason() {
  grep -m 1 '^E: ' "$log" || tail -n 1 "$log"
}

# If an update fails, perhaps for one of several sources, the old lists may suffice: only the installation decides.
apt update || echo "setup.sh: apt-get update failed, continuing: $(reason)" >&2

packages=()
for entry in "${entries[@]}"; do
  IFS='|' read -ra alternatives <<<"${entry#\?}"
  choice=${alternatives[0]}
  for alternative in "${alternatives[@]}"; do
    if known_to_apt "$alternative"; then
      choice=$alternative
      break
    fi
  done
  if [[ $entry == \?* ]] && ! known_to_apt "$choice"; then
    echo "setup.sh: $choice is not available here, continuing without it"
    continue
  fi
  packages+=("$choice")
done
((${#packages[@]})) || exit 0

# Some of these packages are servers (a tracker, a BitTorrent client, a monitor). The tests start their own, so installing a
# package must not start its server on this machine.
if [[ ! -e /usr/sbin/policy-rc.d ]]; then
  policy=/usr/sbin/policy-rc.d
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
fi
echo "setup.sh: installing ${packages[*]}"
apt install --no-install-recommends "${packages[@]}" || fail "apt-get install failed: $(reason)"
if command -v systemctl >/dev/null; then
  for server in opentracker transmission-daemon nginx prometheus; do
    if [[ " ${packages[*]} " == *" $server "* ]]; then
      systemctl --quiet disable "$server.service" >"$log" 2>&1 ||
        echo "setup.sh: cannot disable $server.service, ignoring: $(reason)" >&2
    fi
  done
fi
