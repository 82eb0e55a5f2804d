#!/usr/bin/python3
"""Makes a damaged copy of a .torrent for the rows of the fault table.

bencode.py IN OUT STATEMENT...    runs these Python statements on the decoded `torrent` and its `info`, whose keys are bytes"""
import sys

import libtorrent

source, target, *statements = sys.argv[1:]
with open(source, "rb") as file:
    torrent = libtorrent.bdecode(file.read())
info = torrent[b"info"]
for statement in statements:
    exec(statement)
with open(target, "wb") as file:
    file.write(libtorrent.bencode(torrent))
