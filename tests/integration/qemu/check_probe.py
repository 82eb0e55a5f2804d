#!/usr/bin/env python3
"""check_probe.py OUTPUT: compares `seedbed probe --json` of the guest with the devices that QEMU was given.

Whole disks are told apart by their size, since the order of their names is arbitrary; all else by its path.
"""
import json
import re
import sys

MIB = 1 << 20

NVME = r"nvme\dn1 is on nvme \(nvme\d\)"
HDD = r"sd[a-z]/queue/rotational=1"

# size in MiB: QEMU's device, class, the whole evidence, sector size, read-only
DISKS = {
    64: ("NVMe", "nvme", NVME, 512, False),
    65: ("NVMe, two controllers, 4Kn", "nvme", r"nvme\dn1 is on nvme-subsystem \(nvme-subsys\d\)", 4096, False),
    66: ("SATA HDD", "hdd", HDD, 512, False),
    67: ("SATA SSD", "sata_ssd", r"sd[a-z]/queue/rotational=0", 512, False),
    68: ("virtio, read-only", "sata_ssd", r"vda is on virtio \(virtio\d\), .*", 512, True),
    69: ("USB stick", "hdd", r"sd[a-z]/queue/rotational=1 on usb", 512, False),
    70: ("USB SSD behind UAS", "sata_ssd", r"sd[a-z]/queue/rotational=0 on usb", 512, False),
    71: ("SCSI HDD on virtio", "hdd", HDD, 512, False),
    128: ("SD card", "hdd", r"mmcblk0 is an SD card .*", 512, False),
}
STACKED = {
    "/hdd_partition": ("partition of the SATA HDD", "hdd", HDD),
    "/nvme_partition": ("partition of NVMe", "nvme", NVME),
    "/dev/loop0": ("loop on a file in memory", "nvme",
                   r"loop0/loop/backing_file=/in_memory\.img, file system \w+ is in memory"),
    "/in_memory.img": ("file in memory", "nvme", r"file system \w+ is in memory"),
}
DM = {
    "/dev/dm-0": ("dm on NVMe", "nvme", r"dm-0/slaves/nvme\dn1p1, " + NVME),
    "/dev/dm-1": ("dm on dm on NVMe", "nvme", r"dm-1/slaves/dm-0, dm-0/slaves/nvme\dn1p1, " + NVME),
    "/dev/dm-2": ("dm on NVMe and HDD", "hdd", r"dm-2/slaves/sd[a-z]1, " + HDD),
}
THREADS = {"hdd": 2, "sata_ssd": 8, "nvme": 32}


def matches(evidence, device):
    """Returns True, or the evidence that does not match."""
    return re.fullmatch(evidence, device["evidence"]) is not None or device["evidence"]


def compare(label, got, expected):
    if got == expected:
        print(f"PASS {label}: {got}")
        return True
    print(f"FAIL {label}: {got}, expected {expected}")
    return False


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        devices = json.load(file)["devices"]
    by_path = {device["device"]: device for device in devices}
    disks = {device["size"] // MIB: device for path, device in by_path.items() if path not in STACKED | DM}
    stacked = STACKED | (DM if "/dev/dm-0" in by_path else {})
    if "/dev/dm-0" not in by_path:
        print("SKIP dm: this machine has no dmsetup")
    ok = compare("devices", len(devices), len(DISKS) + len(stacked))
    for size, (label, cls, evidence, sector, read_only) in DISKS.items():
        device = disks.get(size)
        if device is None:
            ok = compare(label, "missing", cls)
            continue
        shown = (device["class"], matches(evidence, device), device["logical_sector_size"],
                 device["read_only"], device["profile"]["threads"])
        ok = compare(label, shown, (cls, True, sector, read_only, THREADS[cls])) and ok
    for path, (label, cls, evidence) in stacked.items():
        device = by_path.get(path, {"class": "missing", "evidence": ""})
        shown = (device["class"], matches(evidence, device))
        ok = compare(label, shown, (cls, True)) and ok
    return 0 if ok else 1


sys.exit(main())
