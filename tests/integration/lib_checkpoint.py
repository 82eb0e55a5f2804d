#!/usr/bin/python3
"""Reads a checkpoint. Used by resume.sh.

lib_checkpoint.py bytes FILE TOTAL PIECE_SIZE    prints the bytes of the pieces in it
lib_checkpoint.py first FILE                     prints the number of the first one"""
import json
import sys

with open(sys.argv[2], encoding="utf-8") as file:
    found = json.load(file)
bits = "".join(f"{int(digit, 16):04b}" for digit in found["pieces"])[: found["piece_count"]]
if sys.argv[1] == "first":
    print(bits.index("1"))
else:
    total, size = int(sys.argv[3]), int(sys.argv[4])
    print(sum(min(size, total - piece * size) for piece, bit in enumerate(bits) if bit == "1"))
