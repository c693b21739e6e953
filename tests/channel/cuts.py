"""Takes the power of a board that pulls away at random moments: `python -m tests.channel.cuts 30 [SEED]`."""

import os
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.unit.channel_site import serving
from tests.unit.made_offer import offer, publish
from tests.unit.pulling_board import PullingBoard, survive_cuts


def main(count: int, seed: int) -> None:
    """Prints how many cuts the board survived. Raises AssertionError at the first that it did not."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name, serving(Path(name) / "channel") as site:
        folder = Path(name)
        os.environ |= {"BOARDLLAMA_KEYS": str(folder / "keys"), "BOARDLLAMA_CACHE": str(folder / "cache")}
        board = PullingBoard(folder / "board", site.url)
        board.deploy(offer(folder / "made", config='{"first": 1}'))
        publish(folder / "channel", offer(folder / "made", config='{"first": 2}'), hours=-1)
        began = time.monotonic()
        board.look().check_returncode()
        longest = time.monotonic() - began
        chance = random.Random(seed)
        survive_cuts(board, folder, (chance.uniform(0.02, 1.1 * longest) for _ in range(count)))
    print(f"{count} cuts within the {longest:.1f} s that a release takes (seed {seed}): served and went on after each")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1)
