# shellcheck shell=bash disable=SC2154 # work is lib_daemon.sh's
# Hosts for the integration tests: network namespaces on a bridge in a namespace of its own, so that no packet leaves the
# test and each peer has an address of its own. Sourced after lib_daemon.sh; no test by itself.
#
#   need_hosts                       skip unless namespaces, a bridge and veth pairs can be made here
#   add_host NAME [TC_QDISC...]      a host; ${address[NAME]} is its address; its way out is shaped by `tc qdisc add ... root
#                                    TC_QDISC`; gone at the end
#   on NAME COMMAND...               run COMMAND on it; as a wrapper of start_daemon: $(on_host NAME)
#   host_config FILE NAME [LINE...]  [network] on port 6881 of its address, the control socket NAME.sock, and LINEs
#   start_process NAME PROGRAM...    in the background, its output in $work/NAME.log, its id in ${process_pid[NAME]}; no
#                                    function: $(on_host NAME) goes before it
#   stop_process NAME                SIGTERM, at most 5 s, then SIGKILL

declare -A address=() process_pid=()
net=sb$$ # namespaces are the machine's: another run may be under way

need_hosts() {
    need_root
    need ip tc ss
    ip netns add "$net-switch" 2>/dev/null || skip "no network namespace can be made here"
    defer "$net-switch" ip netns delete "$net-switch"
    # Snooping would take some seconds to learn who wants multicast.
    ip -n "$net-switch" link add br0 type bridge mcast_snooping 0 2>/dev/null || skip "no bridge can be made here"
    ip -n "$net-switch" link set br0 up
    ip -n "$net-switch" link add probe0 type veth peer name probe1 2>/dev/null || skip "no veth pair can be made here"
    ip -n "$net-switch" link delete probe0
}

add_host() {
    local name=$1 host=$net-$1 number=$((${#address[@]} + 1))
    shift
    address[$name]=10.77.0.$number
    ip netns add "$host"
    defer "$host" ip netns delete "$host"
    ip -n "$net-switch" link add "port$number" type veth peer name eth0 netns "$host"
    ip -n "$net-switch" link set "port$number" master br0 up
    ip -n "$host" link set lo up
    ip -n "$host" address add "${address[$name]}/24" dev eth0
    ip -n "$host" link set eth0 up
    ip -n "$host" route add default via 10.77.0.254 # nobody is there, but multicast wants a route
    (($# == 0)) || tc -n "$host" qdisc add dev eth0 root "$@"
}
on_host() {
    echo "ip netns exec $net-$1"
}
on() {
    local name=$1
    shift
    ip netns exec "$net-$name" "$@"
}

host_config() {
    local file=$1 name=$2
    shift 2
    printf '%s\n' '[control]' "socket = \"$name.sock\"" '[network]' "listen = \"${address[$name]}:6881\"" "$@" >"$file"
}

start_process() {
    local name=$1
    shift
    "$@" </dev/null >"$work/$name.log" 2>&1 &
    process_pid[$name]=$!
    defer "process-$name" end_process "$!"
}
stop_process() {
    local pid=${process_pid[$1]}
    kill -TERM "$pid" 2>/dev/null || true
    timeout 5 tail --pid="$pid" -f /dev/null || true
    undo "process-$1" 2>/dev/null || true
}
