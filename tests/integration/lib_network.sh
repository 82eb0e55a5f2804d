# shellcheck shell=bash disable=SC2154 # work is lib_daemon.sh's
# Hosts for the integration tests: network namespaces on a bridge in a separate namespace, so that no packet leaves the test and
# each peer has its own address. Not a test: source it after lib_daemon.sh.
#
#   need_hosts                       skips the test unless namespaces, a bridge and veth pairs are available
#   add_host NAME [TC_QDISC...]      adds a host with the address ${address[NAME]}; `tc qdisc add ... root TC_QDISC` shapes its
#                                    outgoing traffic; removed at the end
#   on NAME COMMAND...               runs COMMAND on the host; as a wrapper of start_daemon: $(on_host NAME)
#   host_config FILE NAME [LINE...]  writes [network] on port 6881 of its address, the control socket NAME.sock, and LINEs
#   start_process NAME PROGRAM...    starts PROGRAM, not a function, in the background, with its output in $work/NAME.log and its
#                                    id in ${process_pid[NAME]}; to run it on a host: $(on_host NAME) PROGRAM
#   stop_process NAME                sends SIGTERM, and after 5 s SIGKILL

declare -A address=() process_pid=()
net=sb$$ # namespaces belong to the whole machine, where another run may be active

need_hosts() {
    need_root
    need ip tc ss
    ip netns add "$net-switch" 2>/dev/null || skip "cannot create a network namespace"
    defer "$net-switch" ip netns delete "$net-switch"
    # Snooping would take seconds to learn which hosts want multicast.
    ip -n "$net-switch" link add br0 type bridge mcast_snooping 0 2>/dev/null || skip "cannot create a bridge"
    ip -n "$net-switch" link set br0 up
    ip -n "$net-switch" link add probe0 type veth peer name probe1 2>/dev/null || skip "cannot create a veth pair"
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
    ip -n "$host" address add "${address[$name]}/24" broadcast + dev eth0
    ip -n "$host" link set eth0 up
    ip -n "$host" route add default via 10.77.0.254 # no host has this address, but multicast needs a route
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
