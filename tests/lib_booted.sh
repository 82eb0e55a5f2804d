# shellcheck shell=bash
# Folders with Debian 12, and containers (systemd-nspawn) that run one under its own systemd. A library: source it first, call
# debian_tree, then source integration/lib_daemon.sh, which leaves the machine's network.
#
#   debian_tree PACKAGES [COMMAND...]  sets tree to a folder with Debian 12 and these packages (separated by commas), and makes it first if
#                                      it is missing: downloads it to SEEDBED_CACHE, ~/.cache/seedbed by default, and runs `COMMAND... TREE`
#   need_container                     skips the test unless a container can be made
#   make_root                          mounts $work/root: the tree below a layer that is removed at the end
#   boot_root                          boots $work/root without a network; sets nspawn and init to its process ids. It is powered off at
#                                      the end
#   reboot_root                        reboots it
#   await_boot SECONDS                 waits until systemd has started everything, and prints how long that took
#   inside COMMAND...                  runs a command in the container
#   show_unit PROPERTY                 prints a property of seedbed.service
# shellcheck disable=SC2154 # lib_daemon.sh sets work

debian_tree() {
    local packages=$1 cache=${SEEDBED_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/seedbed}
    shift
    tree=$cache/debian-bookworm-$(cksum <<<"$packages $*" | cut -d ' ' -f 1) # a different list makes a different tree
    [[ ! -d $tree && -z ${SEEDBED_OWN_NAMESPACES:-} ]] && ((EUID == 0)) && command -v debootstrap >/dev/null || return 0
    echo "making $tree"
    mkdir -p "$cache"
    rm -rf --one-file-system "$tree.new"
    if ! debootstrap --variant=minbase --include="$packages" bookworm "$tree.new" "${MIRROR:-http://deb.debian.org/debian}" >"$tree.log" 2>&1; then
        echo "SKIP: debootstrap: $(tail -n 1 "$tree.log")"
        exit 77
    fi
    if (($# > 0)) && ! "$@" "$tree.new" >"$tree.log" 2>&1; then
        echo "SKIP: $*: $(tail -n 1 "$tree.log")"
        exit 77
    fi
    mv "$tree.new" "$tree"
}

need_container() {
    need_root
    need debootstrap systemd-nspawn nsenter unshare
    [[ -d $tree ]] || fail "$tree is missing"
}

make_root() {
    mount_at layer -t tmpfs tmpfs
    mkdir layer/upper layer/work root
    mount -t overlay -o "lowerdir=$tree,upperdir=$work/layer/upper,workdir=$work/layer/work" overlay root
    defer "$work/root" umount "$work/root"
    # Not a first boot, which would enable every unit; no wait for the network, which is only lo, nor for e2scrub_reap, which runs at idle
    # priority and so takes minutes on a busy machine.
    tr -d - </proc/sys/kernel/random/uuid >root/etc/machine-id
    ln -sf /dev/null root/etc/systemd/system/systemd-networkd-wait-online.service
    ln -sf /dev/null root/etc/systemd/system/e2scrub_reap.service
}

# await_init: waits until the container has a first process.
await_init() {
    local i
    for ((i = 0; i < 100; i++)); do
        init=$(pgrep -P "$nspawn" -x systemd || pgrep -P "$nspawn" -x init) && return
        kill -0 "$nspawn" || fail "systemd-nspawn has ended: $(tail -n 3 console.log)"
        sleep 0.1
    done
    fail "nothing boots: $(tail -n 3 console.log)"
}
power_off() {
    kill -0 "$1" || return 0
    kill -s RTMIN+4 "$(pgrep -P "$1" -x systemd || pgrep -P "$1" -x init)"
    timeout 15 tail --pid="$1" -f /dev/null || kill -KILL "$1"
}
boot_root() {
    cat >boot <<'BOOT'
mount --make-rprivate /
umount -l /sys/fs/cgroup 2>/dev/null
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir -p "/sys/fs/cgroup/$1" && echo $$ >"/sys/fs/cgroup/$1/cgroup.procs" || exit 1
shift
exec systemd-nspawn "$@"
BOOT
    cat >remove_cgroup <<'REMOVE'
mount --make-rprivate /
mkdir -p cgroup && mount -t cgroup2 cgroup2 cgroup && cd cgroup || exit 1
for i in 1 2 3 4 5 6 7 8 9 10; do
    find "$1" -depth -type d -exec rmdir {} + && break
    sleep 0.2
done
REMOVE
    defer cgroup unshare -m bash -c "cd $work && . ./remove_cgroup seedbed-$$"
    start_container
}
start_container() {
    local name=seedbed-$$
    SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 unshare -m bash boot "$name" --boot --directory="$work/root" --machine="$name" \
        --register=no --keep-unit --private-network --capability=all --system-call-filter=bpf --console=pipe </dev/null >console.log 2>&1 &
    nspawn=$!
    defer nspawn end_process "$nspawn"
    await_init
    defer power_off power_off "$nspawn"
}
reboot_root() {
    local before=$nspawn
    inside systemctl reboot
    timeout 60 tail --pid="$before" -f /dev/null || fail "the container does not go down"
    start_container # systemd-nspawn --keep-unit leaves the restart to its caller
}
inside() {
    nsenter -t "$init" -a env -i PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin LC_ALL=C.UTF-8 SYSTEMD_PAGER=cat \
        DEBIAN_FRONTEND=noninteractive "$@"
}
await_boot() {
    local began=$SECONDS
    until inside systemctl is-system-running --wait >state.log 2>&1 || grep -q degraded state.log; do
        ((SECONDS - began < $1)) || fail "it does not boot within $1 s: $(<state.log)"
        sleep 0.2
    done
    echo "systemd is up after $((SECONDS - began)) s: $(tail -n 1 state.log), $(inside systemctl --version | head -n 1)"
    inside systemctl --failed --no-legend --plain
}
show_unit() {
    inside systemctl show seedbed --value -p "$1"
}
