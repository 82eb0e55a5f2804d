#!/usr/bin/python3
"""lib_browser.py URL FOLDER: opens the web page with the machines of lib_machines.py in headless Chromium, through chromedriver, and
checks its rows, its controls, its accessible names and its console. Writes screenshots to FOLDER: phone and desktop, light and dark."""
import base64
import json
import re
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import Request, urlopen

PATIENCE = 120  # seconds; a busy machine starts a browser slowly
ENTER = "\ue007"


class Browser:
    """A session of the WebDriver protocol (https://www.w3.org/TR/webdriver2/)."""

    def __init__(self):
        self.driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, text=True)
        for line in self.driver.stdout:
            if found := re.search(r"started successfully on port (\d+)", line):
                self.base = f"http://127.0.0.1:{found[1]}/session"
                break
        else:
            sys.exit("chromedriver does not start")
        options = {"args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1280,900"],
                   "binary": "/usr/bin/chromium"}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        self.base += "/" + self.call("POST", "", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        with urlopen(Request(self.base + path, data, {"Content-Type": "application/json"}, method=method), timeout=PATIENCE) as answer:
            return json.load(answer)["value"]

    def run(self, script):
        return self.call("POST", "/execute/sync", {"script": script, "args": []})

    def devtools(self, command, **parameters):
        return self.call("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def await_true(self, script):
        end = time.monotonic() + PATIENCE
        while not self.run(f"return {script}"):
            check(time.monotonic() < end, f"never true: {script}")
            time.sleep(0.1)

    def press(self, selector, keys):
        found = self.call("POST", "/element", {"using": "css selector", "value": selector})
        self.call("POST", f"/element/{next(iter(found.values()))}/value", {"text": keys})

    def screenshot(self, path):
        path.write_bytes(base64.b64decode(self.call("GET", "/screenshot")))

    def close(self):
        try:
            self.call("DELETE", "")
        finally:
            self.driver.terminate()
            self.driver.wait()


def check(holds, message):
    if not holds:
        raise SystemExit("FAIL: " + message)


def row_of(name):
    return f"[...document.querySelectorAll('#rows tr')].find(row => row.cells[0].textContent.includes({json.dumps(name)}))"


def check_rows(browser):
    browser.await_true("document.querySelectorAll('#rows tr').length === 202")
    first = browser.run("return [...document.querySelectorAll('#rows tr')].slice(0, 7).map(row => row.cells[1].textContent)")
    check(all("failed" in text for text in first[:5]) and "refused" in first[5] and "running" in first[6],
          f"the worst are not first: {first}")
    check(browser.run("return document.title").startswith("6 failed, 120/202 done"), "the title: " + browser.run("return document.title"))
    images = browser.run("return [...document.querySelectorAll('#images tr')].map(row => [...row.cells].map(cell => cell.textContent))")
    check(len(images) == 1 and images[0][:3] == ["win11", "seeding", "120 complete"], f"the images: {images}")
    browser.await_true("document.querySelectorAll('#ended tr').length === 20")
    ended = browser.run("return [...document.querySelectorAll('#ended tr')[0].cells].map(cell => cell.textContent)")
    check(ended[:2] == ["PC-18", "failed"] and ended[6] == "<script>document.title = 1</script>", f"the ended job: {ended}")


def check_foreign_texts(browser):
    """Texts of machines are shown as they are, and are never HTML."""
    cells = browser.run(f"return [...{row_of('PC-18')}.cells].map(cell => cell.textContent)")
    check(cells[7] == "<script>document.title = 1</script>", f"PC-18's reason is shown as {cells[7]!r}")
    check(cells[6] == "<svg onload=alert(1)>" and "<b>write</b>" in cells[2], f"PC-18 is shown as {cells}")
    check(browser.run(f"return {row_of('<img src=x')}.cells[1].textContent").endswith("no job"), "the unknown machine is not shown")
    for made in ("script", "svg", "img", "b"):
        check(browser.run(f"return document.querySelectorAll('table {made}').length") == 0, f"a text of a machine has become a <{made}>")


def check_controls(browser):
    browser.press("#states button:nth-of-type(2)", ENTER)
    browser.await_true("document.querySelectorAll('#rows tr').length === 5")
    check(browser.run("return getComputedStyle(document.activeElement).outlineStyle") != "none", "the focus is not visible")
    browser.press("#states button:nth-of-type(2)", ENTER)
    browser.press("#search", "pc-17")
    browser.await_true("document.querySelectorAll('#rows tr').length === 1")
    browser.press("#search", "\ue003" * 5)
    browser.await_true("document.querySelectorAll('#rows tr').length === 202")
    browser.press("#heads th:nth-child(3) button", ENTER)
    browser.press("#heads th:nth-child(3) button", ENTER)
    check(browser.run("return document.querySelector('#heads th:nth-child(3)').getAttribute('aria-sort')") == "descending", "not sorted")
    check("100%" in browser.run("return document.querySelector('#rows tr').cells[2].textContent"), "the most complete is not first")
    browser.press("#worst", ENTER)


def check_accessible_names(browser):
    nodes = [node for node in browser.devtools("Accessibility.getFullAXTree")["nodes"] if not node["ignored"]]
    named = {}
    for node in nodes:
        named.setdefault(node["role"]["value"], []).append(node.get("name", {}).get("value", ""))
    check("Machines" in named.get("table", []), f"the table has no caption: {named.get('table')}")
    for role, least in (("columnheader", 21), ("rowheader", 204), ("progressbar", 200), ("button", 14), ("searchbox", 1), ("image", 1)):
        names = named.get(role, [])
        check(len(names) >= least, f"{len(names)} {role}, expected {least}")
        check(all(names), f"{names.count('')} of {len(names)} {role} have no accessible name")
    check("PC-17: download" in named["progressbar"], "PC-17's bar does not name the machine and its phase")


def take_screenshots(browser, folder):
    folder.mkdir(parents=True, exist_ok=True)
    for size, (width, height, is_phone) in {"desktop": (1280, 900, False), "phone": (390, 844, True)}.items():
        browser.devtools("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=is_phone)
        for scheme in ("light", "dark"):
            browser.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
            browser.await_true(f"matchMedia('(prefers-color-scheme: {scheme})').matches && innerWidth === {width}")
            browser.screenshot(folder / f"{size}-{scheme}.png")
            check(browser.run("return document.documentElement.scrollWidth <= innerWidth"), f"{size}: the page is wider than the screen")


def main():
    url, folder = sys.argv[1], Path(sys.argv[2])
    browser = Browser()
    try:
        browser.call("POST", "/url", {"url": url})
        check_rows(browser)
        check_foreign_texts(browser)
        check_controls(browser)
        check_accessible_names(browser)
        take_screenshots(browser, folder)
        lines = [line for line in browser.call("POST", "/se/log", {"type": "browser"}) if line["level"] in ("SEVERE", "WARNING")]
        check(not lines, f"the console has {lines}")
        # Last, because the console reports it.
        check(browser.run("try { document.createElement('p').innerHTML = '<b>'; return false; } catch { return true; }"),
              "the page's policy lets a text become HTML")
    finally:
        browser.close()


main()
