"""A plugin of pytest: notes which test executes which line, also in the Python programs that a test starts."""

import json
import os
from collections import defaultdict
from pathlib import Path

import coverage
import pytest

FOLDER = Path(os.environ["MUTANTS_TRACE"])
seconds: dict[str, float] = defaultdict(float)


def pytest_runtest_logstart(nodeid: str) -> None:
    """From here on, a line belongs to this test."""
    running = coverage.Coverage.current()
    assert running, "started by `coverage run`"
    running.switch_context(nodeid)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """A test that fails without any fault proves nothing: it is not in the list."""
    if report.failed:
        seconds[report.nodeid] = float("inf")
    seconds[report.nodeid] += report.duration


def pytest_sessionfinish() -> None:
    """Tests with their seconds."""
    passed = {name: spent for name, spent in seconds.items() if spent != float("inf")}
    (FOLDER / "seconds.json").write_text(json.dumps(passed))
