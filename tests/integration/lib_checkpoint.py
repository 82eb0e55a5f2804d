#!/usr/bin/python3
"""Reads a checkpoint. Used by resume.sh and power_cuts.sh.

lib_checkpoint.py bytes FILE TOTAL PIECE_SIZE    prints the bytes of the pieces in it
lib_checkpoint.py first FILE                     prints the number of the first one
lib_checkpoint.py compare FILE DISK EXPECTED PIECE_SIZE OFFSET:LENGTH...
    prints the number of pieces in it, or fails and prints the first whose bytes are not the same in DISK and EXPECTED; the
    image's extents are OFFSET:LENGTH"""
import json
import sys

with open(sys.argv[2], encoding="utf-8") as file:
    found = json.load(file)
bits = "".join(f"{int(digit, 16):04b}" for digit in found["pieces"])[: found["piece_count"]]
if sys.argv[1] == "first":
    print(bits.index("1"))
elif sys.argv[1] == "compare":
    extents = [tuple(map(int, each.split(":"))) for each in sys.argv[6:]]
    streams = []
    for path in sys.argv[3:5]:
        with open(path, "rb") as disk:
            content = disk.read()
        streams.append(b"".join(content[offset : offset + length] for offset, length in extents))
    size = int(sys.argv[5])
    for piece, bit in enumerate(bits):
        part = slice(piece * size, (piece + 1) * size)
        if bit == "1" and streams[0][part] != streams[1][part]:
            sys.exit(print(f"piece {piece} is in the checkpoint, and is not on the disk") or 1)
    print(bits.count("1"))
else:
    total, size = int(sys.argv[3]), int(sys.argv[4])
    print(sum(min(size, total - piece * size) for piece, bit in enumerate(bits) if bit == "1"))
