"""pyinfra knows `@tree`, and a tree's board is the one that the inventory names."""

import subprocess
import sys
from pathlib import Path

import pytest
from pyinfra.api.connectors import get_execution_connectors

from deploy import cpu
from deploy.errors import BoardllamaError
from deploy.hosts.facts import BoardInfo
from deploy.hosts.release import release_time
from deploy.hosts.target import board_behind
from deploy.image.tree.connector import TreeConnector, stdin_lines
from deploy.image.tree.plugin import tree_host_name
from deploy.paths import REPO

PYINFRA = str(Path(sys.executable).with_name("pyinfra"))


def test_pyinfra_finds_the_connector_beside_its_own() -> None:
    found = get_execution_connectors()
    assert found["tree"] is TreeConnector
    assert {"ssh", "local"} <= set(found)


def test_a_path_becomes_a_host_and_the_host_a_path() -> None:
    name = tree_host_name("/srv/a tree")
    ((host, data, groups),) = TreeConnector.make_names_data(name.removeprefix("@tree/"))
    assert (host, data["tree_path"], groups) == (name, "/srv/a tree", ["@tree"])


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, "say which root tree: BOARDLLAMA_TREE=PATH"),
        ({"BOARDLLAMA_TREE": "/srv/t", "BOARDLLAMA_BOARD": "rpi9"}, "BOARD is 'rpi9': did you mean 'rpi"),
        ({"BOARDLLAMA_TREE": "/nonexistent"}, "/nonexistent is no folder"),
    ],
)
def test_an_inventory_without_its_tree_or_board_is_one_line(environment: dict[str, str], said: str) -> None:
    done = subprocess.run(
        [PYINFRA, "--dry", "--limit", "targets", "inventory/image.py", "deploy.py"],
        cwd=REPO,
        env={"PATH": "/usr/sbin:/usr/bin", "HOME": "/nonexistent"} | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_cpu_names_the_part_that_a_board_of_it_shows() -> None:
    assert cpu.part_of(cpu.find_cpu("cortex-a72")) == "0x41/0xd08"
    assert cpu.part_of(cpu.find_cpu("generic")) is None
    for board in cpu.CPUS.values():
        assert cpu.best_for(board.features, cpu.part_of(board)).kernels == board.kernels, board.name
    assert cpu.best_for(cpu.find_cpu("cortex-a72").features, "0x41/0xd08").name == "cortex-a72"


# What is found in a tree: the build machine, which is quite another.
BUILDER = BoardInfo(
    machine="aarch64",
    features=frozenset({"sse2"}),
    part="0x99/0x1",
    memory=64 << 30,
    forgets=True,
    python="3.11.2",
    limits_memory=False,
    filters_addresses=False,
)


def tree_for(cpu: str) -> TreeConnector:
    """A tree's connector."""
    connector = TreeConnector.__new__(TreeConnector)
    vars(connector).update(tree=Path("/srv/t"), data={"board_cpu": cpu, "board_memory": 1 << 30})
    return connector


def test_a_tree_is_the_board_that_the_inventory_names() -> None:
    board = board_behind(tree_for("cortex-a72"), BUILDER)
    assert (board.machine, board.features, board.part, board.memory) == (
        "aarch64",
        cpu.find_cpu("cortex-a72").features,
        "0x41/0xd08",
        1 << 30,
    )
    assert board.python == "3.11.2", "what is in the tree, the tree knows"
    assert not board.forgets and not board.read_only, "where the tree lies now is nothing to the board"
    assert (board.limits_memory, board.filters_addresses) == (True, True)


@pytest.mark.parametrize(("name", "said"), [("", "set board_cpu"), ("cortex-a67", "did you mean")])
def test_a_tree_without_a_board_is_refused(name: str, said: str) -> None:
    with pytest.raises(BoardllamaError, match=said):
        board_behind(tree_for(name), BUILDER)


def test_text_for_a_command_is_lines() -> None:
    assert b"".join(stdin_lines("a")) == b"a\n"
    assert b"".join(stdin_lines(["a", "b\n"])) == b"a\nb\n"
    assert list(stdin_lines(None)) == []


def test_releases_are_dated_by_source_date_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1767225600")
    assert release_time().isoformat() == "2026-01-01T00:00:00+00:00"
