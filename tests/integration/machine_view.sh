#!/bin/bash
# The machines of a real daemon on a terminal: 200 of them at 120, 80 and 60 columns, sorted, filtered and scrolled by keys; the terminal is
# restored however the program ends; without a terminal, plain lines; 10000 machines take little time. SEEDBED is the program.
# Labels: once
set -euo pipefail
# shellcheck source=lib_daemon.sh
. "$(dirname "$0")/lib_daemon.sh"

need_loop
need partclone.ext4 mkfs.ext4 jq tmux

truncate -s 32M source.img
source=$(attach_loop source.img)
make_file_system ext4 "$source" 8
capture ext4 "$source" win11
tracker=$(free_port)
write_config daemon.toml "$(free_port)"
sed -i "s/^enabled = false/listen = \"127.0.0.1:$tracker\"/" daemon.toml
add_image daemon.toml win11 "$work/win11.torrent" "$source" seed
for number in 17 18; do
    printf '%s\n' '[[machine]]' "name = \"PC-$number\"" "mac = \"52:54:00:00:00:$number\"" 'image = "win11"' 'disk = "auto"' >>daemon.toml
done
start_daemon daemon daemon.toml
expect_line daemon.log ' ready$'
socket=$work/daemon.toml.sock
hash=$("$seedbed" status --json --socket "$socket" | jq -r '.images[0].info_hash | [scan("..")] | map("%" + .) | add')
/usr/bin/python3 "$here/lib_machines.py" "$tracker" "$hash" "$(image_bytes win11.info)"

# --- once, without a terminal: every machine, complete, the worst first; and the document
"$seedbed" status --machines --socket "$socket" >plain
[[ $(head -n 1 plain) == "202 machines: 5 failed, 1 refused, 75 running, 1 no job, 120 done"*"; Seedbed "* ]] || fail "the summary: $(head -n 1 plain)"
[[ $(wc -l <plain) == 204 ]] || fail "$(wc -l <plain) lines of 202 machines"
awk 'NR > 2 && NR <= 7 && $3 != "failed" { exit 1 } NR == 8 && $3 != "refused" { exit 1 }' plain || fail "the worst do not come first: $(head plain)"
grep -qE '^PC-17 +52:54:00:00:00:17 +download +42% .* /dev/sda +HDD( |$)' plain || fail "PC-17: $(grep PC-17 plain)"
[[ $(grep -cE ' failed .* /dev/nvme0n1 +NVMe ' plain) == 4 ]] || fail "the disks that hosts have reported: $(head -n 8 plain)"
(($(grep -cE ' (downloading|stalled) .* /dev/sdb +SSD( |$)' plain) >= 70)) || fail "the disks of hosts that download: $(sed -n 9,12p plain)"
grep -qE '^127\.1\.0\.5 .* refused .* /dev/sda +- ' plain || fail "a disk of an unknown class: $(grep refused plain)"
grep -q 'Input/output error (EIO)$' plain || fail "the errors are shortened: $(head -n 5 plain)"
! LC_ALL=C grep -q '[^ -~]' plain || fail "unprintable: $(LC_ALL=C grep '[^ -~]' plain)"
"$seedbed" status --machines --json --socket "$socket" | jq -e '.format == 1 and (.machines | length) == 202' >/dev/null ||
    fail "the document: $("$seedbed" status --machines --json --socket "$socket")"

# Watched without a terminal: table after table.
{ timeout 60 "$seedbed" status --watch --machines --socket "$socket" || true; } | head -n 210 >tables
[[ $(grep -c '^202 machines: ' tables) == 2 ]] || fail "not two tables: $(grep -c '^202 machines: ' tables)"
! grep -q $'\x1b' tables || fail "a sequence for terminals, without a terminal"

# --- on a terminal
export TMUX_TMPDIR=$work
terminal() {
    tmux -f /dev/null "$@"
}
screen() {
    terminal capture-pane -p -t watch >screen
}
# await_screen PATTERN: waits until a line of the terminal matches.
await_screen() {
    local i
    for ((i = 0; i < 600; i++)); do
        screen
        ! grep -qE -e "$1" screen || return 0
        sleep 0.1
    done
    fail "the terminal does not show '$1': $(<screen)"
}
keys() {
    terminal send-keys -t watch "$@"
}
terminal new-session -d -s watch -x 120 -y 30 "sh"
defer tmux tmux -f /dev/null kill-server
keys "PS1='ready> '; clear; $seedbed status --watch --machines --socket $socket; echo ended \$?" Enter
await_screen '^1-24 of 202  worst first  q quit'
grep -qE '^  NAME +MAC +PHASE +DONE +RATE +LEFT +DISK +CLASS +ERROR$' screen || fail "the titles at 120 columns: $(<screen)"
grep -qE '^> ' screen || fail "no machine is selected: $(<screen)"
[[ $(grep -cE '^[ >] .* failed ' screen) == 5 ]] || fail "not five failed machines: $(<screen)"
[[ -z ${SEEDBED_SCREENS:-} ]] || cp screen "$SEEDBED_SCREENS/machines-120"

terminal resize-window -t watch -x 80 -y 24
await_screen '^1-18 of 202 '
[[ $(wc -L <screen) -le 80 ]] || fail "wider than 80 columns: $(<screen)"
grep -qE '^  NAME +PHASE +DONE +RATE +LEFT +DISK +CLASS +ERROR$' screen || fail "the titles at 80 columns: $(<screen)"
[[ -z ${SEEDBED_SCREENS:-} ]] || cp screen "$SEEDBED_SCREENS/machines-80"
terminal resize-window -t watch -x 60 -y 20
await_screen '^1-14 of 202 '
[[ $(wc -L <screen) -le 60 ]] || fail "wider than 60 columns: $(<screen)"
grep -qE '^  NAME +PHASE +DONE +RATE +LEFT .*ERROR$' screen || fail "the titles at 60 columns: $(<screen)"
[[ -z ${SEEDBED_SCREENS:-} ]] || cp screen "$SEEDBED_SCREENS/machines-60"
terminal resize-window -t watch -x 80 -y 24
await_screen '^1-18 of 202 '

# Keys: by name, the last row, one page up; the selected machine in full.
keys s
await_screen '^1-18 of 202  by name '
await_screen '^> 127\.1\.0\.1 '
keys End
await_screen '^185-202 of 202 '
await_screen '^> PC-18 '
await_screen '^PC-18, 52:54:00:00:00:18, .*: failed:$'
keys PageUp
await_screen '^> 127\.1\.0\.'
keys k Up Down j
keys /
await_screen '^filter: _$'
keys -l 'pc-1q'
await_screen '^filter: pc-1q_$'
await_screen 'no match; Escape shows all'
keys BSpace
await_screen '^> PC-17 .* 42% '
keys Enter
await_screen '^1-2 of 2  filter: pc-1  by name '
keys Escape
await_screen '^1-18 of 202  by name '
keys Tab
await_screen '^NAME +STATE +PROGRESS '
await_screen '^q quit  m machines$'
keys m
await_screen '^1-18 of 202  by name '

# The daemon is killed and comes back.
kill_daemon daemon
await_screen '^showing the status of '
grep -q '^> ' screen || fail "the machines are gone: $(<screen)"
start_daemon daemon daemon.toml
expect_line daemon.log ' ready$'
for ((i = 0; i < 600; i++)); do
    screen
    grep -q '^showing the status of ' screen || break
    sleep 0.1
done
((i < 600)) || fail "the daemon is back, but the table is not updated: $(<screen)"

# restored REASON: fails unless the terminal is as the shell left it.
restored() {
    await_screen "^ended $2\$"
    ! grep -q '^  NAME' screen || fail "after $1, the table is still on the terminal: $(<screen)"
    [[ $(terminal display-message -p -t watch '#{alternate_on} #{cursor_flag} #{wrap_flag}') == '0 1 1' ]] ||
        fail "after $1, the terminal was not restored"
    keys "clear; echo typed" Enter
    await_screen '^typed$'
    [[ $(stty -a <"$(terminal display-message -p -t watch '#{pane_tty}')") =~ \ icanon\ .*\ echo\  ]] ||
        fail "after $1, the terminal does not echo"
}
# pid_of_view: prints the process of the pane.
pid_of_view() {
    pgrep -f "^$seedbed status --watch --machines --socket $socket\$"
}
# again ARGUMENT...: starts the view again.
again() {
    keys "clear; $* $seedbed status --watch --machines --socket $socket; echo ended \$?" Enter
    await_screen 'worst first  q quit'
}
keys q
restored q 0
again
keys C-c
restored "Ctrl-C" 0
again
kill -TERM "$(pid_of_view)"
restored SIGTERM 0
# A daemon that dies in the middle of an answer, before and after the first one.
again
kill -STOP "${daemon_pid[daemon]}"
kill_daemon daemon
await_screen '^showing the status of '
keys q
restored "q without a daemon" 1
keys "clear; $seedbed status --watch --machines --socket $socket; echo ended \$?" Enter
await_screen '^seedbed status: .*daemon.toml.sock'
restored "a start without a daemon" 1

# --- colours, unless NO_COLOR is set
start_daemon daemon daemon.toml
expect_line daemon.log ' ready$'
again
terminal capture-pane -e -p -t watch >coloured
grep -q $'\x1b\\[.*m' coloured || fail "no style at all: $(<coloured)"
keys q
restored q 0
again env NO_COLOR=1
terminal capture-pane -e -p -t watch >coloured
! grep -q $'\x1b\\[' coloured || fail "NO_COLOR=1 does not turn styles off: $(cat -v coloured)"
keys q
restored q 0
stop_daemon daemon

# --- 10000 machines: the program uses a part of one processor, and a key is answered
/usr/bin/python3 - >>daemon.toml <<'EOF'
for number in range(9998):
    print(f'[[machine]]\nname = "lab-{number}"\nmac = "52:54:01:00:{number // 256:02x}:{number % 256:02x}"\nimage = "win11"\ndisk = "auto"')
EOF
start_daemon daemon daemon.toml
expect_line daemon.log ' ready$'
again
await_screen '^1-18 of 10[0-9]{3} '
pid=$(pid_of_view)
used() {
    awk '{ print $14 + $15 }' "/proc/$pid/stat" # in hundredths of a second
}
before=$(used) began=${EPOCHREALTIME/[.,]/}
sleep 10
after=$(used) ended=${EPOCHREALTIME/[.,]/}
each_second=$(((after - before) * 10000000 / (ended - began)))
echo "10000 machines: $each_second ms of the processor in each second"
((each_second < 500)) || fail "10000 machines take $each_second ms of the processor in each second"
keys -l '/lab-9997'
await_screen '^1-1 of 1 |^> lab-9997 '
keys Enter q
restored q 0
stop_daemon daemon
pass
