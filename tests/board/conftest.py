"""Gives every test of the suite a `board`: each target of --inventory in turn, or the VM that the tests made."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from testinfra.host import Host

from deploy.onboard.service import FRONT, OLLAMA, Service, broker_service
from deploy.paths import REPO
from deploy.setting_fields import SettingFields
from deploy.settings import settings_from
from tests.board.board import Board
from tests.targets import connect, targets, targets_told, tunnel

VM = "the VM of the tests"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One round of the suite for each server of each target. A test of a role is for the servers of that role alone."""
    if "target" in metafunc.fixturenames:
        wanted = {mark.args[0] for mark in metafunc.definition.iter_markers("role")}
        pairs = [pair for pair in served_models(metafunc.config) if not wanted or pair[1].role in wanted]
        ids = [f"{target}-{service.name}" for target, service in pairs]
        metafunc.parametrize(("target", "service"), pairs, ids=ids, scope="session")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leaves out the tests of roles that no server has; pytest would call each of them skipped."""
    items[:] = [item for item in items if not item.name.endswith("[NOTSET]")]


def served_models(config: pytest.Config) -> list[tuple[str, Service]]:
    """Each target with each of its servers, as the inventory has it; or the VM that the tests made."""
    if config.getoption("--inventory") is None:
        return [(VM, OLLAMA)]
    return [(name, service) for name, data in targets_told(config).items() for service in servers_told(data)]


def servers_told(data: dict[str, Any]) -> list[Service]:
    """The servers that a deploy makes of a host's data."""
    ours = {name: value for name, value in data.items() if name in SettingFields.model_fields}
    return list(settings_from(ours).hosted)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A line for each served model: what it can."""
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            if name == "can":
                terminalreporter.write_line(f"{report.nodeid.rpartition('[')[2].rstrip(']')} can: {value}")


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
    """Where a client on this computer reaches what the target serves: at the front, where there is one."""
    name, connected, folder = host
    front = Board(connected, broker_service(FRONT, board.service.port))
    asked = front if connected.service(front.service.unit).is_running else board
    with tunnel(name, folder, asked.url) as reached:
        yield reached
