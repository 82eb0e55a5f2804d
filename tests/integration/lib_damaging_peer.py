#!/usr/bin/python3
"""A peer that has an image and damages blocks of it. Used by damaged_source.sh.

lib_damaging_peer.py IMAGE PIECE_SIZE INFO_HASH PORT BLOCKS    changes one bit in each of the first BLOCKS blocks that it
sends, on all connections together. The image is one extent that begins at offset 0."""
import itertools
import os
import socket
import struct
import sys
import threading

image = open(sys.argv[1], "rb").read()
piece_size = int(sys.argv[2])
info_hash = bytes.fromhex(sys.argv[3])
blocks = itertools.count(1)


def message(kind, body=b""):
    return struct.pack(">IB", 1 + len(body), kind) + body


def receive(peer, count):
    data = b""
    while len(data) < count:
        more = peer.recv(count - len(data))
        if not more:
            raise OSError("disconnected")
        data += more
    return data


def serve(peer):
    receive(peer, 68)
    bits = bytearray((-(-len(image) // piece_size) + 7) // 8)
    for piece in range(-(-len(image) // piece_size)):
        bits[piece // 8] |= 0x80 >> piece % 8
    peer.sendall(b"\x13BitTorrent protocol" + bytes(8) + info_hash + b"-XX0000-" + os.urandom(12))
    peer.sendall(message(5, bytes(bits)) + message(1))  # bitfield, unchoke
    while True:
        received = receive(peer, struct.unpack(">I", receive(peer, 4))[0])
        if received[:1] == b"\x06":  # request
            piece, begin, length = struct.unpack(">iii", received[1:13])
            data = bytearray(image[piece * piece_size + begin :][:length])
            if next(blocks) <= int(sys.argv[5]):
                data[0] ^= 1
            peer.sendall(message(7, struct.pack(">ii", piece, begin) + data))


def serve_until_gone(peer):
    try:
        serve(peer)
    except OSError:
        pass


with socket.create_server(("127.0.0.1", int(sys.argv[4]))) as listener:
    print("listening", flush=True)
    while True:
        threading.Thread(target=serve_until_gone, args=(listener.accept()[0],), daemon=True).start()
