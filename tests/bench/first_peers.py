#!/usr/bin/env python3
"""Waits until every daemon has a peer; prints the seconds that the last one needed.

Usage: first_peers.py BEGAN SECONDS SOCKET...   BEGAN as EPOCHREALTIME; SECONDS until it gives up, with exit status 1; SOCKETs are
the daemons' control sockets.
"""

import http.client
import json
import socket
import sys
import time


class Control(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path):
        super().__init__("localhost", timeout=10)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def has_peer(path):
    connection = Control(path)
    try:
        connection.request("GET", "/status")
        images = json.load(connection.getresponse())["images"]
    except (FileNotFoundError, ConnectionRefusedError):
        return False  # the daemon is still starting
    finally:
        connection.close()
    return any(image["peers"] for image in images)


def main():
    began, limit = float(sys.argv[1].replace(",", ".")), float(sys.argv[2])
    waiting = sys.argv[3:]
    found = 0.0  # when the last one was seen to have a peer
    while waiting:
        for path in list(waiting):
            if has_peer(path):
                waiting.remove(path)
                found = time.time()
        if waiting and time.time() - began > limit:
            sys.exit(f"{len(waiting)} without a peer after {limit:.0f} s")
        time.sleep(0.05)
    print(f"{found - began:.2f}")


main()
