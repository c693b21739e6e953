"""The page of the fleet in Chromium, as a person looks at it: `make browser`."""

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from deploy.onboard.monitor.fleet import FleetRow, FleetTable
from deploy.onboard.monitor.page import page_text
from deploy.paths import REPO
from tests.board.browser.chromium import chromium

ROWS = [
    FleetRow("kitchen", "rpi5", True, True, "qwen3.5-2b.gguf", 9.5, 2, 3, 61.2, "r0123456789a", 1795000000.0),
    FleetRow(
        "board10", "rpi4", True, False, "qwen3.5-0.8b.gguf", 11.25, 0, 0, 84.0, "r11", 1795000600.0, ("BoardHot",)
    ),
    FleetRow("board9", "rpi4", False, model="qwen3.5-0.8b.gguf", release="r11"),
    FleetRow("<script>alert(1)</script>", "", None),
]
NOW = 1795001000.0


@pytest.fixture
def browser() -> Iterator[Chrome]:
    """Chromium without a window."""
    with chromium() as one:
        yield one


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """The address of the page."""
    for name in ("fleet.css", "fleet.js"):
        (tmp_path / name).write_bytes((REPO / "deploy/onboard/monitor" / name).read_bytes())
    (tmp_path / "index.html").write_text(page_text(FleetTable(ROWS), NOW))
    handler = partial(SimpleHTTPRequestHandler, directory=tmp_path)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


def column(browser: Chrome, name: str) -> list[str]:
    """The texts of a column that are shown, from top to bottom. In one step: the page loads itself again at times."""
    cells = f"[...document.querySelectorAll('td[data-name=\"{name}\"]')]"
    return list(browser.execute_script(f"return {cells}.filter(one => one.offsetParent).map(one => one.innerText)"))


def press(browser: Chrome, name: str) -> None:
    """Clicks on the head of a column."""
    heads = "[...document.querySelectorAll('th button')]"
    browser.execute_script(f"{heads}.find(one => one.innerText.startsWith('{name}')).click()")


def test_the_page_names_every_board_and_runs_nothing_that_a_board_says(browser: Chrome, url: str) -> None:
    browser.get(url)
    assert browser.title == "4 boards, 3 to look at"
    assert column(browser, "board") == ["kitchen", "board10", "board9", "<script>alert(1)</script>"]
    assert column(browser, "state") == ["up", "server down, BoardHot", "down", "not seen"]
    untyped: Any = browser
    assert not untyped.get_log("browser"), "nothing is refused, and nothing is missing"


def test_a_click_sorts_numbers_as_numbers_and_what_is_not_known_comes_last(browser: Chrome, url: str) -> None:
    browser.get(url)
    press(browser, "tokens/s")
    assert column(browser, "tokens/s") == ["9.5", "11.2", "-", "-"]
    press(browser, "tokens/s")
    assert column(browser, "tokens/s") == ["11.2", "9.5", "-", "-"]
    press(browser, "board")
    assert column(browser, "board")[1:] == ["board9", "board10", "kitchen"]
    browser.refresh()
    assert column(browser, "board")[1:] == ["board9", "board10", "kitchen"], "it stays sorted"


def test_a_word_shows_the_boards_that_bear_it(browser: Chrome, url: str) -> None:
    browser.get(url)
    browser.find_element(By.ID, "filter").send_keys("RPI4")
    assert column(browser, "board") == ["board10", "board9"]


def test_a_telephone_shows_all_of_it_without_a_sideways_scroll(browser: Chrome, url: str) -> None:
    size = {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get(url)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 360
    assert column(browser, "release") == ["r0123456789a", "r11", "r11", "-"]


@pytest.mark.parametrize("scheme, is_dark", [("light", False), ("dark", True)])
def test_the_page_is_as_light_as_the_desk_it_is_looked_at_from(
    browser: Chrome, url: str, scheme: str, is_dark: bool
) -> None:
    features = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", features)
    browser.get(url)
    colour = str(browser.execute_script("return getComputedStyle(document.body).backgroundColor"))
    brightness = sum(int(part) for part in colour[4:-1].split(",")) / 3
    assert (brightness < 128) == is_dark
