"""The web UI in Chromium: `make browser`, against a target that asks for no API key. No part of `make test`."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from tests.board.browser.chromium import chromium

QUESTION = "What is 2+2? Answer with one number."
ANSWER = "[aria-label='Assistant message with actions'] p"
STOP = "[aria-label='Stop generation']"
DEADLINE = 240.0  # seconds for a page, or for a token of a slow board


@pytest.fixture
def browser() -> Iterator[Chrome]:
    """Chromium without a window."""
    with chromium() as one:
        yield one


def wait_until(browser: Chrome, holds: Callable[[], bool], what: str) -> None:
    """Returns when it holds. The page makes its parts anew during an answer: one that is gone is looked for again."""
    waiting = WebDriverWait(browser, DEADLINE, poll_frequency=0.1, ignored_exceptions=[StaleElementReferenceException])
    waiting.until(lambda _: holds(), f"{what} within {DEADLINE:.0f} s")


def test_a_question_is_answered_piece_by_piece(browser: Chrome, url: str, request: pytest.FixtureRequest) -> None:
    picture: Path | None = request.config.getoption("--picture")
    seen = set[str]()

    def answer() -> str:
        return "".join(shown.text for shown in browser.find_elements(By.CSS_SELECTOR, ANSWER))

    def grows() -> bool:
        seen.add(answer())
        return len(seen - {""}) > 2

    browser.get(url)
    wait_until(browser, lambda: bool(browser.find_elements(By.TAG_NAME, "textarea")), "a place to type a question")
    browser.find_element(By.TAG_NAME, "textarea").send_keys(QUESTION + Keys.ENTER)
    wait_until(browser, grows, "an answer that grows")
    if picture:
        wait_until(browser, lambda: not browser.find_elements(By.CSS_SELECTOR, STOP), "the end of the answer")
        picture.write_bytes(browser.get_screenshot_as_png())
