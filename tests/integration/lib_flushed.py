#!/usr/bin/python3
"""Checks that every write to a device was flushed, from the output of `strace -f -y -e trace=pwritev,fsync`.

Usage: lib_flushed.py TRACE DEVICE
Requires a write, and a successful fsync that began after the last write had returned. Exit status: 0 flushed, 1 not flushed,
with one line that says why."""
import re
import sys

trace, device = sys.argv[1:]
call = re.compile(r"^(\d+) +(pwritev|fsync)\(\d+<" + re.escape(device) + r">.*?(?:= (-?\d+).*|<unfinished \.\.\.>)$")
resumed = re.compile(r"^(\d+) +<\.\.\. (pwritev|fsync) resumed>.*= (-?\d+)")
pending = {}  # thread -> line in which its call began
writes, last_write, flushes = 0, 0, []
with open(trace, encoding="utf-8", errors="replace") as lines:
    for number, line in enumerate(lines):
        begun = call.match(line)
        ended = resumed.match(line)
        if begun and begun[3] is None:
            pending[begun[1]] = number
            continue
        if ended and ended[1] in pending:
            thread, name, status, began = ended[1], ended[2], int(ended[3]), pending.pop(ended[1])
        elif begun:
            thread, name, status, began = begun[1], begun[2], int(begun[3]), number
        else:
            continue
        if name == "pwritev":
            writes, last_write = writes + 1, number
        else:
            flushes.append((began, status))
if pending:
    sys.exit(f"{len(pending)} calls on {device} never returned")
if writes == 0:
    sys.exit(f"nothing was written to {device}")
if not any(began > last_write and status == 0 for began, status in flushes):
    sys.exit(f"{writes} writes to {device}, the last one in line {last_write + 1}; no good fsync after it, of {len(flushes)}")
print(f"{writes} writes to {device}, all flushed")
