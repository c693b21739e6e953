"""Ctrl-C, or a death, at any step of `make image`: dist/ is as it was, nothing is mounted, nothing runs on."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.image import root
from deploy.image.boards import named
from deploy.paths import REPO

STEPS = ("unpacking", "deploy", "packing", "file system", "disk", "bill of materials")


def started(dist: Path) -> subprocess.Popen[str]:
    """make image, in a session of its own as in a terminal."""
    command = [sys.executable, "-m", "deploy.image", "qemu", "--model", "smoke", "--no-boot", "--dist", str(dist)]
    return subprocess.Popen(command, cwd=REPO, stderr=subprocess.PIPE, text=True, start_new_session=True)


def processes_with(text: str) -> list[str]:
    """Command lines of running processes that name it."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return [line for line in lines if text in line]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
@pytest.mark.parametrize("step", STEPS)
def test_nothing_is_left(step: str, number: signal.Signals, tmp_path: Path) -> None:
    """Stopped as the step before ends, which is while this one runs."""
    root.ensure(named("qemu"))
    dist = tmp_path / "dist"
    dist.mkdir()
    (dist / "boardllama-qemu.img.zst").write_text("of yesterday")
    running = started(dist)
    assert running.stderr
    before = {"unpacking": None, "deploy": "finish", "packing": "sweeping", "file system": "packing"}
    before |= {"disk": "file system", "bill of materials": "check of the root file system"}
    said = ""
    while before[step] and f"{before[step]}, done" not in said:
        said = running.stderr.readline()
        assert said, f"it ended before {step}"
    os.kill(running.pid, number)
    _, rest = running.communicate(timeout=60)
    assert running.returncode not in (0, None), rest
    assert "Traceback" not in rest
    assert {path.name for path in dist.iterdir()} <= {"boardllama-qemu.img.zst", ".work"}
    assert (dist / "boardllama-qemu.img.zst").read_text() == "of yesterday"
    assert not list(dist.glob(".work/.new-*"))
    assert str(tmp_path) not in Path("/proc/self/mounts").read_text()
    assert processes_with(str(dist)) == []
