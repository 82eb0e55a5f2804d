#!/usr/bin/python3
"""Writes the first inputs of each target: make_corpus.py SOURCE_FOLDER FOLDER makes FOLDER/TARGET/*."""
import hashlib
import json
import pathlib
import struct
import sys
import zlib

source, folder = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])


def put(target, *inputs):
    (folder / target).mkdir(parents=True, exist_ok=True)
    for number, content in enumerate(inputs):
        content = content if isinstance(content, bytes) else content.encode()
        (folder / target / f"first{number}").write_bytes(content)


def bencode(what):
    if isinstance(what, int):
        return b"i%de" % what
    if isinstance(what, list):
        return b"l" + b"".join(map(bencode, what)) + b"e"
    if isinstance(what, dict):
        return b"d" + b"".join(bencode(key) + bencode(what[key]) for key in sorted(what)) + b"e"
    what = what if isinstance(what, bytes) else what.encode()
    return b"%d:%s" % (len(what), what)


def torrent(extents, **more):
    total = sum(length for _, length in extents)
    files = [{"length": length, "path": [f"{offset:032x}"]} for offset, length in extents]
    info = {"name": "sda1", "piece length": 65536, "pieces": b"h" * 20 * -(-total // 65536), "files": files, **more}
    return bencode({"announce": "http://10.0.0.1/announce", "comment": "seedbed: ext4", "info": info})


def v2_torrent(size):
    zero = bytes(32)
    blocks = [hashlib.sha256(bytes(min(16384, size - at))).digest() for at in range(0, size, 16384)]
    width = 4 if size > 65536 else 1 << (len(blocks) - 1).bit_length()

    def root(level):
        while len(level) > 1:
            level = [hashlib.sha256(level[i] + level[i + 1]).digest() for i in range(0, len(level), 2)]
        return level[0]

    layer = [root((blocks[i : i + width] + [zero] * width)[:width]) for i in range(0, len(blocks), width)]
    padding = root([zero] * width)
    whole = 1 << (len(layer) - 1).bit_length()
    top = root(layer + [padding] * (whole - len(layer)))
    tree = {f"{4096:032x}": {b"": {"length": size, "pieces root": top}}}
    info = {"name": "sda1", "piece length": 65536, "meta version": 2, "file tree": tree}
    layers = {top: b"".join(layer)} if size > 65536 else {}
    return bencode({"info": info, "piece layers": layers})


put(
    "torrent",
    torrent([(0, 100000)]),
    torrent([(512, 1000), (4096, 65536), (1 << 40, 70000)]),
    torrent([(0, 16384), (65536, 16384)], **{"private": 1}),
    v2_torrent(16384),
    v2_torrent(200000),
    b"magnet:?xt=urn:btih:" + b"a" * 40,
)

line = "sha1: " + "0123456789abcdef0123456789abcdef01234567\n"
header = "block_size: 4096\nblocks_total: 65535\n"
put(
    "partclone_info",
    f"offset: {0:032x}\nlength: {4096:032x}\n{line}",
    f"{header}offset: {0x1000:032x}\nlength: {0x1800000:032x}\n{line}offset: {0x8000000:032x}\nlength: {1:032x}\n{line}",
)

def partition(number, start, size, **more):
    content = {"type": "ext4", "label": "root", "uuid": "1-2", "minimal size": size, "used": 4096}
    return {"number": number, "start": start, "size": size, "content": content, **more}


guid = "0FC63DAF-8483-4772-8E79-3D69D8477DE4"
disk = {"version": 1, "sector size": 512, "disk size": 1 << 30, "gap start": 32768, "gap size": 32768}
logical = partition(5, 2 << 20, 1 << 20, type="83", role="logical")
extended = {"number": 2, "start": 1 << 20, "size": 1 << 24, "type": "05", "role": "extended"}
put(
    "disk_layout",
    bencode({**disk, "table": "gpt", "id": guid, "entries": 128, "first usable": 17408, "partitions": [
        partition(1, 1 << 20, 1 << 20, type=guid, uuid=guid, name="root", attributes="8000000000000001")]}),
    bencode({**disk, "table": "mbr", "id": "deadbeef", "boot code": b"x" * 440, "partitions": [extended, logical]}),
)

put(
    "sfdisk_dump",
    "label: gpt\nlabel-id: %s\ndevice: /dev/sda\nunit: sectors\nfirst-lba: 34\nlast-lba: 99966\nsector-size: 512\n\n"
    '/dev/sda1 : start= 2048, size= 4096, type=%s, uuid=%s, name="a \\x22b", attrs="RequiredPartition GUID:63"\n'
    % (guid, guid, guid),
    "label: dos\nlabel-id: 0x1234abcd\ndevice: /dev/nvme0n1\nunit: sectors\n\n/dev/nvme0n1p1 : start=2048, size=8, type=5\n"
    "/dev/nvme0n1p2 : start=4096, size=8, type=83, bootable\n/dev/nvme0n1p5 : start=2050, size=2, type=82\n",
)


def partclone_image(used, kind, strip, fresh, mode):
    def crc(content, state=0):
        return zlib.crc32(content, state)

    def stored(value):
        return struct.pack("<I", value ^ 0xFFFFFFFF)

    head = b"partclone-image".ljust(16, b"\0") + b"0.3.23".ljust(14, b"\0") + b"0002" + struct.pack(
        "<H16sQQQQIIHHHHIBB", 0xC0DE, b"EXTFS", len(used) * 512, len(used), sum(used), sum(used), 512, 18, 2, 64, kind,
        4 if kind else 0, strip, fresh, mode)
    bits = b"".join(bytes([sum(bit << i for i, bit in enumerate(used[at : at + 8]))]) for at in range(0, len(used), 8))
    bitmap = {0: b"", 1: bits + stored(crc(bits)), 8: bytes(used) + b"BiTmAgIc"}[mode]
    data, state, count = b"", 0, 0
    for _ in range(sum(used)):
        block = b"x" * 512
        data, state, count = data + block, crc(block, state), count + 1
        if kind and count % strip == 0:
            data, state = data + stored(state), 0 if fresh else state
    if kind and count % strip:
        data += stored(state)
    return head + stored(crc(head)) + bitmap + data


v1 = b"partclone-image" + b"NTFS".ljust(15, b"\0") + b"0001\0\0" + struct.pack("<IQQQ", 512, 1024, 2, 0) + bytes(4096)
put(
    "partclone_image",
    partclone_image([1, 1, 0, 1, 1, 0, 0, 0, 1], 0x20, 2, 1, 1),
    partclone_image([1, 0, 1], 0x20, 1, 0, 8),
    partclone_image([1, 1], 0, 0, 1, 0),
    v1 + b"\0\2BiTmAgIc",
)

put(
    "config",
    (source / "config/seedbed.toml").read_bytes(),
    '[[image]]\nname = "sda1"\ntorrent = "/a.torrent"\ndevice = "/dev/sda1"\nmode = "deploy"\npeers = ["10.0.0.1:6881"]\n',
    '[network]\nlisten = ["[::]:6881"]\nallow = ["10.0.0.0/8"]\n[memory]\npool = "1 GiB"\n[resume]\ninterval = "30 s"\n',
    '[profile.hdd]\nthreads = 4\ncoalesce = "4 MiB"\ndelay = "50 ms"\nio_engine = "threads"\ndirect_io = true\n',
    '[tracker]\nenabled = true\nlisten = ["0.0.0.0:6969"]\n[metrics]\nlisten = ["127.0.0.1:9000"]\n',
)

identity = {
    "block_device": True, "size": 1 << 30, "serials": ["WD-1"], "start": 1 << 20, "disk_sequence": 7, "boot": "b-1",
    "sectors_written": 100, "file_system": 0, "inode": 0, "born": 0, "changed": 0,
}  # fmt: skip
checkpoint = {
    "version": 1, "info_hash": "a" * 40, "device": "/dev/sda1", "identity": identity, "piece_count": 9, "pieces": "fa8",
    "verified": False, "at_rest": True, "time": 1700000000,
}  # fmt: skip
checkpoint["checksum"] = hashlib.sha1(json.dumps(checkpoint, sort_keys=True, indent=1, separators=(",", ": ")).encode()).hexdigest()
put("checkpoint", json.dumps(checkpoint), "{}", json.dumps({**checkpoint, "piece_count": 0, "pieces": ""}))

a, b = "a" * 20, "b" * 20
announce = f"/announce?info_hash={a}&peer_id=-SB0100-123456789012&port=6881&uploaded=0&downloaded=5&left="
put(
    "tracker",
    f"0{announce}0&event=completed&compact=1\n1{announce}7&event=started&numwant=3&key=k\n",
    f"2{announce}7&event=stopped\n3{announce}7&compact=0&no_peer_id=1\n",
    f"2/scrape?info_hash={a}&info_hash=%62{b[1:]}\n3/scrape\n",
    f"0/report?info_hash={a}&port=6881&state=verified&age=5&taken=700&bytes=12345\n",
    f"0/report?info_hash={a}&port=6881&state=verified&id=1&device=%2Fdev%2Fsda&class=hdd&model=m&disk_serial=s&disk_bytes=9&image_bytes=8&warnings=w\n",
    f"1/report?info_hash={a}&port=6881&state=started&job=1&device=%2Fdev%2Fnvme0n1&class=nvme\n",
    f"1/report?info_hash={a}&port=6881&state=failed&refused=1&reason=No%20space%0a&age=0&taken=1&bytes=0\n",
)

put(
    "http",
    b"\0GET /status HTTP/1.1\r\nHost: a\r\n\r\nGET /metrics?x=%20 HTTP/1.1\r\n\r\n",
    b"\1POST /reload HTTP/1.1\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.0\r\n\r\n",
    b"\7HEAD /announce?info_hash=%61&port=1 HTTP/1.1\r\nConnection: close\r\n\r\n",
    b"\1POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\n\r\n",
    b"\0DELETE / HTTP/1.1\r\nExpect: 100-continue\r\n\r\n",
    b"\0GET /file HTTP/1.1\r\nRange: bytes=3-9\r\nIf-Range: \"a\"\r\n\r\n",
    b"\0GET /file HTTP/1.1\r\nAccept-Encoding: gzip;q=0.1, *\r\nIf-None-Match: W/\"a\", *\r\n\r\n",
)

put(
    "http_response",
    b"\0HTTP/1.1 200 OK\r\nServer: Seedbed/1\r\nContent-Length: 5\r\n\r\nhello",
    b"\1HTTP/1.0 302 Found\r\nLocation: http://a/b\r\n\r\nuntil it closes",
    b"\6HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
    b"\2HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
)


def messages(*handshakes):
    return b"".join(bytes([len(each)]) + each for each in map(bencode, handshakes))


put(
    "extensions",
    messages({"m": {"lt_donthave": 7, "upload_only": 3}, "p": 6881}),
    messages({"sb_report": 6969, "sb_shard": 6882}, {"m": {"lt_donthave": 0}, "upload_only": 1}),
    messages({"m": {"lt_donthave": 300, "upload_only": -1}, "p": 70000}),
    messages({"m": {"sb_auth": 61}, "sb_nonce": "0123456789abcdef"}, {"m": {"sb_auth": 256}, "sb_nonce": ""}),
)

# Events, as piece_offers.cpp reads them: two peers join, both understand, one asks for a piece, and time passes.
put(
    "piece_offers",
    bytes([12, 0, 12, 0, 0, 0, 0, 1, 4, 48, 5, 64, 8, 0, 8, 0, 8, 0, 1, 65]),
    bytes([12, 0, 12, 0, 12, 0, 0, 0, 0, 1, 4, 48, 5, 64, 0, 2, 2, 0, 6, 1, 9, 0, 9, 2, 10, 1, 5, 66]),
)

# Packed images: the first byte selects the reader. The digest of a chunk is that of 512 times "a", the frame is made by hand.
zero_chunk = struct.pack("<QIII16s", 0, 4096, 0, 0, bytes(16))
stored_chunk = struct.pack("<QIII16s", 4096, 512, 512, 1, b"d" * 16)
frame = bytes.fromhex("28b52ffd6000014b0000" "10" "61" "61" "01" "00" "fb2b8005")
zstd_chunk = struct.pack("<QIII16s", 8192, 512, len(frame), 2, b"d" * 16)
table = zero_chunk + stored_chunk + zstd_chunk
payloads = b"a" * 512 + frame
piece = b"SBPIECE\n" + struct.pack("<HHIII", 1, 24, 0, 3, 24 + len(table) + len(payloads)) + table + payloads
index = struct.pack("<I", 3) + table
about = {
    "version": 1, "kind": "disk", "size": 1 << 20, "sector": 512, "used": 5120, "content": "gpt", "label": "l", "uuid": "u",
    "index": hashlib.sha256(index).digest(),
}  # fmt: skip
packed_info = {"name": "a.sbi", "length": len(piece), "piece length": 65536, "pieces": b"h" * 20, "seedbed": about}
put(
    "packed",
    b"\0" + piece,
    b"\0" + piece.ljust(65536, b"\0"),
    b"\1\1" + index,
    b"\1\2" + struct.pack("<I", 1) + zero_chunk + struct.pack("<I", 1) + stored_chunk,
    b"\2" + bencode(about),
    b"\3" + bencode({"info": packed_info, "seedbed index": index}),
    b"\4# Domain logfile\n0x00000000     ?\n0x00000000  0x00008400  +\n0x00008400  0x00000C00  ?\n0x00009000  0x00000400  +\n",
)
