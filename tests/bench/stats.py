#!/usr/bin/python3
"""Times and medians for the scripts in this folder.

stats.py since EPOCHREALTIME          prints the seconds since then
stats.py between LOG FROM TO          prints the seconds between the first lines that match the regular expressions
stats.py lines BEGAN TEXT NAME...     prints the seconds from the EPOCHREALTIME BEGAN to the first line with TEXT in each NAME.log,
                                      sorted
stats.py backend JSON PREFIX          prints what seedbed_bench wrote, as lines for report
stats.py report FILE TITLE [JSON]     prints medians and ratios of what FILE holds, lines of fields separated by tabs:
                                        run MEASURE SIDE VALUE
                                        limit MEASURE SIDE BASE OP NUMBER     OP is <= or >=
                                        note TEXT
                                      and writes them to the file JSON. Exit status 1 if a limit is not met.
stats.py ratios FILE                  prints, for each measure of FILE, its name in quotes, and for each side the ratio of its median to
                                      the first side's, or "-": rows for a plot, under a row with the names of the sides"""
import datetime
import json
import re
import statistics
import sys
import time


def since(start):
    print(f"{time.time() - float(start):.3f}")


def stamp(line):
    return datetime.datetime.strptime(line[:23], "%Y-%m-%d %H:%M:%S.%f")


def between(path, first, last):
    times = []
    with open(path, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if re.search(first if not times else last, line):
                times.append(stamp(line))
                if len(times) == 2:
                    print(f"{(times[1] - times[0]).total_seconds():.3f}")
                    return
    sys.exit(f"{path}: no line for {last if times else first}")


def lines_since(began, text, *names):
    times = []
    for name in names:
        with open(f"{name}.log", encoding="utf-8", errors="replace") as lines:
            first = next((line for line in lines if text in line), None)
        if first is None:
            sys.exit(f"{name}.log: no line with '{text}'")
        times.append(stamp(first).timestamp() - float(began))
    for seconds in sorted(times):
        print(f"{seconds:.2f}")


def backend(path, prefix):
    with open(path, encoding="utf-8") as file:
        for side, of_side in json.load(file)["sides"].items():
            for run in of_side["runs"]:
                for figure, value in run.items():
                    print(f"run\t{prefix}, {figure}\t{side}\t{value}")


def report(path, title, json_path=None):
    measures, limits, notes = {}, [], []
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            kind, *fields = line.rstrip("\n").split("\t")
            if kind == "run":
                measures.setdefault(fields[0], {}).setdefault(fields[1], []).append(float(fields[2]))
            elif kind == "limit":
                limits.append(fields)
            else:
                notes.append(fields[0])
    result = {"title": title, "notes": notes, "measures": {}, "limits": []}
    width = max([len(side) for sides in measures.values() for side in sides] + [8])
    print(f"\n{title}")
    for note in notes:
        print(f"  {note}")
    for measure, sides in measures.items():
        print(f"\n{measure}\n  {'':<{width}} {'median':>10} {'least':>10} {'most':>10}  runs  to the first")
        base = None
        result["measures"][measure] = {}
        for side, runs in sides.items():
            median = statistics.median(runs)
            base = median if base is None else base
            ratio = median / base if base else float("nan")
            print(f"  {side:<{width}} {median:>10.3f} {min(runs):>10.3f} {max(runs):>10.3f}  {len(runs):>4}  {ratio:.3f}")
            result["measures"][measure][side] = {"median": median, "ratio": ratio, "runs": runs}
    met_all = True
    print()
    for measure, side, base, op, number in limits:
        sides = measures.get(measure, {})
        if side not in sides or base not in sides:
            continue
        ratio = statistics.median(sides[side]) / statistics.median(sides[base])
        met = ratio <= float(number) if op == "<=" else ratio >= float(number)
        met_all = met_all and met
        print(f"{'ok  ' if met else 'MISS'} {measure}: {side} / {base} = {ratio:.3f}, to be {op} {number}")
        result["limits"].append({"measure": measure, "side": side, "base": base, "ratio": ratio, "op": op,
                                 "limit": float(number), "met": met})
    if json_path:
        with open(json_path, "w", encoding="utf-8") as out:
            json.dump(result, out, indent=2)
            out.write("\n")
    sys.exit(0 if met_all else 1)


def ratios(path):
    measures = {}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            kind, *fields = line.rstrip("\n").split("\t")
            if kind == "run":
                measures.setdefault(fields[0], {}).setdefault(fields[1], []).append(float(fields[2]))
    names = list(dict.fromkeys(side for sides in measures.values() for side in sides))
    print("measure", *(f'"{name}"' for name in names))
    for measure, sides in measures.items():
        base = statistics.median(sides[names[0]])
        row = (f"{statistics.median(sides[name]) / base:.3f}" if name in sides else "-" for name in names)
        print(f'"{measure}"', *row)


{"since": since, "between": between, "lines": lines_since, "backend": backend, "report": report,
 "ratios": ratios}[sys.argv[1]](*sys.argv[2:])
