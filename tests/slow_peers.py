"""Peers that request much and receive slowly.

Usage: slow_peers.py PORT INFO_HASH PIECES BLOCKS_IN_PIECE PEERS BYTES_A_SECOND

Each peer connects to 127.0.0.1:PORT from its own address, keeps up to 2,000 requests for blocks of whole pieces (all but the last
piece) outstanding, and receives BYTES_A_SECOND. Prints "unchoked" when all peers are served, and every five seconds the total
received by all peers. Runs until it is killed.
"""

import asyncio
import random
import socket
import struct
import sys

BLOCK = 16384
OUTSTANDING = 2000


class Peer:
    def __init__(self, number, swarm):
        self.number = number
        self.swarm = swarm
        self.outstanding = 0
        self.sequence = self.blocks()

    def blocks(self):
        """All blocks in order, from a different start for each peer: no two peers want the same block at the same time."""
        whole = (self.swarm.pieces - 1) * self.swarm.blocks
        at = random.Random(self.number).randrange(whole)
        while True:
            yield at // self.swarm.blocks, at % self.swarm.blocks * BLOCK
            at = (at + 1) % whole

    def ask(self, writer):
        wanted = bytearray()
        while self.outstanding < OUTSTANDING:
            piece, offset = next(self.sequence)
            wanted += struct.pack(">IBIII", 13, 6, piece, offset, BLOCK)
            self.outstanding += 1
        writer.write(wanted)

    @staticmethod
    async def keep_alive(writer):
        while True:
            await asyncio.sleep(30)
            writer.write(bytes(4))

    async def run(self):
        end = socket.socket()
        end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
        end.setblocking(False)
        end.bind((f"127.1.{self.number // 250}.{self.number % 250 + 1}", 0))
        await asyncio.get_running_loop().sock_connect(end, ("127.0.0.1", self.swarm.port))
        reader, writer = await asyncio.open_connection(sock=end, limit=BLOCK)
        peer_id = b"-SL0000-" + b"%012d" % self.number
        writer.write(b"\x13BitTorrent protocol" + bytes(8) + self.swarm.info_hash + peer_id)
        await reader.readexactly(68)
        writer.write(struct.pack(">IB", 1, 2))  # interested
        keeps_alive = asyncio.create_task(self.keep_alive(writer))
        while not keeps_alive.done():
            (length,) = struct.unpack(">I", await reader.readexactly(4))
            if length == 0:
                continue
            kind = (await reader.readexactly(1))[0]
            left = length - 1
            if kind == 1:  # unchoke
                self.swarm.unchoked += 1
                if self.swarm.unchoked == self.swarm.peers:
                    print("unchoked", flush=True)
                self.ask(writer)
            slow = kind == 7
            while left > 0:
                part = len(await reader.readexactly(min(left, 4096)))
                left -= part
                if slow:
                    self.swarm.taken += part
                    await asyncio.sleep(part / self.swarm.rate)
            if slow:
                self.outstanding -= 1
                if self.outstanding < OUTSTANDING / 2:
                    self.ask(writer)


class Swarm:
    def __init__(self, port, info_hash, pieces, blocks, peers, rate):
        self.port = int(port)
        self.info_hash = bytes.fromhex(info_hash)
        self.pieces = int(pieces)
        self.blocks = int(blocks)
        self.peers = int(peers)
        self.rate = int(rate)
        self.unchoked = 0
        self.taken = 0

    async def report(self):
        while True:
            await asyncio.sleep(5)
            print(f"taken {self.taken >> 10} KiB", flush=True)

    async def run(self):
        await asyncio.gather(self.report(), *(Peer(number, self).run() for number in range(self.peers)))


asyncio.run(Swarm(*sys.argv[1:]).run())
