"""`make image BASE=` ended at random moments: dist/ and the base are as they were, and nothing runs on.

BOARDLLAMA_KILLS says how many moments, BOARDLLAMA_SEED which, BOARDLLAMA_LONGEST how late at most, in seconds: what a
whole run takes on this controller. A quiet one takes 40.
"""

import os
import random
import signal
import time
from pathlib import Path

import pytest

from deploy.controller.files import sha256_of
from tests.image import bases
from tests.image.runs import mounts, running
from tests.image.test_base import start_edit

KILLS = int(os.environ.get("BOARDLLAMA_KILLS", "5"))
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
LONGEST = float(os.environ.get("BOARDLLAMA_LONGEST", "40"))
# Seconds that the processes of a run have to end.
PATIENCE = 40.0
CHANCE = random.Random(os.environ.get("BOARDLLAMA_SEED", "1"))
MOMENTS = [CHANCE.uniform(0.2, LONGEST) for _ in range(KILLS)]


@pytest.mark.parametrize(
    ("moment", "number"),
    [(moment, SIGNALS[place % len(SIGNALS)]) for place, moment in enumerate(MOMENTS)],
    ids=lambda value: value.name if isinstance(value, signal.Signals) else f"{value:.1f}s",
)
def test_dist_and_base_are_as_they_were(moment: float, number: signal.Signals, tmp_path: Path) -> None:
    base, dist = bases.raspios_like(), tmp_path / "dist"
    dist.mkdir()
    (dist / "boardllama-rpi4.img.zst").write_text("of yesterday")
    before = (sha256_of(base), base.stat().st_mtime_ns)
    run = start_edit(base, dist)
    time.sleep(moment)
    os.kill(run.pid, number)
    _, said = run.communicate(timeout=PATIENCE)
    assert run.returncode != 0, "it had come to its end: a shorter LONGEST is right for this controller"
    assert "Traceback" not in said
    await_silence(str(tmp_path))
    assert mounts(tmp_path) == []
    assert (sha256_of(base), base.stat().st_mtime_ns) == before
    assert {path.name for path in dist.iterdir()} <= {"boardllama-rpi4.img.zst", ".work"}
    assert (dist / "boardllama-rpi4.img.zst").read_text() == "of yesterday"
    # What cannot be removed by who is killed, the next run removes.
    assert number is signal.SIGKILL or not list(dist.glob(".work/.new-*"))


def await_silence(word: str) -> None:
    """Returns when no process names it any more."""
    until = time.monotonic() + PATIENCE
    while left := running(word):
        assert time.monotonic() < until, left
        time.sleep(0.2)
