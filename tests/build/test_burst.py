"""Clients that come all at once, before the real program."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from deploy.build.proof import emulator_command
from deploy.cpu import find_cpu
from deploy.models.smoke import write_smoke_model
from deploy.onboard import watch
from deploy.onboard.server.launch import FIXED
from tests.build.builds import CPU, Make
from tests.unit.boards import closed
from tests.unit.watched import crowd


@pytest.fixture
def port(built: Make, tmp_path: Path) -> Iterator[int]:
    """Where a server answers that was started as the launcher starts it."""
    free = closed()
    write_smoke_model(tmp_path / "m.gguf")
    program = [*emulator_command(find_cpu(CPU)), str(built(CPU).artifact_folder / "llama-server")]
    words = ["--model", str(tmp_path / "m.gguf"), "--port", str(free), "--threads", "1", "--ctx-size", "512", *FIXED]
    with subprocess.Popen([*program, *words]) as server:
        try:
            while not is_healthy(free):
                assert server.poll() is None
                time.sleep(0.5)
            yield free
        finally:
            server.kill()


def is_healthy(port: int) -> bool:
    """Whether /health answers in the time that the watcher gives it."""
    try:
        return requests.get(f"http://127.0.0.1:{port}/health", timeout=watch.ANSWER_SECONDS).ok
    except requests.RequestException:
        return False


def test_fewer_than_a_crowd_keep_nobody_from_health(port: int) -> None:
    """They are let in faster than threads begin."""
    with crowd(("127.0.0.1", port), watch.CROWD - 1) as held:
        assert is_healthy(port)
        assert len(held) == watch.CROWD - 1
