"""Boards that give a model to one another: one that dies in the middle delays nobody."""

import json
import subprocess

from deploy.paths import REPO
from tests.channel.swarm import swarm_command

# After so many seconds aria2 asks another peer for what a silent one did not give. All of it takes ten.
PATIENCE_SECONDS = 60.0


def test_a_board_that_dies_while_it_gives_holds_up_none_of_the_others() -> None:
    """Its network is gone, so that nobody is told of its end."""
    done = subprocess.run(swarm_command(4, lost=0), cwd=REPO, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["came"] == ["b1", "b2", "b3"]
    assert told["seconds"] < PATIENCE_SECONDS
