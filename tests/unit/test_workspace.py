"""A step of a root tree or an image: it says that it runs, and when it is ended nothing of it goes on."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deploy.controller import progress
from deploy.debian import workspace
from deploy.debian.workspace import Workspace
from deploy.errors import BoardllamaError


def runs(pid: int) -> bool:
    """Whether the process is there; one that has ended and is not yet waited for has no command line."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() != b""
    except OSError:
        return False


def test_ctrl_c_at_the_moment_that_a_step_starts_leaves_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It runs already, and nobody has its name yet."""
    started: list[subprocess.Popen[bytes]] = []
    popen = subprocess.Popen

    def interrupted(*words: Any, **more: Any) -> subprocess.Popen[bytes]:
        started.append(popen(*words, **more))
        os.kill(os.getpid(), signal.SIGINT)
        return started[0]

    monkeypatch.setattr(subprocess, "Popen", interrupted)
    (tmp_path / "build").mkdir()
    with pytest.raises(KeyboardInterrupt):
        Workspace(tmp_path / "build", "trixie").run_step("waiting", ["sleep", "60"])
    assert started[0].poll() is not None


def test_who_presses_ctrl_c_again_leaves_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a step that cleans up is being ended; this one does so for ever."""
    monkeypatch.setattr(workspace, "CLEANUP_SECONDS", 4.0)
    (tmp_path / "build").mkdir()
    pid, deaf = tmp_path / "pid", tmp_path / "deaf"
    step = f"trap 'touch {deaf}; sleep 2' TERM; echo $$ > {pid}; while :; do sleep 0.1; done"
    parent = os.getpid()

    def press() -> None:
        wait_for(lambda: pid.exists() and pid.read_text() != "")
        os.kill(parent, signal.SIGINT)
        wait_for(deaf.exists)
        os.kill(parent, signal.SIGINT)

    pressing = threading.Thread(target=press)
    pressing.start()
    with pytest.raises(KeyboardInterrupt):
        Workspace(tmp_path / "build", "trixie").run_step("waiting", ["sh", "-c", step])
    pressing.join()
    assert not runs(int(pid.read_text()))


def wait_for(condition: Callable[[], bool]) -> None:
    """Fails after 20 s."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_build_that_hangs_is_ended_with_all_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """And while it ran it said so."""
    monkeypatch.setattr(progress, "PERIOD", 0.1)
    (tmp_path / "build").mkdir()
    pid = tmp_path / "pid"
    with pytest.raises(BoardllamaError, match="root tree: waiting did not end within 0 s"):
        Workspace(tmp_path / "build", "trixie").run_step(
            "waiting", ["sh", "-c", f"sleep 60 & echo $! > {pid}; wait"], deadline=0.3
        )
    deadline = time.monotonic() + 5
    while runs(int(pid.read_text())) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not runs(int(pid.read_text()))
    assert "root tree: waiting, 0 s" in capfd.readouterr().err
