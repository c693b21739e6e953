"""Ctrl-C, or a death, at any step of `make image`: dist/ is as it was, nothing is mounted, nothing runs on."""

import os
import signal
import subprocess
import sys
import time
from itertools import cycle
from pathlib import Path

import pytest

from deploy.image import board_root
from deploy.image.boards import debian_board
from deploy.paths import REPO
from tests.faults.cache_copy import copy_cache

# Each step, and the one whose end is waited for.
STEPS = {
    "deploy": "finish",
    "packing": "sweeping",
    "file system": "packing",
    "disk": "file system",
    "bill of materials": "check of the root file system",
}


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    """With the image of yesterday."""
    folder = tmp_path / "dist"
    folder.mkdir()
    (folder / "boardllama-efi.img.zst").write_text("of yesterday")
    return folder


def started(dist: Path, *options: str, **environment: str) -> subprocess.Popen[str]:
    """make image, in a session of its own as in a terminal."""
    command = [sys.executable, "-m", "deploy.image", "efi", "--model", "smoke", "--dist", str(dist), *options]
    return subprocess.Popen(
        command, cwd=REPO, env=os.environ | environment, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def await_line(running: subprocess.Popen[str], words: str) -> None:
    """Returns when it says so."""
    assert running.stderr
    said = ""
    while words not in said:
        said = running.stderr.readline()
        assert said, f"it ended before {words!r}"


def ended_cleanly(running: subprocess.Popen[str], number: signal.Signals, dist: Path) -> None:
    """It gets the signal now, ends, and nothing of it is left."""
    os.kill(running.pid, number)
    _, rest = running.communicate(timeout=60)
    assert running.returncode not in (0, None), rest
    assert "Traceback" not in rest
    assert {path.name for path in dist.iterdir()} <= {"boardllama-efi.img.zst", ".work"}
    assert (dist / "boardllama-efi.img.zst").read_text() == "of yesterday"
    assert not list(dist.glob(".work/.new-*"))
    assert str(dist.parent) not in Path("/proc/self/mounts").read_text()
    assert processes_with(str(dist.parent)) == []


def processes_with(text: str) -> list[str]:
    """Command lines of running processes that name it."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return [line for line in lines if text in line]


# Both signals end it as one: SIGTERM's handler raises where Ctrl-C raises. So the longer steps get one of them each.
SIGNALS = (signal.SIGINT, signal.SIGTERM)
ENDS = [*(("deploy", number) for number in SIGNALS), *zip([*STEPS][1:], cycle(SIGNALS), strict=False)]


@pytest.mark.parametrize(("step", "number"), ENDS)
def test_nothing_is_left(step: str, number: signal.Signals, dist: Path) -> None:
    """Stopped as the step before ends, which is while this one runs."""
    board_root.ensure_board_root(debian_board("efi"))
    running = started(dist, "--no-boot")
    await_line(running, f"{STEPS[step]}, done")
    ended_cleanly(running, number, dist)


def test_nothing_is_left_of_unpacking(dist: Path) -> None:
    board_root.ensure_board_root(debian_board("efi"))
    running = started(dist, "--no-boot")
    while not list(dist.glob(".work/.new-*/tree")):
        assert running.poll() is None
        time.sleep(0.05)
    ended_cleanly(running, signal.SIGINT, dist)


def test_nothing_is_left_of_the_first_boot(dist: Path) -> None:
    """The machine runs in a session of its own."""
    running = started(dist)
    await_line(running, "boot-test: booting")
    ended_cleanly(running, signal.SIGINT, dist)


def test_nothing_is_left_of_a_root_tree(dist: Path, tmp_path: Path) -> None:
    """Which mounts, as root, while its packages are set up."""
    cache = copy_cache(tmp_path / "cache", without="image-roots")
    running = started(dist, "--no-boot", BOARDLLAMA_CACHE=str(cache))
    for _ in range(2):  # some ten seconds
        await_line(running, "root tree of efi: packages, ")
    ended_cleanly(running, signal.SIGTERM, dist)
    assert {path.name for path in (cache / "image-roots").iterdir()} <= {".lock", "build.log"}
