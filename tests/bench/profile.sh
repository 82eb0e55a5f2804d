#!/bin/bash
# Where the processors' time goes between a server's disk and a target's: the threads and functions of two daemons, of which one
# deploys an image that the other serves, with default settings, from file to file in RAM, over a bridge without a limit. Samples are
# taken from the start of the deployment until it is done. The kernel's work for a thread counts as that thread's.
# Usage: profile.sh [MIB]; 2048 by default. SEEDBED is the program, with symbols; JSON a file for the results. Needs perf (linux-perf).
set -euo pipefail
# shellcheck source=lib_bench.sh disable=SC2154
. "$(dirname "$(readlink -f "$0")")/lib_bench.sh"

mib=${1:-2048}
need_hosts
need perf

make_image image "$mib"
add_machine server
add_machine target
start_seeder server "$work/image.img"
truncate -s "${mib}M" target.img
host_config target.toml target 'local_discovery = false'
add_image target.toml image image.torrent "$work/target.img" deploy 'check = "none"' 'profile = "nvme"' \
    "peers = [\"${address[server]}:6881\"]"
before=$(cpu_seconds "${daemon_pid[server]}")
# shellcheck disable=SC2016,SC2046 # $(on_host NAME) is several words
start_daemon target target.toml $(on_host target) sh -c 'kill -STOP $$ && exec "$@"' sh
until [[ $(</proc/"${daemon_pid[target]}"/stat) == *') T '* ]]; do sleep 0.01; done
perf record -q -a -F 1999 -o profile.data </dev/null >perf.out 2>&1 &
recorder=$!
defer recorder kill -INT "$recorder"
# The recorder's descriptors of events say that it has begun.
until ls -l "/proc/$recorder/fd" | grep -q perf_event; do
    kill -0 "$recorder" || fail "perf: $(<perf.out)"
    sleep 0.01
done
kill -CONT "${daemon_pid[target]}"
expect_line target.log ' image: done: ' 900
record "seconds to downloaded" seedbed "$(log_seconds target.log ' downloading$' ' downloaded ')"
declare -A used
used[server]=$(awk -v a="$before" -v b="$(cpu_seconds "${daemon_pid[server]}")" 'BEGIN { print b - a }')
used[target]=$(cpu_seconds "${daemon_pid[target]}")
undo recorder
wait "$recorder" || true # it ends by the signal
for host in server target; do
    record "CPU seconds of the $host a GiB" seedbed "$(awk -v s="${used[$host]}" -v mib="$mib" 'BEGIN { printf "%.3f", s * 1024 / mib }')"
done

# Process; thread; function.
perf script -i profile.data -F comm,pid,tid,ip,sym 2>/dev/null |
    sed -n 's/^ *\(.*[^ ]\) \+\([0-9]\+\)\/[0-9]\+ \+[0-9a-f]\+ \(.*\)$/\2;\1;\3/p' >samples
note ""
note "CPU seconds a GiB by thread, and functions of at least 3 % of a thread"
for host in server target; do
    while IFS= read -r line; do note "$line"; done < <(
        awk -F ';' -v pid="${daemon_pid[$host]}" -v used="${used[$host]}" -v mib="$mib" -v host="$host" '
            $1 == pid { ++all; ++thread[$2]; ++at[$2, $3] }
            END {
                for (t in thread) {
                    if (thread[t] < 0.01 * all) continue
                    printf "%9.4f  %s, %s\n", used * thread[t] / all * 1024 / mib, host, t
                    for (each in at) {
                        split(each, part, SUBSEP)
                        if (part[1] == t && at[each] >= 0.03 * thread[t])
                            printf "%9.4f  %s, %s: %s\n", used * at[each] / all * 1024 / mib, host, t, part[2]
                    }
                }
            }' samples | sort -t , -k 2,2 -k 1,1nr
    )
done
stop_target target "$work/target.img"
stop_daemon server
report "profile of a deployment, $mib MiB, file to file in RAM"
