"""What all tests share: the option that names an inventory, and the VM that board and VM tests run against."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from deploy.paths import REPO
from tests.targets import targets_told
from tests.vm.machine import INVENTORY, PYINFRA, VirtualBoard


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds --inventory (judge its targets; without it a VM is booted and deployed first), --host and --picture."""
    parser.addoption("--inventory", type=Path, default=None, help="judge this inventory's targets as they are")
    parser.addoption("--host", default=None, help="judge this target of the inventory alone")
    parser.addoption("--picture", type=Path, default=None, help="where the picture of the web UI goes")


def pytest_configure(config: pytest.Config) -> None:
    """Tests never touch the VM of `make up`, unless --inventory says so: theirs has its own name, disk, key, ports."""
    # What starts pytest in the background has it ignore Ctrl-C (a shell) or the end of the terminal (nohup), and so
    # every program that a test interrupts: an ignored signal stays ignored at exec, a handled one does not.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: None)
    if config.getoption("--inventory"):
        targets_told(config)  # asked here, so that one that is not there is one line
    else:
        # Each worker of pytest-xdist has a VM of its own.
        names = [os.environ.get("BOARDLLAMA_TEST_VM", "test"), os.environ.get("PYTEST_XDIST_WORKER", "")]
        os.environ["BOARDLLAMA_VM"] = "-".join(filter(None, names))


@pytest.fixture(scope="session")
def booted_vm(request: pytest.FixtureRequest) -> Iterator[VirtualBoard]:
    """A VM with an empty disk, booted for this run of the tests, and gone after it.

    It has one CPU: two of them wait for each other in every cache flush and every barrier of llama.cpp, and the
    controller's cores are shared with another worker's VM. Figures: docs/explanation/benchmarks.md.
    """
    show = request.config.pluginmanager.getplugin("capturemanager")
    with show.global_and_fixture_disabled():  # minutes may pass: whoever waits sees what for
        subprocess.run([sys.executable, "-m", "deploy.vm", "down", "--wipe"], cwd=REPO, check=True)
        subprocess.run([sys.executable, "-m", "deploy.vm", "up", "--cores", "1"], cwd=REPO, check=True)
    try:
        with TemporaryDirectory(prefix="bl-", dir="/tmp") as folder:
            yield VirtualBoard(Path(folder))
    finally:
        subprocess.run([sys.executable, "-m", "deploy.vm", "down"], cwd=REPO, check=True)


@pytest.fixture(scope="session")
def deployed_vm(booted_vm: VirtualBoard, request: pytest.FixtureRequest) -> VirtualBoard:
    """The VM as `pyinfra inventory/qemu.py deploy.py` leaves it; the build is made first when the cache has none."""
    show = request.config.pluginmanager.getplugin("capturemanager")
    with show.global_and_fixture_disabled():
        subprocess.run([PYINFRA, "-y", INVENTORY, "deploy.py"], cwd=REPO, check=True)
    return booted_vm
