#!/usr/bin/python3
"""Checks the dashboard and the alerts against what Grafana's dashboard model demands, and against a Prometheus that has a daemon's metrics.

Usage: lib_dashboard.py DASHBOARD.json PROMETHEUS-ADDRESS

Every query must have a result, with the labels that legends and messages name. Prints each complaint. Exit status: 0 if there is none.
"""
import json
import re
import sys
import urllib.error
import urllib.parse
import urllib.request

dashboard_file, prometheus = sys.argv[1:]
complaints = []


def expect(condition, complaint):
    if not condition:
        complaints.append(complaint)


def ask(path):
    with urllib.request.urlopen(f"http://{prometheus}/api/v1/{path}", timeout=20) as answer:
        return json.load(answer)["data"]


def check_labels(what, query, names):
    try:
        found = ask("query?" + urllib.parse.urlencode({"query": query}))["result"]
    except urllib.error.HTTPError as failed:
        expect(False, f"{what}: {query}: {json.load(failed)['error']}")
        return
    expect(found, f"{what}: no result of: {query}")
    for name in names:
        expect(all(name in each["metric"] for each in found), f"{what}: no label {name} in the result of: {query}")


def filled(query, variables):
    """Grafana's variables replaced. A label that does not exist equals "", which .+ does not match."""
    query = query.replace("$__rate_interval", "1m")
    for used in re.findall(r"\$\{?(\w+)", query):
        expect(used in variables, f"the query uses ${used}, which is no variable: {query}")
    return re.sub(r"\$\{?\w+\}?", ".+", query)


def cells(panel):
    at = panel["gridPos"]
    return {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}


def check_structure(dashboard):
    """Members that Grafana's dashboard JSON model requires, and what it would silently repair or draw wrongly."""
    for key, kind in {"title": str, "uid": str, "schemaVersion": int, "panels": list, "templating": dict, "time": dict, "tags": list}.items():
        expect(isinstance(dashboard.get(key), kind), f"{key} is missing")
    expect(dashboard.get("id") is None, "an id: Grafana assigns it")
    expect(36 <= dashboard["schemaVersion"] <= 41, "schemaVersion: data sources are objects from 36 on")
    variables = {each["name"]: each for each in dashboard["templating"]["list"]}
    source = variables.get("datasource", {})
    expect((source.get("type"), source.get("query")) == ("datasource", "prometheus"), "no variable for the data source")
    taken, ids = set(), set()
    for panel in dashboard["panels"]:
        what = f"panel {panel.get('title')!r}"
        expect(panel.get("title") and panel.get("type"), f"{what}: no title or type")
        expect(isinstance(panel.get("id"), int) and panel["id"] not in ids, f"{what}: its id is missing or taken")
        ids.add(panel.get("id"))
        at = panel["gridPos"]
        expect(at["w"] > 0 and at["h"] > 0 and at["x"] >= 0 and at["y"] >= 0 and at["x"] + at["w"] <= 24, f"{what}: beyond the grid")
        expect(not cells(panel) & taken, f"{what}: overlaps another panel")
        taken |= cells(panel)
        refs = [target.get("refId") for target in panel["targets"]]
        expect(refs and all(refs) and len(set(refs)) == len(refs), f"{what}: refIds {refs}")
        for part in [panel, *panel["targets"]]:
            expect(part.get("datasource") == {"type": "prometheus", "uid": "${datasource}"}, f"{what}: not the chosen data source")
    for each in variables.values():
        if each["type"] == "query":
            expect(each["datasource"]["uid"] == "${datasource}", f"variable {each['name']}: not the chosen data source")
            expect(each["definition"] == each["query"]["query"], f"variable {each['name']}: definition differs")
            parts = re.fullmatch(r"label_values\((\w+(?:\{.*\})?), (\w+)\)", each["definition"])
            expect(parts, f"variable {each['name']}: {each['definition']}")
            if parts:
                check_labels(f"variable {each['name']}", filled(parts[1], variables), [parts[2]])
    return variables


with open(dashboard_file, encoding="utf-8") as file:
    dashboard = json.load(file)
variables = check_structure(dashboard)
for panel in dashboard["panels"]:
    for target in panel["targets"]:
        check_labels(f"panel {panel['title']!r}", filled(target["expr"], variables),
                     re.findall(r"\{\{ *(\w+) *\}\}", target.get("legendFormat", "")))
rules = [rule for group in ask("rules")["groups"] for rule in group["rules"]]
expect(rules, "no rules")
for rule in rules:
    expect(rule["health"] == "ok", f"alert {rule['name']}: {rule.get('lastError') or rule['health']}")
    names = re.findall(r"\$labels\.(\w+)", json.dumps(rule["annotations"]))
    # An alert's comparison has no result while all is well. Its message has the labels of the first operand.
    for number, operand in enumerate(re.split(r"\s+and\s+", rule["query"])):
        check_labels(f"alert {rule['name']}", re.sub(r" (==|>) [01]$", "", operand), names if number == 0 else [])
print("\n".join(complaints))
sys.exit(1 if complaints else 0)
