#!/usr/bin/python3
"""Examines devices in the extents of partclone's torrent.info, and between them. Used by lib_daemon.sh.

lib_extents.py equal TORRENT_INFO A B    every extent is equal on both
lib_extents.py noise TORRENT_INFO A      every byte outside the extents is 0xA5
lib_extents.py one TORRENT_INFO [N]      prints offset and length of extent N: 0 by default, -1 is the last one
lib_extents.py total TORRENT_INFO        prints the bytes of all extents
lib_extents.py place TORRENT_INFO N     prints the offset on the device of byte N of the image
lib_extents.py pieces TORRENT_INFO A B   prints the bytes of the pieces that are equal on both
lib_extents.py bytes TORRENT_INFO A B    prints the bytes of the 4 KiB blocks in extents that are equal on both
Exit status: 0 yes, 1 no, with one line that says where."""
import fcntl
import os
import stat
import sys

BLKFLSBUF = 0x1261
CHUNK = 1 << 20
PIECE = 16 << 20
BLOCK = 4096
NOISE = b"\xa5" * CHUNK


def read_extents(path):
    offsets, lengths = [], []
    with open(path, encoding="ascii") as lines:
        for line in lines:
            key, _, value = line.strip().partition(": ")
            if key == "offset":
                offsets.append(int(value, 16))
            elif key == "length":
                lengths.append(int(value, 16))
    if not offsets or len(offsets) != len(lengths):
        sys.exit(f"{path}: {len(offsets)} offsets, {len(lengths)} lengths")
    return list(zip(offsets, lengths))


class Device:
    def __init__(self, path):
        self.path = path
        self.fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        if stat.S_ISBLK(os.fstat(self.fd).st_mode):
            fcntl.ioctl(self.fd, BLKFLSBUF)  # read the device, not the cache
        self.size = os.lseek(self.fd, 0, os.SEEK_END)

    def read(self, offset, length):
        data = b""
        while len(data) < length:
            part = os.pread(self.fd, length - len(data), offset + len(data))
            if not part:
                sys.exit(f"{self.path}: ends at {offset + len(data)}")
            data += part
        return data


def chunks(runs):
    for offset, length in runs:
        for start in range(offset, offset + length, CHUNK):
            yield start, min(CHUNK, offset + length - start)


def first_difference(a, b):
    return next(i for i, (x, y) in enumerate(zip(a, b)) if x != y)


def equal(info, a, b):
    a, b = Device(a), Device(b)
    for offset, length in chunks(read_extents(info)):
        x, y = a.read(offset, length), b.read(offset, length)
        if x != y:
            sys.exit(f"{a.path} and {b.path} differ at offset {offset + first_difference(x, y)}")


def noise(info, device):
    device = Device(device)
    gaps, at = [], 0
    for offset, length in read_extents(info) + [(device.size, 0)]:
        if offset > at:
            gaps.append((at, offset - at))
        at = offset + length
    for offset, length in chunks(gaps):
        data = device.read(offset, length)
        if data != NOISE[:length]:
            sys.exit(f"{device.path}: written outside the image at offset {offset + first_difference(data, NOISE)}")


def one(info, number="0"):
    print(*read_extents(info)[int(number)])


def total(info):
    print(sum(length for _, length in read_extents(info)))


def place(info, number):
    left = int(number)
    for offset, length in read_extents(info):
        if left < length:
            print(offset + left)
            return
        left -= length
    sys.exit(f"{info}: has no byte {number}")


def pieces(info, a, b):
    a, b = Device(a), Device(b)
    same, whole, at = 0, True, 0  # bytes of equal pieces; whether this piece is equal so far; bytes before here
    for offset, length in read_extents(info):
        while length > 0:
            part = min(length, CHUNK, PIECE - at % PIECE)
            whole = whole and a.read(offset, part) == b.read(offset, part)
            offset, length, at = offset + part, length - part, at + part
            if at % PIECE == 0:
                same, whole = same + (PIECE if whole else 0), True
    print(same + (at % PIECE if whole else 0))


def equal_blocks(info, a, b):
    a, b = Device(a), Device(b)
    same = 0
    for offset, length in chunks(read_extents(info)):
        x, y = a.read(offset, length), b.read(offset, length)
        blocks = ((x[at:at + BLOCK], y[at:at + BLOCK]) for at in range(0, length, BLOCK))
        same += sum(len(one) for one, other in blocks if one == other)
    print(same)


{"equal": equal, "pieces": pieces, "bytes": equal_blocks, "noise": noise, "one": one, "total": total, "place": place}[sys.argv[1]](*sys.argv[2:])
