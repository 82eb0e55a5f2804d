#!/usr/bin/python3
"""Draws the structure of the sources from their includes, and fails if an include points up or makes a cycle.

Usage: tests/structure.py [--source FOLDER] [--longest LINES]

Prints
- the rooms from the bottom up, with their lines and the rooms that they include;
- the sizes of files (median, 90th percentile, largest) of each layer;
- the functions that are longer than LINES (70 by default), found by Universal Ctags.

Exit status: 0 if every include points down and no cycle exists, 1 if not, 2 if the check could not run. Long functions and large
files are only listed; with --strict, they are a failure.
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
from pathlib import Path

# Bottom up. A room may include itself and the rooms before it, except those in SIDEWAYS.
ROOMS = [
    "core/foundation", "core/device", "core/layout", "core/image", "core/cache", "core/backend",
    "config",
    "daemon/log", "daemon/text", "daemon/http", "daemon/history", "daemon/swarm", "daemon/fleet", "daemon/image", "daemon/machine", "daemon/status",
    "daemon/web", "daemon/service", "daemon/agent", "daemon/terminal", "daemon/commands", "daemon",
]
# Pairs at the same height: neither may include the other.
SIDEWAYS = {("config", "core/image"), ("config", "core/cache"), ("config", "core/backend"), ("daemon/text", "daemon/log"),
            ("core/cache", "core/image"), ("core/cache", "core/layout"), ("core/cache", "core/device"),
            ("config", "core/layout")}
LARGEST_ROOM = 0.21  # of the lines of daemon/

INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.MULTILINE)


def room_of(path):
    """The room of a source file, whose path is relative to the source folder, or None."""
    folder = str(Path(path).parent)
    return folder if folder in ROOMS else None


def read_sources(source):
    files = {}
    for top in ("core", "config", "daemon"):
        for path in sorted((source / top).rglob("*.?pp")):
            files[str(path.relative_to(source))] = path.read_text()
    return files


def cycles(graph):
    """The strongly connected components of more than one node (Tarjan)."""
    index, low, on_stack, stack, found = {}, {}, set(), [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        on_stack.add(node)
        for other in sorted(graph.get(node, ())):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in on_stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            component = []
            while True:
                last = stack.pop()
                on_stack.discard(last)
                component.append(last)
                if last == node:
                    break
            if len(component) > 1:
                found.append(sorted(component))

    for node in sorted(graph):
        if node not in index:
            visit(node)
    return found


def include_graphs(files):
    """Arrows between rooms, with the includes of each, and between units (a .hpp with its .cpp)."""
    rooms, units, complaints = {room: {} for room in ROOMS}, {}, []
    for path, text in files.items():
        room = room_of(path)
        if room is None:
            complaints.append(f"{path}: is in no known room")
            continue
        unit = str(Path(path).with_suffix(""))
        units.setdefault(unit, set())
        for included in INCLUDE.findall(text):
            if included not in files:
                continue
            other = room_of(included)
            if other != room:
                rooms[room].setdefault(other, []).append(f"{path} includes {included}")
            other_unit = str(Path(included).with_suffix(""))
            if other_unit != unit:
                units[unit].add(other_unit)
    return rooms, units, complaints


def upward(rooms):
    complaints = []
    for room, others in rooms.items():
        for other, includes in others.items():
            beside = (room, other) in SIDEWAYS or (other, room) in SIDEWAYS
            if beside or ROOMS.index(other) > ROOMS.index(room):
                complaints += [f"points up: {include}" for include in includes]
    return complaints


def print_rooms(rooms, lines):
    print("ROOM             LINES  INCLUDES")
    for room in ROOMS:
        print(f"{room:16} {lines.get(room, 0):5}  {', '.join(o for o in ROOMS if o in rooms[room]) or '-'}")


def print_sizes(files):
    print("\nLINES A FILE     FILES  MEDIAN  90TH  LARGEST")
    for top in ("core", "config", "daemon"):
        sizes = sorted((text.count("\n"), path) for path, text in files.items() if path.startswith(top + "/"))
        counts = [count for count, _ in sizes]
        ninetieth = counts[min(len(counts) - 1, int(0.9 * len(counts)))]
        print(f"{top:16} {len(sizes):5}  {int(statistics.median(counts)):6}  {ninetieth:4}  {sizes[-1][0]} {sizes[-1][1]}")


def functions(source, files):
    """(lines, path, name) of each function definition."""
    cpp = [path for path in files if path.endswith((".cpp", ".hpp"))]
    try:
        out = subprocess.run(["ctags", "--languages=C++", "--kinds-C++=f", "--fields=+ne", "--output-format=json", "-f", "-",
                              "-L", "-"], input="\n".join(cpp), cwd=source, text=True, check=True, stdout=subprocess.PIPE)
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"structure.py: cannot run Universal Ctags: {error}")
    found = []
    for line in out.stdout.splitlines():
        tag = json.loads(line)
        if "end" in tag:
            name = "::".join(filter(None, [tag.get("scope"), tag["name"]]))
            found.append((tag["end"] - tag["line"] + 1, tag["path"], name))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, default=Path(__file__).resolve().parent.parent)
    parser.add_argument("--longest", type=int, default=70, help="lines of a function")
    parser.add_argument("--strict", action="store_true", help="a function that is too long is a failure")
    arguments = parser.parse_args()
    files = read_sources(arguments.source)
    if not files:
        print(f"structure.py: no sources in {arguments.source}", file=sys.stderr)
        return 2
    rooms, units, complaints = include_graphs(files)
    complaints += upward(rooms)
    complaints += ["cycle of rooms: " + ", ".join(cycle) for cycle in cycles({r: set(o) for r, o in rooms.items()})]
    complaints += ["cycle of files: " + ", ".join(cycle) for cycle in cycles(units)]

    lines = {}
    for path, text in files.items():
        lines[room_of(path)] = lines.get(room_of(path), 0) + text.count("\n")
    print_rooms(rooms, lines)
    daemon = sum(count for room, count in lines.items() if room and room.startswith("daemon"))
    for room, count in lines.items():
        if room and room.startswith("daemon") and count > LARGEST_ROOM * daemon:
            complaints.append(f"{room} holds {count} of the {daemon} lines of daemon/: more than a fifth")
    print_sizes(files)
    found = functions(arguments.source, files)
    long = sorted((f for f in found if f[0] > arguments.longest), reverse=True)
    print(f"\n{len(found)} FUNCTIONS, {len(long)} OF MORE THAN {arguments.longest} LINES")
    for count, path, name in long:
        print(f"{count:5}  {path}  {name}")
    if arguments.strict and long:
        complaints.append(f"{len(long)} functions are too long")
    print()
    for complaint in complaints:
        print(f"structure.py: {complaint}")
    print("structure.py: " + ("FAILED" if complaints else "every include points down; no cycles"))
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
