#!/usr/bin/env python3
"""An NBD server whose disk loses power: writes are durable once a flush that followed them has ended.

Usage: lib_power_cut.py SOCKET FILE SEED STEPS

FILE is the medium; it changes when a flush ends, and at the end. SIGUSR1 begins the count of writes, discards and flushes. When
STEPS of them have come (0: never), the power is cut: what remains of the writes that no flush has covered depends on SEED, and all
connections end without an answer. The server then prints "cut after STEPS: HOW". SIGTERM cuts the power, too, and prints
"STEPS steps" before that.
"""

import os
import random
import signal
import socket
import struct
import sys

OPTION_ABORT, OPTION_INFO, OPTION_GO, OPTION_EXPORT_NAME = 2, 6, 7, 1
READ, WRITE, DISCONNECT, FLUSH, TRIM, ZEROES = 0, 1, 2, 3, 4, 6
FLAGS = 1 | 4 | 32 | 64  # flush, trim and write-zeroes are understood; one connection
LOSSES = ("everything", "whole writes", "sectors", "torn last", "nothing")


class Disk:
    def __init__(self, path: str, seed: int, steps: int):
        self.file = os.open(path, os.O_RDWR)
        with open(path, "rb") as medium:
            self.contents = bytearray(medium.read())
        self.unflushed: list[tuple[int, bytes]] = []
        self.random = random.Random(seed)
        self.steps = steps
        self.counted = -1  # not counting yet

    def begin_count(self, *_) -> None:
        self.counted = max(self.counted, 0)

    def step(self) -> None:
        if self.counted >= 0:
            self.counted += 1
            if self.counted == self.steps:
                self.cut()

    def write(self, offset: int, data: bytes) -> None:
        self.contents[offset : offset + len(data)] = data
        self.unflushed.append((offset, data))
        self.step()

    def flush(self) -> None:
        self.step()
        for offset, data in self.unflushed:
            self.put(offset, data)
        self.unflushed.clear()

    def put(self, offset: int, data: bytes) -> None:
        while data:
            written = os.pwrite(self.file, data, offset)
            offset, data = offset + written, data[written:]

    def cut(self, *_) -> None:
        how = self.random.choice(LOSSES)
        for number, (offset, data) in enumerate(self.unflushed):
            if how == "nothing" or (how == "whole writes" and self.random.random() < 0.5):
                self.put(offset, data)
            elif how == "torn last":
                last = number == len(self.unflushed) - 1
                self.put(offset, data[: self.random.randrange(len(data) // 512) * 512 if last and len(data) >= 512 else len(data)])
            elif how == "sectors":
                for at in range(0, len(data), 512):
                    if self.random.random() < 0.5:
                        self.put(offset + at, data[at : at + 512])
        print(f"cut after {self.counted}: {how} lost of {len(self.unflushed)} writes", flush=True)
        os._exit(0)

    def end(self, *_) -> None:
        print(f"{self.counted} steps", flush=True)
        self.cut()


def receive(connection: socket.socket, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        part = connection.recv(min(count - len(data), 1 << 20))
        if not part:
            raise ConnectionError
        data += part
    return bytes(data)


def negotiate(connection: socket.socket, disk: Disk) -> None:
    connection.sendall(b"NBDMAGICIHAVEOPT" + struct.pack(">H", 3))
    no_zeroes = struct.unpack(">I", receive(connection, 4))[0] & 2
    size = len(disk.contents)
    while True:
        _, option, length = struct.unpack(">QII", receive(connection, 16))
        receive(connection, length)

        def reply(kind: int, data: bytes = b"") -> None:
            connection.sendall(struct.pack(">QIII", 0x3E889045565A9, option, kind, len(data)) + data)

        if option == OPTION_EXPORT_NAME:
            connection.sendall(struct.pack(">QH", size, FLAGS) + bytes(0 if no_zeroes else 124))
            return
        if option in (OPTION_INFO, OPTION_GO):
            reply(3, struct.pack(">HQH", 0, size, FLAGS))
            reply(1)
            if option == OPTION_GO:
                return
        elif option == OPTION_ABORT:
            reply(1)
            raise ConnectionError
        else:
            reply(0x80000001)  # not supported


def serve(connection: socket.socket, disk: Disk) -> None:
    while True:
        _, _, kind, handle, offset, length = struct.unpack(">IHHQQI", receive(connection, 28))
        answer = b""
        if kind == READ:
            answer = bytes(disk.contents[offset : offset + length])
        elif kind == WRITE:
            disk.write(offset, receive(connection, length))
        elif kind in (TRIM, ZEROES):
            disk.write(offset, bytes(length))
        elif kind == FLUSH:
            disk.flush()
        else:
            return
        connection.sendall(struct.pack(">IIQ", 0x67446698, 0, handle) + answer)


def main() -> None:
    path, medium, seed, steps = sys.argv[1:]
    disk = Disk(medium, int(seed), int(steps))
    signal.signal(signal.SIGUSR1, disk.begin_count)
    signal.signal(signal.SIGTERM, disk.end)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        while True:
            connection, _ = listener.accept()
            try:
                negotiate(connection, disk)
                serve(connection, disk)
            except ConnectionError:
                pass
            connection.close()


main()
