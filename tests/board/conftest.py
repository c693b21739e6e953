"""Gives every test of the suite a `board`: each target of --inventory in turn, or the VM that the tests made."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from testinfra.host import Host

from deploy.onboard.service import SERVICES, Service
from deploy.paths import REPO
from tests.board.board import Board
from tests.targets import connect, targets, tunnel

VM = "the VM of the tests"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One round of the suite for each target, and on it for each service that a deploy has it serve."""
    if "target" in metafunc.fixturenames:
        inventory = metafunc.config.getoption("--inventory")
        names = list(targets(inventory)) if inventory else [VM]
        metafunc.parametrize("target", names, scope="session")
        metafunc.parametrize("service", SERVICES, ids=[service.name for service in SERVICES], scope="session")


@pytest.fixture(scope="session")
def host(target: str, request: pytest.FixtureRequest) -> Iterator[tuple[str, Host, Path]]:
    """The target's name, its connection, and the folder of that connection."""
    inventory: Path | None = request.config.getoption("--inventory")
    if inventory is None:
        request.getfixturevalue("deployed_vm")
        inventory = REPO / "inventory" / "qemu.py"
        (target,) = targets(inventory)
    # /tmp: the path of ssh's control socket may have no more than 107 bytes.
    with TemporaryDirectory(prefix="bl-", dir="/tmp") as folder:
        yield target, connect(target, targets(inventory)[target], Path(folder)), Path(folder)


@pytest.fixture(scope="session")
def board(host: tuple[str, Host, Path], service: Service) -> Board:
    """The target, connected."""
    return Board(host[1], service)


@pytest.fixture(scope="session")
def url(host: tuple[str, Host, Path], board: Board) -> Iterator[str]:
    """Where a client on this computer reaches the service."""
    name, _, folder = host
    with tunnel(name, folder, board.url) as reached:
        yield reached
