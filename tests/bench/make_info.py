#!/usr/bin/python3
"""Prints a torrent.info of a file, as partclone would write it: make_info.py FILE EXTENTS

The extents have about the same length, begin at multiples of 4 KiB, and have holes of 20 KiB between them."""
import hashlib
import os
import sys

PIECE = 16 << 20
HOLE = 20 << 10


def main(path, count):
    size = os.path.getsize(path)
    stride = size // count // 4096 * 4096
    extents = [(n * stride, (size if n == count - 1 else (n + 1) * stride - HOLE) - n * stride) for n in range(count)]
    for offset, length in extents:
        print(f"offset: {offset:032x}\nlength: {length:032x}")
    digest, held = hashlib.sha1(), 0
    with open(path, "rb") as file:
        for offset, length in extents:
            file.seek(offset)
            while length > 0:
                data = file.read(min(length, PIECE - held, 1 << 20))
                if not data:
                    sys.exit(f"{path}: has become shorter")
                digest.update(data)
                length, held = length - len(data), held + len(data)
                if held == PIECE:
                    print(f"sha1: {digest.hexdigest()}")
                    digest, held = hashlib.sha1(), 0
    if held > 0:
        print(f"sha1: {digest.hexdigest()}")


main(sys.argv[1], int(sys.argv[2]))
