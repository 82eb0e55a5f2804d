#!/usr/bin/python3
"""Checks a .torrent of a raw image against its source, with a bencode library and a SHA-1 other than Seedbed's.

lib_torrent.py TORRENT SOURCE NAME PIECE_SIZE all|holes|any

Layout: v1, one file per extent, whose path is a single name of 32 hex digits, the offset; extents begin at multiples of 1 MiB,
ascend, do not overlap and lie within the source. Content: every hash, and only zeros outside the extents; "all" requires that
nothing is outside, "holes" that something is. Prints "EXTENTS BYTES PIECES INFO_HASH"."""
import hashlib
import os
import sys

import libtorrent

MIB = 1 << 20


def main(torrent_path, source_path, name, piece_size, kind):
    with open(torrent_path, "rb") as file:
        torrent = libtorrent.bdecode(file.read())
    info = torrent[b"info"]
    assert info[b"name"] == name.encode(), info[b"name"]
    assert info[b"piece length"] == int(piece_size), info[b"piece length"]
    assert set(info) <= {b"name", b"piece length", b"pieces", b"files", b"private"}, sorted(info)
    with open(source_path, "rb") as file:
        data = file.read()
    stream, at, outside = b"", 0, 0
    for entry in info[b"files"]:
        (component,) = entry[b"path"]
        assert len(component) == 32 and component == component.lower(), component
        offset, length = int(component, 16), entry[b"length"]
        end = offset + length
        assert offset % MIB == 0 and offset >= at and at <= len(data) and length > 0, (offset, length)
        assert end % MIB == 0 or end == len(data), (offset, length)
        assert not data[at:offset].strip(b"\0"), f"data between {at} and {offset} is not in the image"
        outside += offset - at
        stream += data[offset:end]
        at = end
    assert not data[at:].strip(b"\0"), f"data after {at} is not in the image"
    outside += len(data) - at
    assert kind == "any" or (outside == 0) == (kind == "all"), f"{outside} bytes are not in the image"
    step = int(piece_size)
    hashes = [hashlib.sha1(stream[i : i + step]).digest() for i in range(0, len(stream), step)]
    assert b"".join(hashes) == info[b"pieces"], "the hashes are others"
    info_hash = hashlib.sha1(libtorrent.bencode(info)).hexdigest()
    print(len(info[b"files"]), len(stream), len(hashes), info_hash)


main(*sys.argv[1:])
