#!/usr/bin/python3
"""Announces and reports to a daemon's tracker as many machines do, and measures how the daemon copes.

fleet_load.py PORT INFO_HASH MACHINES SECONDS CONTROL_SOCKET METRICS_PORT PID SIDE

Each machine has an address of its own in 127.0.0.0/8, announces every 30 s on a new connection, as libtorrent does, and deploys
again and again: it announces "started", 30 s later "completed" and reports "verified", 30 s later "stopped", and starts over. The
machines start evenly distributed over 60 s. Meanwhile the status document and the metrics are read every second.

Prints lines for `stats.py report`. A latency is the time from connect() to the end of the reply, this program's own delays
included. CPU is that of the process PID: of one processor."""
import asyncio
import os
import sys
import time
import urllib.parse

INTERVAL = 30.0


def percentile(values, part):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


class Load:
    def __init__(self, port, info_hash, machines, seconds, control, metrics_port, pid):
        self.port = int(port)
        self.info_hash = urllib.parse.quote(bytes.fromhex(info_hash))
        self.machines = int(machines)
        self.seconds = float(seconds)
        self.control = control
        self.metrics_port = int(metrics_port)
        self.pid = int(pid)
        self.times = {"announce": [], "report": [], "status": [], "metrics": []}
        self.sizes = {}
        self.failed = 0

    async def request(self, kind, opening, path, proof):
        """Sends one request on a connection of its own; its reply must begin with HTTP's 200 and hold `proof`."""
        began = time.monotonic()
        try:
            reader, writer = await opening
            writer.write(f"GET {path} HTTP/1.1\r\nHost: seedbed\r\nConnection: close\r\n\r\n".encode())
            reply = await reader.read(-1)
            writer.close()
        except OSError:
            self.failed += 1
            return
        self.times[kind].append(time.monotonic() - began)
        self.sizes[kind] = len(reply)
        if not reply.startswith(b"HTTP/1.1 200") or proof not in reply:
            self.failed += 1

    async def announce(self, number, event, left):
        address = f"127.{1 + number // 65536}.{number // 256 % 256}.{number % 256}"
        peer_id = f"-LT2080-{number:012}"
        path = (f"/announce?info_hash={self.info_hash}&peer_id={peer_id}&port=6881&uploaded=0&downloaded=0&left={left}"
                f"&compact=1&numwant=50&event={event}")
        opening = asyncio.open_connection("127.0.0.1", self.port, local_addr=(address, 0))
        await self.request("announce", opening, path, b"8:interval")
        if event == "completed":
            path = f"/report?info_hash={self.info_hash}&port=6881&state=verified&age=10&taken=30000&bytes=65536"
            opening = asyncio.open_connection("127.0.0.1", self.port, local_addr=(address, 0))
            await self.request("report", opening, path, b"noted")

    async def machine(self, number, end):
        due = time.monotonic() + 2 * INTERVAL * number / self.machines
        while True:
            for event, left in (("started", 65536), ("completed", 0), ("stopped", 0)):
                await asyncio.sleep(min(due, end) - time.monotonic())
                if due >= end:
                    return
                await self.announce(number, event, left)
                due += INTERVAL if event != "stopped" else 0

    async def reader(self, end):
        while time.monotonic() < end:
            await self.request("status", asyncio.open_unix_connection(self.control), "/status", b"images")
            await self.request("metrics", asyncio.open_connection("127.0.0.1", self.metrics_port), "/metrics", b"seedbed_")
            await asyncio.sleep(1)

    def cpu_seconds(self):
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_mib(self):
        with open(f"/proc/{self.pid}/status", encoding="ascii") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmHWM:")) / 1024

    async def run(self):
        began, cpu = time.monotonic(), self.cpu_seconds()
        end = began + self.seconds
        await asyncio.gather(self.reader(end), *(self.machine(number, end) for number in range(self.machines)))
        took, cpu = time.monotonic() - began, self.cpu_seconds() - cpu
        result = {"CPU, % of one processor": 100 * cpu / took, "peak memory, MiB": self.memory_mib()}
        for kind, times in self.times.items():
            if times:
                result[f"{kind}: a second"] = len(times) / took
                result[f"{kind}: ms, median"] = 1000 * percentile(times, 0.5)
                result[f"{kind}: ms, 99th percentile"] = 1000 * percentile(times, 0.99)
        for kind in ("status", "metrics"):
            result[f"{kind}: KiB"] = self.sizes.get(kind, 0) / 1024
        result["requests that failed"] = self.failed
        return result


def main():
    *arguments, side = sys.argv[1:]
    for measure, value in asyncio.run(Load(*arguments).run()).items():
        print(f"run\t{measure}\t{side}\t{value}")


main()
