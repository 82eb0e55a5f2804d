#!/bin/bash
# Fault: the target's name leads to another disk after the confirmation prompt was shown
# Required: is refused with exit status 3; neither disk is written to
set -euo pipefail
# shellcheck source=lib_faults.sh
. "$(dirname "$0")/lib_faults.sh"

make_image sda1
cp sda1.img second.img
ln -s sda1.img disk
seed sda1
printf '%s\n' '[memory]' 'pool = "32 MiB"' >small.toml
status=0
# Answers the question on a terminal, after it has exchanged the disks.
/usr/bin/python3 - "$seedbed" deploy sda1.torrent disk --no-local-discovery --state state --config small.toml \
    --peer "127.0.0.1:$seed_port" --listen "127.0.0.1:$(free_port)" --receipt sda1.json >sda1.log 2>&1 <<'END' || status=$?
import os, pty, sys
process, terminal = pty.fork()
if process == 0:
    os.execv(sys.argv[1], sys.argv[1:])
seen = b""
exchanged = False # not told by the text, which may show the path of the folder
while True:
    try:
        part = os.read(terminal, 4096)
    except OSError:
        break
    if not part:
        break
    seen += part
    if b'to continue:' in seen and not exchanged:
        exchanged = True
        os.unlink("disk")
        os.symlink("second.img", "disk")
        os.write(terminal, b"yes\n")
print(seen.decode(errors="replace"))
assert exchanged, "no question"
sys.exit(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))
END
((status == 3)) || fail "exit status $status instead of 3: $(<sda1.log)"
untouched sda1.img second.img
pass
