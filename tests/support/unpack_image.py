#!/usr/bin/python3
"""Unpacks a packed image with nothing but seedbed-image(5), the standard library and the program zstd.

unpack_image.py X.torrent X.sbi OUT [--digests N]

Checks everything that the page states, writes the image to the new file OUT, which has the source's size, and prints its
extents, one "OFFSET LENGTH" a line. The XXH3 of the first N chunks (default: 40) is checked, too, which is slow in Python.
Exit status 1 with one line on standard error if anything is wrong.
"""
import argparse
import hashlib
import struct
import subprocess
import sys

MASK = (1 << 64) - 1
SECRET = bytes.fromhex(
    "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221b8084674f743248ee03590e6813a264c"
    "3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364"
    "eac5ac8334d3ebc3c581a0fffa1363eb170ddd51b7f0da49d316552629d4689e2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e"
)
P32 = (0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D)
P64 = (0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5)


def xxh3_128(data):
    """XXH3-128 of more than 240 bytes, canonical."""
    length = len(data)
    acc = [P32[2], P64[0], P64[1], P64[2], P64[3], P32[1], P64[4], P32[0]]
    keys = [struct.unpack_from("<8Q", SECRET, 8 * stripe) for stripe in range(16)]
    scramble = struct.unpack_from("<8Q", SECRET, len(SECRET) - 64)

    def accumulate(at, key):
        for lane, value in enumerate(struct.unpack_from("<8Q", data, at)):
            mixed = value ^ key[lane]
            acc[lane ^ 1] = (acc[lane ^ 1] + value) & MASK
            acc[lane] = (acc[lane] + (mixed & 0xFFFFFFFF) * (mixed >> 32)) & MASK

    blocks = (length - 1) // 1024
    for block in range(blocks):
        for stripe in range(16):
            accumulate(block * 1024 + stripe * 64, keys[stripe])
        for lane in range(8):
            acc[lane] = ((acc[lane] ^ (acc[lane] >> 47)) ^ scramble[lane]) * P32[0] & MASK
    for stripe in range((length - 1 - blocks * 1024) // 64):
        accumulate(blocks * 1024 + stripe * 64, keys[stripe])
    accumulate(length - 64, struct.unpack_from("<8Q", SECRET, len(SECRET) - 64 - 7))

    def merge(at, start):
        key = struct.unpack_from("<8Q", SECRET, at)
        for i in range(4):
            product = (acc[2 * i] ^ key[2 * i]) * (acc[2 * i + 1] ^ key[2 * i + 1])
            start = (start + ((product & MASK) ^ (product >> 64))) & MASK
        start ^= start >> 37
        start = start * 0x165667919E3779F9 & MASK
        return start ^ (start >> 32)

    low = merge(11, length * P64[0] & MASK)
    high = merge(len(SECRET) - 64 - 11, ~(length * P64[1]) & MASK)
    return struct.pack(">2Q", high, low)


def need(condition, reason):
    if not condition:
        sys.exit(f"unpack_image.py: {reason}")


def bdecode(data, at=0):
    """Returns a value and the position after it."""
    kind = data[at : at + 1]
    if kind == b"i":
        end = data.index(b"e", at)
        return int(data[at + 1 : end]), end + 1
    if kind in (b"l", b"d"):
        items, at = [], at + 1
        while data[at : at + 1] != b"e":
            item, at = bdecode(data, at)
            items.append(item)
        return (items if kind == b"l" else dict(zip(items[::2], items[1::2]))), at + 1
    colon = data.index(b":", at)
    end = colon + 1 + int(data[at:colon])
    return data[colon + 1 : end], end


class Chunk:
    """An entry of a chunk table."""

    def __init__(self, entry):
        self.offset, self.raw, self.packed, self.method, self.digest = struct.unpack("<QIII16s", entry)

    def check(self, size, sector, end):
        need(self.method in (0, 1, 2), "unknown method")
        need(0 < self.raw <= (1 << 30 if self.method == 0 else 1 << 20), "raw length")
        need(self.offset % sector == 0 and self.raw % sector == 0, "not whole sectors")
        need(end <= self.offset and self.offset + self.raw <= size, "order, or beyond the source")
        packed_fits = (self.packed == 0, self.packed == self.raw, 0 < self.packed < self.raw)
        need(packed_fits[self.method], "packed length")
        need(self.method or self.digest == bytes(16), "a digest of zeros")


def read_index(data, pieces, size, sector):
    """A list of raw table and chunks for each piece."""
    tables, at, end = [], 0, 0
    for _ in range(pieces):
        (count,) = struct.unpack_from("<I", data, at)
        table = data[at + 4 : at + 4 + 36 * count]
        need(count > 0 and len(table) == 36 * count, "the index is cut short")
        chunks = [Chunk(table[i : i + 36]) for i in range(0, len(table), 36)]
        for chunk in chunks:
            chunk.check(size, sector, end)
            end = chunk.offset + chunk.raw
        tables.append((table, chunks))
        at += 4 + len(table)
    need(at == len(data), "bytes after the index")
    return tables


def unpack(number, piece, table, chunks, piece_length):
    """Yields chunks with their raw bytes; None for zeros."""
    magic, version, header, found, count, used = struct.unpack_from("<8sHHIII", piece)
    need((magic, version, header) == (b"SBPIECE\n", 1, 24), f"piece {number}: header")
    need(found == number and count == len(chunks), f"piece {number}: number or count")
    need(piece[24 : 24 + len(table)] == table, f"piece {number}: table")
    at = 24 + len(table)
    need(used == at + sum(chunk.packed for chunk in chunks), f"piece {number}: bytes used")
    need(not any(piece[used:]), f"piece {number}: padding")
    raw_sum = sum(chunk.raw for chunk in chunks if chunk.method)
    need(raw_sum <= 16 * piece_length, f"piece {number}: unpacks to too much")
    payloads, frames = [], b""
    for chunk in chunks:
        payloads.append(piece[at : at + chunk.packed])
        frames += payloads[-1] if chunk.method == 2 else b""
        at += chunk.packed
    unpacked = subprocess.run(["zstd", "-dcq"], input=frames, capture_output=True, check=True).stdout if frames else b""
    at = 0
    for chunk, payload in zip(chunks, payloads):
        if chunk.method == 2:
            payload = unpacked[at : at + chunk.raw]
            at += chunk.raw
        need(not chunk.method or len(payload) == chunk.raw, f"piece {number}: raw length")
        yield chunk, payload if chunk.method else None
    need(at == len(unpacked), f"piece {number}: decompresses to more")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("torrent")
    parser.add_argument("packed")
    parser.add_argument("out")
    parser.add_argument("--digests", type=int, default=40)
    options = parser.parse_args()
    with open(options.torrent, "rb") as file:
        root, _ = bdecode(file.read())
    info = root[b"info"]
    about, index, length = info[b"seedbed"], root[b"seedbed index"], info[b"piece length"]
    need(about[b"version"] == 1 and info[b"name"].endswith(b".sbi") and b"files" not in info, "no packed image")
    need(hashlib.sha256(index).digest() == about[b"index"], "the SHA-256 of the index differs")
    hashes = [info[b"pieces"][i : i + 20] for i in range(0, len(info[b"pieces"]), 20)]
    tables = read_index(index, len(hashes), about[b"size"], about[b"sector"])
    need(sum(chunk.raw for _, chunks in tables for chunk in chunks) == about[b"used"], "bytes used")
    extents, digests = [], options.digests
    with open(options.packed, "rb") as packed, open(options.out, "xb") as out:
        out.truncate(about[b"size"])
        for number, (table, chunks) in enumerate(tables):
            piece = packed.read(length)
            need(hashlib.sha1(piece).digest() == hashes[number], f"the SHA-1 of piece {number} differs")
            for chunk, raw in unpack(number, piece, table, chunks, length):
                if raw is not None and digests > 0:
                    digests -= 1
                    need(xxh3_128(raw) == chunk.digest, f"piece {number}: the XXH3 at {chunk.offset} differs")
                if raw is not None:
                    out.seek(chunk.offset)
                    out.write(raw)
                if extents and sum(extents[-1]) == chunk.offset:
                    extents[-1][1] += chunk.raw
                else:
                    extents.append([chunk.offset, chunk.raw])
        need(not packed.read(1) and packed.tell() == info[b"length"], "the packed file's size")
    for offset, size in extents:
        print(offset, size)


if __name__ == "__main__":
    main()
