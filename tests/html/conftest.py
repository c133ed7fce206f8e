# SPDX-License-Identifier: Apache-2.0
"""HTML reports in headless Chromium, driven over WebDriver. VMTEST names the program that makes them."""
import base64
import json
import os
import subprocess

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

HERE = os.path.dirname(os.path.realpath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
PATIENCE = 60


@pytest.fixture(scope="session")
def vmtest():
    path = os.environ.get("VMTEST", f"{TOP}/build/vmtest")
    assert os.access(path, os.X_OK), f"{path} is missing: run make first"
    return os.path.realpath(path)


@pytest.fixture
def make(vmtest, tmp_path):
    """Writes the HTML report of a run and returns its path."""
    def write(run):
        source, path = tmp_path / "run.json", tmp_path / "report.html"
        source.write_text(json.dumps(run))
        done = subprocess.run([vmtest, "merge", str(source), "--report", f"html={path}"], capture_output=True,
                              timeout=PATIENCE)
        assert done.returncode == run["summary"]["status"], done.stderr.decode()
        return path
    return write


class Browser:
    """A tab, which keeps what the console said and what was asked of the network."""

    def __init__(self, driver):
        self.driver = driver

    def set(self, scheme="light", scripts=True, width=1200, height=900, media=""):
        self.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not scripts})
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {
            "media": media, "features": [{"name": "prefers-color-scheme", "value": scheme},
                                         {"name": "prefers-reduced-motion", "value": "reduce"}]})
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": False})

    def open(self, path, fragment="", **how):
        self.driver.get("about:blank")
        self.driver.get_log("browser")
        self.driver.get_log("performance")
        self.set(**how)
        self.driver.get(f"file://{path}{fragment}")

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def complaints(self):
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self):
        """Addresses of all that was loaded since open(), the document's first."""
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return [message["params"]["request"]["url"] for message in messages
                if message["method"] == "Network.requestWillBeSent"]

    def screenshot(self, path, whole=False):
        shot = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png", "captureBeyondViewport": whole})
        with open(path, "wb") as file:
            file.write(base64.b64decode(shot["data"]))


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                     f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(argument)
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox") # which Chromium refuses to root
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)
    driver.set_page_load_timeout(PATIENCE)
    yield driver
    driver.quit()


@pytest.fixture
def browser(chromium):
    return Browser(chromium)
