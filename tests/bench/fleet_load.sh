#!/bin/bash
# The cost of a fleet for the daemon that tracks it: processor time, memory, the latency of announces, reports, the status document and
# the metrics, and the log, by the number of machines; see fleet_load.py.
# Usage: fleet_load.sh [SECONDS [MACHINES...]]; 150 s each of 100, 1,000 and 10,000 machines by default. SEEDBED is the program; JSON a file
# for the results; PLOT a file for a plot (SVG), which needs gnuplot. Needs an idle machine: the load takes a processor of its own.
set -euo pipefail
# shellcheck source=lib_bench.sh disable=SC2154
. "$(dirname "$(readlink -f "$0")")/lib_bench.sh"

seconds=${1:-150}
shift $(($# > 0))
machines=("$@")
((${#machines[@]})) || machines=(100 1000 10000)
need gnuplot
ulimit -n "$(ulimit -H -n)"

head -c 64K /dev/urandom >image.img
tracker_port=$(free_port)
metrics_port=$(free_port)
"$seedbed" create image.img --name image --piece-size "16 KiB" --tracker "http://127.0.0.1:$tracker_port/announce" -o image.torrent >create.out
hash=$(sed -n 's/.*info-hash:* *\([0-9a-f]\{40\}\).*/\1/p' create.out | head -n 1)

for count in "${machines[@]}"; do
    side="$count machines"
    rm -rf "${STATE_DIRECTORY:?}"
    printf '%s\n' '[control]' "socket = \"daemon$count.toml.sock\"" '[network]' "listen = \"127.0.0.1:$(free_port)\"" \
        'local_discovery = false' '[memory]' 'pool = "16 MiB"' '[metrics]' "listen = \"127.0.0.1:$metrics_port\"" '[tracker]' \
        "listen = \"127.0.0.1:$tracker_port\"" >"daemon$count.toml"
    add_image "daemon$count.toml" image "$work/image.torrent" "$work/image.img" seed "expect = $count"
    start_daemon "daemon$count" "daemon$count.toml"
    expect_line "daemon$count.log" ' ready$'
    lines=$(wc -l <"daemon$count.log")
    /usr/bin/python3 "$bench/fleet_load.py" "$tracker_port" "$hash" "$count" "$seconds" "$work/daemon$count.toml.sock" "$metrics_port" \
        "${daemon_pid[daemon$count]}" "$side" | tee -a results >"load$count"
    record "log lines a minute" "$side" "$((($(wc -l <"daemon$count.log") - lines) * 60 / seconds))"
    record "log KiB a minute" "$side" "$(($(stat -c %s "daemon$count.log") * 60 / 1024 / seconds))"
    stop_daemon "daemon$count"
    value() { awk -F '\t' -v measure="$1" '$2 == measure { print $4 }' "load$count"; }
    echo "$count $(value "CPU, % of one processor") $(value "announce: ms, 99th percentile") $(value "peak memory, MiB")" >>plot.data
    grep -q "^run.requests that failed.*"$'\t0$' "load$count" || note "$side: $(value "requests that failed") requests failed"
done

if [[ -n ${PLOT:-} ]]; then
    gnuplot -e "set terminal svg size 720,420 background 'white'; set output '$PLOT'; set logscale x; set key left top;
        set xlabel 'machines'; set yrange [0:*]; set grid;
        plot 'plot.data' using 1:2 with linespoints title 'processor, %', '' using 1:3 with linespoints title 'announce, 99th percentile, ms',
        '' using 1:4 with linespoints title 'peak memory, MiB'"
fi
note "a pool of 16 MiB; $seconds s each; one announce in 30 s and one deployment a minute by each machine"
report "the tracker's load by the number of machines"
