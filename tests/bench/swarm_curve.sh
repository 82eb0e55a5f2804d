#!/bin/bash
# The time until the last of N machines has the image, and the images that the server sends: simulated for up to 10,000 machines, and
# measured with real daemons (clients.sh) for the numbers in CLIENTS.
# Usage: swarm_curve.sh RATE_MBIT MIB [ROUNDS]. SEEDBED is the program, CURVE the simulator (the target swarm_curve); CLIENTS the real
# machines ("1 10 50"); MACHINES the simulated ones; PLOT a file for a plot (SVG), which needs gnuplot. The image has 256 pieces.
set -euo pipefail
bench=$(dirname "$(readlink -f "$0")")
rate=${1:?rate of every link in Mbit/s}
mib=${2:?size of the image in MiB}
rounds=${3:-1}
json=${JSON:-}
curve=$(readlink -f "${CURVE:?path of swarm_curve}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

read -ra simulated <<<"${MACHINES:-1 2 5 10 20 50 100 200 500 1000 2000 10000}"
"$curve" 256 "${simulated[@]}" >"$work/simulated"
: >"$work/real"
for count in ${CLIENTS:-1 10 50}; do
    JSON=$work/clients.json PIECE="$((mib * 4)) KiB" bash "$bench/clients.sh" "$count" "$rate" "$mib" "$rounds" >"$work/out" || {
        cat "$work/out"
        exit 1
    }
    /usr/bin/python3 - "$work/clients.json" "$count" >>"$work/real" <<'END_OF_POINT'
import json
import sys

with open(sys.argv[1], encoding="utf-8") as file:
    found = {name: sides["now"]["median"] for name, sides in json.load(file)["measures"].items()}
print(sys.argv[2], found["last machine / ideal"], found["images that the server sent"])
END_OF_POINT
done
echo "time until the last machine / ideal, and images that the server sent; 256 pieces; real: $mib MiB at $rate Mbit/s, $rounds rounds"
echo
printf '%10s %12s %12s %12s %12s\n' machines simulated images real images
while read -r count time sent; do
    read -r _ real_time real_sent < <(grep "^$count " "$work/real" || echo "- - -")
    printf '%10s %12s %12s %12s %12s\n' "$count" "$time" "$sent" "$real_time" "$real_sent"
done <"$work/simulated"
echo
echo "  ran on $(nproc) CPUs, load $(cut -d ' ' -f 1-3 /proc/loadavg) at the end"
if [[ -n $json ]]; then
    jq -n --rawfile simulated "$work/simulated" --rawfile real "$work/real" 'def points: split("\n") | map(select(. != "") | split(" ")
        | {machines: .[0] | tonumber, time: .[1] | tonumber, images: .[2] | tonumber});
        {simulated: $simulated | points, real: $real | points}' >"$json"
fi
if [[ -n ${PLOT:-} ]]; then
    gnuplot -e "set terminal svg size 720,420 background 'white'; set output '$PLOT'; set logscale x; set key left top;
        set xlabel 'machines'; set yrange [0.9:*]; set grid;
        plot '$work/simulated' using 1:2 with lines title 'simulated: time / ideal', '' using 1:3 with lines title 'simulated: images sent',
        '$work/real' using 1:2 with points pt 7 title 'real: time / ideal', '' using 1:3 with points pt 5 title 'real: images sent'"
fi
