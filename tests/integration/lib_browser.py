#!/usr/bin/python3
"""lib_browser.py URL FOLDER: opens the web page with the machines of lib_machines.py in headless Chromium, through chromedriver, and
checks its rows, its controls, its keys, its colours, its accessible names and its console. Writes screenshots to FOLDER: phone and
desktop, light and dark, and as a person sees the page who cannot tell red from green.

lib_browser.py URL FOLDER ADDRESS: checks what it shows of a machine at ADDRESS that downloads: its rate and time left, those of all
machines, and the plot. Writes busy.png to FOLDER."""
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
TAB = "\ue004"


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

    def press_tab(self):
        keys = [{"type": "keyDown", "value": TAB}, {"type": "keyUp", "value": TAB}]
        self.call("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": keys}]})

    def emulate_scheme(self, scheme):
        self.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.await_true(f"matchMedia('(prefers-color-scheme: {scheme})').matches")

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


def cells_of(browser, name):
    return browser.run(f"return [...{row_of(name)}.cells].map(cell => cell.textContent)")


def check_rows(browser):
    browser.await_true("document.querySelectorAll('#rows tr').length === 202")
    first = browser.run("return [...document.querySelectorAll('#rows tr')].slice(0, 7).map(row => row.cells[1].textContent)")
    check(all("failed" in text for text in first[:5]) and "refused" in first[5] and "running" in first[6],
          f"the worst are not first: {first}")
    check(browser.run("return document.title").startswith("6 failed, 120/202 done"), "the title: " + browser.run("return document.title"))
    images = browser.run("return [...document.querySelectorAll('#images tr')].map(row => [...row.cells].map(cell => cell.textContent))")
    check(len(images) == 1 and images[0][:3] == ["win11", "seeding", "120 complete"], f"the images: {images}")
    machine = cells_of(browser, "PC-17")
    check(machine[0] == "PC-17127.1.0.61 52:54:00:00:00:17" and machine[6] == "/dev/sda HDD", f"PC-17 is shown as {machine}")
    check(cells_of(browser, "127.1.0.4")[6] == "/dev/nvme0n1 NVMe", "the disk of a host has no class")
    browser.await_true("document.querySelectorAll('#ended tr').length === 20")
    ended = browser.run("return [...document.querySelectorAll('#ended tr')[0].cells].map(cell => cell.textContent)")
    took = browser.run("return [...document.querySelectorAll('#ended tr')].map(row => row.cells[3].textContent)")
    check(all(re.fullmatch(r"\d(\.\d)?s|\d\ds", text) for text in took) and "30s" in took, f"the durations of ended jobs: {took}")
    check(ended[:2] == ["PC-18", "failed"] and ended[6] == "<script>document.title = 1</script>", f"the ended job: {ended}")


def check_foreign_texts(browser):
    """Texts of machines are shown as they are, and are never HTML."""
    cells = cells_of(browser, "PC-18")
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
    for text in ("pc-17", "0:00:17", "hdd"):
        browser.press("#search", text)
        browser.await_true("document.querySelectorAll('#rows tr').length === 1")
        browser.press("#search", "\ue003" * len(text))
        browser.await_true("document.querySelectorAll('#rows tr').length === 202")
    browser.press("#heads th:nth-child(3) button", ENTER)
    browser.press("#heads th:nth-child(3) button", ENTER)
    check(browser.run("return document.querySelector('#heads th:nth-child(3)').getAttribute('aria-sort')") == "descending", "not sorted")
    check("100%" in browser.run("return document.querySelector('#rows tr').cells[2].textContent"), "the most complete is not first")
    browser.press("#worst", ENTER)


def check_keys(browser):
    """Tab reaches every control in the order of the page, and shows where it is."""
    wanted = browser.run("controls = [...document.querySelectorAll('button, input, select')].filter(each => each.offsetParent);"
                         "return controls.length")
    for i in range(wanted):
        browser.press_tab()
        at, outline = browser.run("const at = document.activeElement; return [controls.indexOf(at), getComputedStyle(at).outlineStyle]")
        check(at == i and outline != "none", f"Tab {i + 1} of {wanted} reaches control {at}, outline {outline}")
    check(wanted >= 18, f"{wanted} controls")


def check_colours(browser):
    """Colours only repeat what words, symbols and dashes say, and every text has contrast."""
    texts = browser.run("return [...new Set([...document.querySelectorAll('#rows tr')].map(row => row.cells[1].textContent))]")
    check(len(texts) == 5 and len({text.split()[0] for text in texts}) == 5, f"the states have no symbols of their own: {texts}")
    dashes = browser.run("return ['.rate', '.sent'].map(name => getComputedStyle(document.querySelector('#plot ' + name)).strokeDasharray)")
    check(dashes[0] == "none" and dashes[1] != "none", f"the lines of the plot differ only in their colours: {dashes}")
    for scheme in ("light", "dark"):
        browser.emulate_scheme(scheme)
        low = browser.run("""
            const numbers = colour => colour.match(/[0-9.]+/g).map(Number);
            const light = rgb => rgb.slice(0, 3).map(c => c / 255).map(c => c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4)
                .reduce((sum, c, i) => sum + c * [.2126, .7152, .0722][i], 0);
            const behind = node => { const rgb = numbers(getComputedStyle(node).backgroundColor);
                return rgb.length === 4 && rgb[3] === 0 ? behind(node.parentElement) : rgb; };
            const found = {};
            const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
            while (walker.nextNode()) {
                const node = walker.currentNode.parentElement;
                if (!walker.currentNode.textContent.trim() || !node.checkVisibility() || node.closest('.unseen, script, style')) continue;
                const [a, b] = [light(numbers(getComputedStyle(node).color)), light(behind(node))];
                const contrast = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
                if (contrast < 4.5) found[walker.currentNode.textContent] = contrast;
            }
            return found;""")
        check(not low, f"{scheme}: contrast below 4.5: {low}")


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
            browser.emulate_scheme(scheme)
            browser.await_true(f"innerWidth === {width}")
            browser.screenshot(folder / f"{size}-{scheme}.png")
            check(browser.run("return document.documentElement.scrollWidth <= innerWidth"), f"{size}: the page is wider than the screen")
    browser.devtools("Emulation.clearDeviceMetricsOverride")
    browser.emulate_scheme("light")
    browser.devtools("Emulation.setEmulatedVisionDeficiency", type="deuteranopia")
    browser.screenshot(folder / "red-green.png")


def check_throughput(browser, address):
    browser.await_true("document.querySelectorAll('#rows tr').length === 203")
    browser.await_true(f"/^[1-9].* [KM]iB.s$/.test({row_of(address)}?.cells[3].textContent)")
    browser.await_true(f"/^[1-9].*s$/.test({row_of(address)}.cells[4].textContent)")
    browser.await_true("/ left$/.test(document.getElementById('summary').textContent)")
    for number in ("rate", "sent", "top-rate"):
        browser.await_true(f"/^[1-9].* [KM]iB.s$/.test(document.getElementById('{number}').textContent)")
    # Each line of the plot leaves its ground; a short peak at the beginning may set the top.
    for line in ("rate", "sent"):
        browser.await_true(f"Math.min(...document.querySelector('#plot .{line}').getAttribute('d').match(/ [0-9.]+/g).map(Number)) < 90")
    # Rates are uneven: each may be 0 for a second.
    browser.await_true("/received by machines [1-9].*[/]s, sent by this server [1-9].*[/]s$/.test("
                       "document.getElementById('plot').getAttribute('aria-label'))")


def main():
    url, folder = sys.argv[1], Path(sys.argv[2])
    browser = Browser()
    try:
        browser.call("POST", "/url", {"url": url})
        if len(sys.argv) > 3:
            check_throughput(browser, sys.argv[3])
            browser.screenshot(folder / "busy.png")
            return
        check_rows(browser)
        check_foreign_texts(browser)
        check_keys(browser)
        check_controls(browser)
        check_colours(browser)
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
