#!/usr/bin/python3
"""Makes a .torrent from partclone's torrent.info with libtorrent's own bindings and prints its info-hash.

Usage: partclone_recipe.py TORRENT_INFO NAME OUTPUT

Makes the torrent of `seedbed create --partclone` independently: one file per extent, NAME/OFFSET with the offset as in
torrent.info, pieces of 16 MiB with torrent.info's hashes, v1 only. Needs python3-libtorrent.
"""

import sys

import libtorrent


def read_info(path):
    values = {"offset": [], "length": [], "sha1": []}
    with open(path, encoding="ascii") as lines:
        for line in lines:
            key, value = line.split(":")
            if key in values:
                values[key].append(value.strip())
    return values


def main(info_path, name, output):
    info = read_info(info_path)
    files = libtorrent.file_storage()
    for offset, length in zip(info["offset"], info["length"], strict=True):
        files.add_file(name + "/" + offset, int(length, 16))
    torrent = libtorrent.create_torrent(files, 16 * 1024 * 1024, flags=libtorrent.create_torrent.v1_only)
    for piece, sha1 in enumerate(info["sha1"]):
        torrent.set_hash(piece, bytes.fromhex(sha1))
    encoded = libtorrent.bencode(torrent.generate())
    with open(output, "wb") as out:
        out.write(encoded)
    print(libtorrent.torrent_info(libtorrent.bdecode(encoded)).info_hash())


if __name__ == "__main__":
    main(*sys.argv[1:])
