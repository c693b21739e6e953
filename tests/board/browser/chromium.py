"""Chromium without a window, driven by selenium. Debian's chromium and its driver are 400 MB: `make browser` alone."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from selenium.webdriver import Chrome, ChromeOptions, ChromeService

OPTIONS = ["--headless", "--window-size=1000,800", "--hide-scrollbars", "--disable-dev-shm-usage"]


@contextmanager
def chromium() -> Iterator[Chrome]:
    """A browser of its own. Fails the test where Chromium is missing."""
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not program or not driver:
        pytest.fail("chromium is missing: apt-get install chromium chromium-driver", pytrace=False)
    options = ChromeOptions()
    options.binary_location = program
    for word in [*OPTIONS, *([] if os.geteuid() else ["--no-sandbox"])]:  # Chromium's sandbox refuses root
        options.add_argument(word)
    chrome = Chrome(options, ChromeService(driver))
    try:
        yield chrome
    finally:
        chrome.quit()
