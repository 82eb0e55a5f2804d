#!/usr/bin/python3
"""lib_machines.py PORT INFO_HASH BYTES [stay]: announces and reports to the tracker at 127.0.0.1:PORT as 200 machines do that get an
image of BYTES, each from an address of its own in 127.1.0.0/16. INFO_HASH is percent-encoded.

Of the machines 1 to 200, 1 to 4 fail, 5 is refused, 6 to 80 download, the others are verified. The agent of PC-17 asks and reports
from the address of machine 61. That of PC-18 has an address of its own, and its job fails; all that it says is HTML. A machine that is
not configured has HTML as its serial number. With "stay", prints a line then, and goes on to report for PC-17 until it is killed: an
agent that is silent for a minute counts as stopped."""
import json
import sys
import time
import urllib.parse
from http.client import HTTPConnection


def address(number):
    return f"127.1.{number // 256}.{number % 256}"


class Tracker:
    def __init__(self, port, info_hash, total):
        self.port = int(port)
        self.info_hash = info_hash
        self.total = int(total)

    def get(self, number, path):
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60, source_address=(address(number), 0))
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read()
        connection.close()
        if response.status != 200:
            sys.exit(f"{path}: {response.status} {body!r}")
        return body

    def announce(self, number, event, left):
        self.get(number, f"/announce?info_hash={self.info_hash}&peer_id=-LT2080-{number:012}&port=6881&uploaded=0&downloaded=0"
                         f"&left={left}&compact=1&event={event}")

    def report(self, number, state, more=""):
        self.get(number, f"/report?info_hash={self.info_hash}&port=6881&state={state}&age=10&taken={30000 + number}&bytes={self.total}{more}")

    def agent(self, number, mac, state, **said):
        job = json.loads(self.get(number, f"/machine/job?mac={mac}"))["job"]
        self.get(number, "/machine/report?" + urllib.parse.urlencode({"job": job["id"], "state": state, **said}, quote_via=urllib.parse.quote))


def report_running(tracker):
    tracker.agent(61, "52:54:00:00:00:17", "running", phase="download", percent="42", device="/dev/sda", **{"class": "hdd"})


def main():
    tracker = Tracker(*sys.argv[1:4])
    for number in range(1, 201):
        tracker.announce(number, "started", tracker.total)
    time.sleep(1)  # a rate is measured over time
    for number in range(1, 201):
        if number <= 4:
            tracker.report(number, "failed", "&reason=" + urllib.parse.quote(
                "write /dev/nvme0n1: offset 1048576, length 16384: Input/output error (EIO)") + "&device=/dev/nvme0n1&class=nvme")
        elif number == 5:
            tracker.report(number, "failed", "&refused=1&reason=" + urllib.parse.quote(
                "/dev/sda: too small: it has 8 MiB, the image needs 32 MiB") + "&device=/dev/sda&class=tape")
        elif number <= 80:
            tracker.announce(number, "", tracker.total - tracker.total * (number - 5) // 76)
            tracker.report(number, "started", "&device=/dev/sdb&class=sata_ssd")
        else:
            tracker.announce(number, "completed", 0)
            tracker.report(number, "verified")
    report_running(tracker)
    tracker.agent(300, "52:54:00:00:00:18", "failed", phase="<b>write</b>", device="<svg onload=alert(1)>",
                  reason="<script>document.title = 1</script>")
    tracker.get(301, "/machine/job?serial=" + urllib.parse.quote("<img src=x onerror='document.title = 2'>"))
    if sys.argv[4:] == ["stay"]:
        print("all have reported", flush=True)
        while True:
            time.sleep(5)
            report_running(tracker)


main()
