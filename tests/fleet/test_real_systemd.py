"""What only a board with real systemd and apt shows, as root: half a minute."""

import json
import re
import subprocess
import sys
from typing import Any

import pytest

from deploy.paths import REPO
from tests.fleet.real_systemd import HAS_IT, HAS_NOTHING, HAS_SOURCE, MINUTES
from tests.monitor.selectors import OF_MONITORS, named_figures


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    """What three boards did."""
    words = [sys.executable, "-m", "tests.fleet.real_systemd"]
    done = subprocess.run(words, cwd=REPO, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_boards_without_aria2_get_it_by_their_apt_or_from_the_controller(told: dict[str, Any]) -> None:
    shared = told["shared"]
    assert shared["status"] == 0, shared["said"]
    assert "came from the other boards" in shared["said"] and "over SSH" not in shared["said"], shared["said"]
    assert f"[{HAS_NOTHING.title}] its apt reaches no network: 4 packages come from here" in shared["said"]


def test_aria2_that_a_board_s_apt_has_installed_is_removed_with_all_that_came_with_it(told: dict[str, Any]) -> None:
    more = told["shared"]["more"]
    assert more[HAS_SOURCE.title] == more[HAS_IT.title], "which had it, and got the exporter alone"
    assert "aria2" in more[HAS_NOTHING.title], "what the controller brought stays"


def test_a_board_s_exporter_tells_of_its_release(told: dict[str, Any]) -> None:
    for figures in told["shared"]["figures"].values():
        assert named_figures("boardllama_") - {*OF_MONITORS} <= set(re.findall(r"^\w+", figures, re.M)), figures[-2000:]


def test_boards_look_at_their_channel_at_random_times(told: dict[str, Any]) -> None:
    """A minute after a boot or later, and then after channel_minutes and as much again."""
    (first,) = told["looks"]["first"]
    assert 0 <= first <= MINUTES + 1
    looks = told["looks"]["next"]
    assert all(MINUTES - 0.1 <= one <= 2 * MINUTES for one in looks), looks
    assert max(looks) - min(looks) > 1, "not all at the same time"
