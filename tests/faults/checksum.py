#!/usr/bin/python3
"""Changes a checkpoint and gives it the right checksum again.

checksum.py FILE STATEMENT...    runs these Python statements on the checkpoint's `document`"""
import hashlib
import json
import sys

path, *statements = sys.argv[1:]
with open(path, encoding="utf-8") as file:
    document = json.load(file)
checksum = document.pop("checksum")


def digest():
    return hashlib.sha1(json.dumps(document, indent=1, sort_keys=True).encode()).hexdigest()


assert digest() == checksum, "the checksum is computed in another way"
for statement in statements:
    exec(statement)
document["checksum"] = digest()
with open(path, "w", encoding="utf-8") as file:
    json.dump(document, file, indent=1, sort_keys=True)
    file.write("\n")
