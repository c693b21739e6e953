"""The stand-in for llama-server as a process of its own, on the loopback."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path

import pytest
import requests

from deploy.vm.ports import free_ports
from tests.faults.bad_releases import fake

ARGUMENTS = ("--model", "/models/x.gguf", "--alias", "x.gguf", "--metrics")


def program(folder: Path, manner: str) -> list[str]:
    """The command line of a stand-in of that manner."""
    path = folder / "llama-server"
    path.write_bytes(fake(manner, "b0-abc"))
    return [sys.executable, "-IS", str(path), *ARGUMENTS]


@contextmanager
def running(folder: Path, manner: str, *arguments: str) -> Iterator[int]:
    """The port of one that listens."""
    (port,) = free_ports(1)
    child = subprocess.Popen([*program(folder, manner), "--port", str(port), *arguments], stderr=subprocess.DEVNULL)
    try:
        await_answer(port)
        yield port
    finally:
        child.kill()
        child.wait()


def await_answer(port: int) -> None:
    """Returns when something answers there."""
    for _ in range(1200):
        try:
            requests.get(f"http://127.0.0.1:{port}/health", timeout=5)
            return
        except requests.ConnectionError:
            time.sleep(0.05)
    raise AssertionError(f"nothing answers at port {port}")


Ports = Callable[[str], int]


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ports]:
    """The port of a server of a manner (tests/faults/on_target/fake_server.py), which is started once."""
    with ExitStack() as servers:
        yield cache(lambda manner: servers.enter_context(running(tmp_path_factory.mktemp(manner), manner)))
