#!/usr/bin/python3
"""Plays the service manager's part of sd_notify(3): binds the socket SOCKET and prints each message as one line,
"MICROSECONDS ASSIGNMENT|ASSIGNMENT...", with the time of CLOCK_MONOTONIC, until it is killed.

Usage: lib_notify.py SOCKET"""
import socket
import sys
import time

with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as messages:
    messages.bind(sys.argv[1])
    print("bound", flush=True)
    while True:
        message = messages.recv(65536).decode().strip()
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        print(now, message.replace("\n", "|"), flush=True)
