"""Boards that give a model to one another: one that dies in the middle delays nobody."""

import json
import subprocess
from typing import Any

from deploy.paths import REPO
from tests.channel.swarm import swarm_command
from tests.engines import engine

# After so many seconds aria2 asks another peer for what a silent one did not give. All of it takes ten.
PATIENCE_SECONDS = 60.0


def run_apart(*words: str) -> dict[str, Any]:
    """What a swarm told."""
    done = subprocess.run(swarm_command(*words), cwd=REPO, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_a_board_that_dies_while_it_gives_holds_up_none_of_the_others() -> None:
    """Its network is gone, so that nobody is told of its end."""
    told = run_apart("4", "0")
    assert told["came"] == ["b1", "b2", "b3"]
    assert told["seconds"] < PATIENCE_SECONDS
    assert told["copies"] < 3.1, "however many boards, and whoever dies; with the headers of TCP"


def test_all_models_that_leave_the_controller_share_one_limit() -> None:
    """Those that aria2 gives, and what goes elsewhere meanwhile."""
    engine("nginx")  # which is fetched where there is a network
    assert run_apart("beside")["share"] < 1.1


def test_a_board_that_gives_other_bytes_is_named_and_what_it_gave_is_not_taken() -> None:
    said = run_apart("liar")["said"]
    assert "fetched" in said
    assert any(line.startswith("liar 10.98.0.10:") for line in said), said
