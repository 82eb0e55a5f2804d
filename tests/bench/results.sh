#!/bin/bash
# Runs the benchmarks and writes RESULTS.md next to this script: tables, machine, versions, commands.
# Usage: results.sh BUILD_FOLDER [MEASURE...]. BUILD_FOLDER is a release build with the targets seedbed, seedbed_bench and swarm_curve. All
# measures by default: swarm, lazy, three, backend, threads, ssd, hdd, hdd-seed, reads, delay, create, super, shards, read-back,
# pack, packed, small-pools, fleet, clients, curve, boot, profile. A measure that is left out keeps its last table; "tables" runs nothing and writes
# RESULTS.md from the last tables.
# Takes an hour, and needs root and an idle machine. hdd.sh also measures SEEDBED_BASELINE, the path of another
# seedbed, which BASELINE describes.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
build=$(readlink -f "${1:?folder of a release build}")
shift
measures=("$@")
((${#measures[@]})) || measures=(swarm lazy three backend threads ssd hdd hdd-seed reads delay create super shards read-back pack packed small-pools fleet clients curve boot profile)
bench=$build/tests/bench/seedbed_bench
export SEEDBED=$build/seedbed SEEDBED_BENCH=$bench
tables=$here/results
mkdir -p "$tables"
work=$(mktemp -d)
loop=
cleanup() {
    [[ -z $loop ]] || losetup -d "$loop"
    rm -rf "$work" /dev/shm/seedbed-results.img
}
trap cleanup EXIT

# run NAME COMMAND...: writes the table of COMMAND, with the command above it; a missed limit is part of the table.
run() {
    local name=$1
    shift
    [[ $1 != "$bench" ]] || set -- "$@" --json "$tables/$name.json"
    echo "== $name" >&2
    {
        local shown=("${@/#$build/BUILD}")
        shown=("${shown[@]/#$here/tests/bench}")
        shown=("${shown[@]/#$(dirname "$here")/tests}")
        [[ $1 != "$bench" ]] || shown=("${shown[@]::${#shown[@]}-2}")
        printf '    '
        printf '%q ' "${shown[@]/$loop/LOOP}" | sed 's/\\ / /g'
        printf '\n\n    %s, commit %s\n\n' "$(date +%F)" "$(git -C "$here" rev-parse --short HEAD)"
        # A script that misses a limit exits with 1 and marks the limit in its table.
        JSON=$tables/$name.json "$@" 2>"$work/errors" || [[ $? -eq 1 && $1 == *.sh ]] || {
            cat "$work/errors" >&2
            exit 1
        }
    } >"$work/table"
    if ! grep -q -e '^| median' -e '^  ran on ' "$work/table"; then # it failed before its report
        cat "$work/errors" >&2
        exit 1
    fi
    mv "$work/table" "$tables/$name.txt"
}
# A loop device on a file in memory, past the page cache.
need_loop_device() {
    [[ -z $loop ]] || return 0
    head -c 1G /dev/zero | tr '\0' '\245' >/dev/shm/seedbed-results.img
    loop=$(losetup -f --show --direct-io=on /dev/shm/seedbed-results.img)
}

files=seedbed:direct=0
for measure in "${measures[@]}"; do
    case $measure in
    swarm) run 1-swarm "$bench" swarm --side $files --side mmap --side posix --side null --size "2 GiB" --runs 3 ;;
    lazy) run 2-swarm-lazy "$bench" swarm --lazy --side $files --side mmap --side null --size "2 GiB" --runs 3 ;;
    three) run 3-swarm-three "$bench" swarm --leechers 3 --side $files:engine=threads:threads=32:pool=128MiB \
        --side mmap --size "1 GiB" --runs 3 ;;
    backend)
        for load in write read mixed; do
            run "4-backend-$load" "$bench" backend --load $load --size "1 GiB" --runs 3 \
                --side $files --side $files:engine=io_uring --side mmap --side posix --side null
        done
        ;;
    threads)
        need_loop_device
        for load in write read mixed; do
            options=()
            for threads in 2 8 16 32; do options+=(--side "seedbed:engine=threads:threads=$threads"); done
            run "5-threads-$load" "$bench" backend --load $load --device "$loop" --size "768 MiB" --runs 3 \
                "${options[@]}" --side seedbed:engine=io_uring --side "seedbed:engine=threads:threads=8:direct=0"
        done
        ;;
    ssd)
        need_loop_device
        run 6-ssd "$bench" backend --load write --device "$loop" --size "768 MiB" --runs 5 \
            --side "seedbed:class=sata_ssd:coalesce=16 KiB:delay=0" --side seedbed:class=sata_ssd
        ;;
    hdd) run 7-hdd "$here/hdd.sh" 3 deploy coalesce ;;
    hdd-seed) run 71-hdd-seed "$here/hdd.sh" 3 seed ;;
    reads) run 8-reads "$here/seeder_reads.sh" 3 ;;
    delay) run 9-delay "$here/delay_disk.sh" 3 ;;
    create) run 10-create "$here/create.sh" 5 ;;
    super) run 91-super-seeding "$here/super_seeding.sh" 3 ;;
    shards) run 92-shards "$here/shards.sh" 5 ;;
    read-back) run 93-read-back "$here/read_back.sh" 3 ;;
    pack)
        run 985-pack "$here/pack.sh" 1024 3
        FOLDER=$build run 9851-pack-disk "$here/pack.sh" 1024 3 1
        ;;
    packed)
        PLOT=$tables/95-packed-1.svg run 95-packed-1 "$here/packed.sh" 1 100 384 3
        PLOT=$tables/96-packed-8.svg run 96-packed-8 "$here/packed.sh" 8 100 256 3
        PLOT=$tables/97-packed-gigabit.svg run 97-packed-gigabit "$here/packed.sh" 1 1000 1024 3
        PLOT=$tables/986-packed-8-gigabit.svg run 986-packed-8-gigabit "$here/packed.sh" 8 1000 512 3
        ;;
    small-pools) PIECE='4 MiB' run 989-small-pools "$here/small_pools.sh" 8 100 1024 3 ;;
    fleet) PLOT=$tables/98-fleet.svg run 98-fleet "$here/fleet_load.sh" 75 ;;
    clients)
        STOCK=aria2 run 990-clients-8 "$here/clients.sh" 8 100 512 3
        STOCK='aria2 transmission' run 991-clients-10 "$here/clients.sh" 10 20 64 3
        run 994-clients-50 "$here/clients.sh" 50 20 64 3
        ;;
    curve) CURVE=$build/tests/bench/swarm_curve PLOT=$tables/992-curve.svg run 992-curve "$here/swarm_curve.sh" 5 64 ;;
    boot) run 993-packed-boot "$(dirname "$here")/packed_boot.sh" ;;
    profile) run 995-profile "$here/profile.sh" 2048 ;;
    tables) ;;
    *)
        echo "no such measure: $measure" >&2
        exit 2
        ;;
    esac
done

{
    echo "# Results"
    echo
    echo "Written by \`results.sh\` from its runs; BUILD is a release build, LOOP a loop device past the page cache on a file in"
    echo "memory. Sides take turns within a run; figures are medians, with ratios to the first side. The commit above a table is"
    echo "the one measured."
    echo
    echo "- $(nproc) processors ($(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1)), $(awk '/MemTotal/ { print int($2 / 1048576) }' /proc/meminfo) GiB, Linux $(uname -r)"
    echo "- SHA-1 with one processor: $(openssl speed -seconds 1 -bytes 16384 -evp sha1 2>/dev/null | awk '/^sha1/ { print $2 }') bytes a second"
    echo "- libtorrent $(dpkg-query -W -f '${Version}' libtorrent-rasterbar2.0), g++ $(g++ -dumpfullversion), liburing $(dpkg-query -W -f '${Version}' liburing2)"
    printf '%s\n' "$tables"/*.txt | sort -V | while read -r table; do
        echo
        echo "## $(basename "$table" .txt | cut -d - -f 2-)"
        echo
        # The tables of seedbed_bench are Markdown; those of the scripts are not.
        plot=$(basename "$table" .txt).svg
        [[ ! -e $tables/$plot ]] || printf '![plot](results/%s)\n\n' "$plot"
        if grep -q '^| median' "$table"; then cat "$table"; else sed 's/^\(.\)/    \1/; s/^        \(BUILD\|tests\)/    \1/' "$table"; fi
    done
} >"$here/RESULTS.md"
