#!/bin/bash
# The files of packaging/examples with the programs that they are for: a deployment is mailed to an SMTP server and posted to a web
# server, waiting machines get a wake-on-LAN packet, Prometheus evaluates the alerts and every query of the dashboard on a real
# daemon's metrics, and systemd accepts the units. SEEDBED is the program.
# Labels: once
set -euo pipefail
# shellcheck source=lib_daemon.sh
. "$(dirname "$0")/lib_daemon.sh"

need curl jq prometheus promtool systemd-analyze
examples=$(readlink -f "$here/../../packaging/examples")
if command -v shellcheck >/dev/null; then
    shellcheck "$examples"/{deployed-mail,deployed-webhook,wake-machines} || fail "shellcheck"
fi

# background NAME COMMAND...: starts a program, with its output in NAME.log.
background() {
    local name=$1
    shift
    : >"$name.log"
    "$@" </dev/null >>"$name.log" 2>&1 &
    daemon_pid[$name]=$!
    defer "$name" end_process "$!"
}

# --- a server with two images, each of which runs a program when its only machine is done
http=127.0.0.1:$(free_port)
metrics=127.0.0.1:$(free_port)
smtp=127.0.0.1:$(free_port)
hooks=127.0.0.1:$(free_port)
write_config seed.toml "$(free_port)" '[metrics]' "listen = \"$metrics\""
sed -i "s/^enabled = false/listen = \"$http\"/" seed.toml
for name in mailed posted; do
    head -c 3000000 /dev/urandom >$name.img
    "$seedbed" create $name.img -o $name.torrent >created
done
add_image seed.toml mailed mailed.torrent mailed.img seed 'expect = 1' \
    "on_complete = [\"$examples/deployed-mail\", \"smtp://$smtp\", \"seedbed@example.org\", \"admin@example.org\"]"
add_image seed.toml posted posted.torrent posted.img seed 'expect = 1' "on_complete = [\"$examples/deployed-webhook\", \"http://$hooks/x\"]"
printf '[[machine]]\nname = "PC-%s"\nmac = "52:54:00:00:00:%s"\nimage = "mailed"\ndisk = "auto"\n' 17 17 18 18 >>seed.toml
start_daemon seed seed.toml
expect_line seed.log ' ready$'

background smtp /usr/bin/python3 -u -W ignore -m smtpd -n -c DebuggingServer "$smtp"
# The first request fails: the program repeats it.
background hooks /usr/bin/python3 -u -c '
import http.server, sys
class Receiver(http.server.BaseHTTPRequestHandler):
    seen = 0
    def do_POST(self):
        Receiver.seen += 1
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if Receiver.seen > 1:
            open("posted.json", "wb").write(body)
        self.send_response(503 if Receiver.seen == 1 else 204)
        self.end_headers()
host, port = sys.argv[1].split(":")
http.server.HTTPServer((host, int(port)), Receiver).serve_forever()' "$hooks"
for ((i = 0; i < 600; i++)); do
    [[ -z $(ss -Hltn "sport = :${smtp#*:}") || -z $(ss -Hltn "sport = :${hooks#*:}") ]] || break
    sleep 0.1
done
for name in mailed posted; do
    truncate -s 4M $name.target
    "$seedbed" deploy $name --server "$http" "$work/$name.target" --yes --no-local-discovery --listen "127.0.0.1:$(free_port)" \
        --state "$work/target-state" --timeout 240s >deploy.log 2>&1 || fail "deploy $name: $(<deploy.log)"
done
expect_line seed.log ' mailed: .*/deployed-mail: exit status 0'
expect_line seed.log ' posted: .*/deployed-webhook: exit status 0'
for line in 'From: seedbed@example.org' 'To: admin@example.org' 'Subject: mailed: deployed to 1 of 1 machines' \
    '1 of 1 machines have mailed, [0-9]+ s after the first one started\.' "127\.0\.0\.1  verified  [0-9]+ s  $work/mailed.target"; do
    grep -qE "^b?['\"]?${line}['\"]?\$" smtp.log || fail "the mail has no line '$line': $(<smtp.log)"
done
jq -e '.format == 1 and .complete == 1 and .hosts[0].state == "verified" and
    (.text | test("^posted: 1 of 1 machines have the image, after [0-9]+ s$"))' posted.json >found || fail "posted was $(<posted.json)"
# A program that cannot deliver fails, with one line.
for command in "deployed-mail smtp://127.0.0.1:1 a@example.org b@example.org" "deployed-webhook http://127.0.0.1:1/ "; do
    # shellcheck disable=SC2086 # several words
    ! timeout 60 "$examples"/$command <posted.json >out 2>err || fail "$command succeeds without a server"
done
for program in deployed-mail deployed-webhook; do
    ! "$examples/$program" <posted.json 2>err || fail "$program accepts no arguments"
    grep -q "^usage: $program " err || fail "$program says: $(<err)"
done

# --- wake-on-LAN: a packet for each machine that waits, and for no other
mkdir bin
printf '#!/bin/sh\nexec "%s" "$@" --socket "%s"\n' "$seedbed" "$work/seed.toml.sock" >bin/seedbed
chmod +x bin/seedbed
# asked MAC: the agent of a machine asks for its job, which then runs.
asked() {
    curl -sS --max-time 60 "http://$http/machine/job?mac=$1" | jq -e '.job.id' >found || fail "$1 gets no job"
}
asked 52:54:00:00:00:18
if command -v wakeonlan >/dev/null && [[ -n ${SEEDBED_OWN_NAMESPACES:-} ]]; then
    ip link add machines type veth peer name switch
    ip address add 192.0.2.1/24 broadcast 192.0.2.255 dev machines
    ip link set switch up
    ip link set machines up
    background packets timeout 60 /usr/bin/python3 -u -c '
import socket
listening = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
listening.bind(("", 9))
print("bound")
while True:
    print(listening.recv(2000).hex())'
    expect_line packets.log '^bound'
    PATH=$work/bin:$PATH "$examples/wake-machines" 192.0.2.255 >woken || fail "wake-machines: $(<woken)"
    expect_line packets.log '^f{12}(525400000017){16}$'
    never_line packets.log '525400000018'
    kill "${daemon_pid[packets]}"
else
    echo "without wake-on-LAN: wakeonlan is not installed, or no network namespace can be made here"
fi
printf '#!/bin/sh\necho no daemon >&2\nexit 1\n' >bin/seedbed
! PATH=$work/bin:$PATH "$examples/wake-machines" >woken 2>&1 || fail "wake-machines succeeds without a daemon"

# --- Prometheus: every query of the dashboard and of the alerts has a result
promtool check rules "$examples/seedbed.rules.yml" >promtool.out 2>&1 || fail "promtool: $(<promtool.out)"
prometheus=127.0.0.1:$(free_port)
cat >prometheus.yml <<EOF
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: ["$examples/seedbed.rules.yml"]
scrape_configs:
  - job_name: seedbed
    static_configs: [{targets: ["$metrics"]}]
EOF
background prometheus prometheus --config.file=prometheus.yml --storage.tsdb.path=tsdb --web.listen-address="$prometheus" --log.level=warn
# await_result QUERY: waits at most 60 s until it has a result. On a busy machine, a scrape may fail.
await_result() {
    local end=$((SECONDS + 60)) found
    while :; do
        found=$(curl -sS --max-time 20 "http://$prometheus/api/v1/query" --data-urlencode "query=$1" 2>&1 |
            jq -r 'if .status == "success" then .data.result | length else .error end' 2>&1) || true
        [[ ! $found =~ ^[1-9][0-9]*$ ]] || return 0
        ((SECONDS < end)) || fail "no result of: $1: $found"
        sleep 0.1
    done
}
await_result 'count_over_time(up{job="seedbed"}[1m]) >= 3'
(($(jq '[.panels[].targets[]] | length' "$examples/seedbed-dashboard.json") >= 12)) || fail "the dashboard has too few queries"
# Scrapes of a busy machine may fail, and a rate needs two.
for ((i = 0; i < 60; i++)); do
    ! /usr/bin/python3 "$here/lib_dashboard.py" "$examples/seedbed-dashboard.json" "$prometheus" >complaints 2>&1 || break
    sleep 1
done
[[ ! -s complaints || $(<complaints) == "" ]] || fail "the dashboard and the alerts: $(<complaints)"
[[ $(curl -sS "http://$prometheus/api/v1/alerts" | jq '[.data.alerts[] | select(.state == "firing")] | length') == 0 ]] ||
    fail "an alert although all is well: $(curl -sS "http://$prometheus/api/v1/alerts")"

# --- each alert, on invented samples
cat >alerts.yml <<EOF
rule_files: ["$examples/seedbed.rules.yml"]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - {series: 'up{job="seedbed", instance="s"}', values: '1x10 0x50'}
      - {series: 'seedbed_healthy{instance="s"}', values: '1x10 0x50'}
      - {series: 'seedbed_image_state{instance="s", image="win11", state="failed"}', values: '0x10 1x50'}
      - {series: 'seedbed_fleet_hosts{instance="s", image="win11", state="fetching"}', values: '5x60'}
      - {series: 'seedbed_fleet_hosts{instance="s", image="win11", state="failed"}', values: '0x10 1x50'}
      - {series: 'seedbed_fleet_hosts{instance="s", image="win11", state="refused"}', values: '0x10 2x50'}
      - {series: 'seedbed_fleet_missing_hosts{instance="s", image="win11"}', values: '3x60'}
      - {series: 'seedbed_fleet_complete_hosts{instance="s", image="win11"}', values: '0x5 1 2 3 4x52'}
      - {series: 'seedbed_image_uploaded_bytes_total{instance="s", image="win11"}', values: '0+1000x10 10000x50'}
    alert_rule_test:
EOF
for minutes in 9 60; do
    for alert in Down Hangs ImageFailed HostFailed HostsMissing DeploymentStalls; do
        echo "      - {eval_time: ${minutes}m, alertname: Seedbed$alert, exp_alerts: []}" >>alerts.yml
    done
done
promtool test rules alerts.yml >promtool.out 2>&1 || true
# After 9 minutes none fires; after an hour each does.
[[ $(grep -c 'time: 9m' promtool.out) == 0 && $(grep -c 'time: 1h' promtool.out) == 6 ]] || fail "the alerts: $(<promtool.out)"
grep -q '3 machines have failed or refused' promtool.out || fail "the number of failed machines: $(<promtool.out)"

# --- the timer
sed "s|^ExecStart=/usr/share/seedbed/examples|ExecStart=$examples|" "$examples/seedbed-wake.service" >seedbed-wake.service
cp "$examples/seedbed-wake.timer" .
printf '[Service]\nExecStart=/bin/true\n' >seedbed.service
SYSTEMD_UNIT_PATH=$work: systemd-analyze verify "$work"/seedbed-wake.{service,timer} >verified 2>&1 || fail "systemd-analyze: $(<verified)"
! grep -F seedbed-wake verified || fail "systemd-analyze: $(<verified)"
systemd-analyze calendar "$(sed -n 's/^OnCalendar=//p' "$examples/seedbed-wake.timer")" >next_time || fail "the time: $(<next_time)"
stop_daemon seed
pass
