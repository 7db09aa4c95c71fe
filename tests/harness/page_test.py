"""Opens HTML reports in headless Chromium, offline, and uses them as a reader would.

usage: page_test.py CHROMIUM CHROMEDRIVER SCREENSHOT_FOLDER PAGE...

Pages are opened in light and dark; none may log an error. Where it has a timeline, zooming must change what
is shown and a filter must leave out lanes; where it has several runs, the list's filter must narrow it.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import urllib.request

CHROMIUM, CHROMEDRIVER, SHOTS = sys.argv[1:4]
PAGES = sys.argv[4:]
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--host-resolver-rules=MAP * ~NOTFOUND", "--hide-scrollbars", "--window-size=1500,1300"]


class Browser:
    """A WebDriver session; see https://www.w3.org/TR/webdriver2/."""

    def __init__(self, theme, profile):
        self.driver = subprocess.Popen([CHROMEDRIVER, "--port=0"], stdout=subprocess.PIPE, text=True,
                                       env={**os.environ, "TMPDIR": profile})  # what it would leave behind
        port = None
        for line in self.driver.stdout:
            if "successfully on port " in line:
                port = int(line.rsplit("on port ", 1)[1].strip().rstrip("."))
                break
        assert port, "chromedriver did not start"
        self.url = f"http://127.0.0.1:{port}"
        scheme = 0 if theme == "dark" else 1
        options = {"binary": CHROMIUM, "args": FLAGS + [
            f"--user-data-dir={profile}", f"--blink-settings=preferredColorScheme={scheme}"]}
        session = self.call("POST", "/session", {"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}}})
        self.url += "/session/" + session["sessionId"]

    def call(self, method, path, body=None):
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=100) as answer:
            return json.load(answer)["value"]

    def open(self, page):
        self.call("POST", "/url", {"url": pathlib.Path(page).absolute().as_uri()})

    def run(self, script):
        return self.call("POST", "/execute/sync", {"script": script, "args": []})

    def settle(self):
        """Waits until what was asked for has been painted."""
        self.call("POST", "/execute/async", {"args": [], "script":
                  "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 30)));"})

    def errors(self):
        return [entry["message"] for entry in self.call("POST", "/se/log", {"type": "browser"})
                if entry["level"] == "SEVERE"]

    def shoot(self, file):
        import base64
        pathlib.Path(file).write_bytes(base64.b64decode(self.call("GET", "/screenshot")))

    def close(self):
        try:
            self.call("DELETE", "")
        finally:
            self.driver.kill()
            self.driver.wait()


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def check_timeline(browser):
    browser.settle()
    image = "return document.getElementById('timeline').toDataURL();"
    domain = "return timeline.time.domain();"
    first, whole = browser.run(image), browser.run(domain)
    browser.run("[...document.querySelectorAll('#timeline-card button')].find((b) => b.title === 'Zoom in').click();")
    browser.settle()
    zoomed = browser.run(domain)
    check(zoomed[1] - zoomed[0] < 0.6 * (whole[1] - whole[0]), f"zooming in shows {zoomed} of {whole}")
    check(browser.run(image) != first, "zooming in repaints nothing")
    browser.run("""document.getElementById('timeline').dispatchEvent(new WheelEvent('wheel',
        {deltaY: -300, clientX: 700, clientY: 600, bubbles: true, cancelable: true}));""")
    browser.settle()
    wheeled = browser.run(domain)
    check(wheeled[1] - wheeled[0] < zoomed[1] - zoomed[0], "the wheel does not zoom")
    browser.run("[...document.querySelectorAll('#timeline-card button')].find((b) => b.textContent === 'Fit').click();")
    browser.settle()
    fitted = browser.run(domain)
    check(abs(fitted[0] - whole[0]) + abs(fitted[1] - whole[1]) < 0.01 * (whole[1] - whole[0]), "Fit does not fit")
    rows = "return timeline.rows.filter((row) => row.kind === 'rank').length;"
    type_in = """const box = document.getElementById('lane-filter'); box.value = '%s';
                 box.dispatchEvent(new Event('input'));"""
    all_rows = browser.run(rows)
    browser.run(type_in % "1")
    browser.settle()
    check(browser.run(rows) == 1, "the filter '1' leaves more or less than one rank")
    check(browser.run("return timeline.rows.some((row) => row.kind === 'rail');"), "a chosen rank shows no rails")
    browser.run(type_in % "no such rail")
    browser.settle()
    check(browser.run(rows) == 0, "an unknown rail is found")
    browser.run(type_in % "")
    browser.settle()
    check(browser.run(rows) == all_rows, "an empty filter hides ranks")
    browser.run("document.getElementById('toggle-lost').click();")
    browser.settle()
    lost = browser.run("return [timeline.hits.length, timeline.hits.filter((hit) => timeline.messages.lost[hit[0]]).length];")
    check(lost[0] == lost[1], "'Only lost' shows other messages")
    browser.run("document.getElementById('toggle-lost').click();")


def check_suite(browser):
    count = "return document.querySelectorAll('#run-list a').length;"
    everything = browser.run(count)
    check(everything == browser.run("return runs.length;"), "the list lacks runs")
    browser.run("document.querySelector('[data-kind=failed]').click();")
    check(browser.run(count) == browser.run("return runs.filter((run) => !run.passed).length;"), "the filter 'failed' is wrong")
    browser.run("document.querySelector('[data-kind=all]').click();")
    browser.run("""const box = document.getElementById('run-filter'); box.value = runs[0].name;
                   box.dispatchEvent(new Event('input'));""")
    check(1 <= browser.run(count) <= everything, "the filter by name finds nothing")
    browser.run("document.querySelector('#run-list a').click();")
    browser.settle()
    check(browser.run("return document.getElementById('verdict') !== null;"), "choosing a run does not show it")


def visit(browser, page, theme):
    browser.open(page)
    browser.settle()
    check(browser.run("return document.documentElement.dataset.theme;") == theme, f"the system's theme {theme} is not taken")
    name = pathlib.Path(page).stem
    browser.shoot(f"{SHOTS}/{name}-{theme}.png")
    if browser.run("return runs.length > 1;"):
        check_suite(browser)
        browser.shoot(f"{SHOTS}/{name}-{theme}-run.png")
    if browser.run("return timeline !== null;"):
        check_timeline(browser)
    browser.run("document.getElementById('theme').click();")
    check(browser.run("return document.documentElement.dataset.theme;") != theme, "the button does not change the theme")
    errors = browser.errors()
    check(not errors, f"errors in the console: {errors}")


def main():
    pathlib.Path(SHOTS).mkdir(parents=True, exist_ok=True)
    for theme in ("light", "dark"):
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
            browser = Browser(theme, profile)
            try:
                for page in PAGES:
                    begin = time.monotonic()
                    visit(browser, page, theme)
                    print(f"{pathlib.Path(page).name} in {theme}: all is well, {time.monotonic() - begin:.1f} s")
            finally:
                browser.close()


main()
