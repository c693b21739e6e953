"""Boards that fall silent in the middle of a run keep no other board waiting. The real pyinfra, SSH on the loopback."""

import json
import subprocess
import sys
from pathlib import Path

import paramiko
import pytest
from pyinfra.api import Config, Inventory, State

from deploy.fleet import lanes
from deploy.fleet.connection import ReportedBoard
from deploy.fleet.gateway.drain import GatewayRotation
from deploy.hosts.rotation import ROTATIONS
from deploy.paths import REPO
from tests.unit.boards import PASSWORD, Board, hasty_config, serving

STORY = """
from pyinfra import host
from pyinfra.operations import server
for step in ("first", "second", "third"):
    server.shell(name=step, commands=[f": {step} {host.data.mood if step == 'first' else ''}"])
"""


class Stalling(Board):
    """Says nothing at all from its first command on, for some seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds
        self.heard: list[str] = []

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        self.heard += [step for step in ("first", "second", "third") if step in command.decode()]
        if b"stall" in command:
            self.end.wait(self.seconds)
        return super().check_channel_exec_request(channel, command)


class Failing(Board):
    """Every command ends with status 1."""

    def run(self, channel: paramiko.Channel, command: bytes) -> None:
        super().run(channel, b"exit 1")


def run(folder: Path, *options: str, **ports: int) -> tuple[int, list[str], dict[str, dict[str, list[str]]]]:
    """The exit status, what was said, and the operations with who succeeded and failed. The hosts' names say how."""
    told = {"ssh_hostname": "127.0.0.1", "ssh_user": "root", "ssh_password": PASSWORD, "ssh_allow_agent": False}
    quick = {"ssh_look_for_keys": False, "ssh_strict_host_key_checking": "no"}
    boards = [(name, told | quick | {"ssh_port": port, "mood": name}) for name, port in ports.items()]
    (folder / "boards.py").write_text(f"targets = {boards!r}\n")
    (folder / "story.py").write_text(STORY)
    done = subprocess.run(
        [Path(sys.executable).with_name("pyinfra"), "-y", "--json", *options, "--config", hasty_config(folder),
         str(folder / "boards.py"), str(folder / "story.py")],
        cwd=REPO, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.stdout, done.stderr
    operations = json.loads(done.stdout)["results"]["operations"]
    return done.returncode, done.stderr.splitlines(), {one["name"]: one for one in operations}


def test_the_others_go_on_while_a_board_is_silent_and_it_fails_alone(tmp_path: Path) -> None:
    silent = Stalling(3600)
    with serving(Board()) as well, serving(silent) as ill:
        status, said, operations = run(tmp_path, well=well.port, stall=ill.port)
    second = next(number for number, line in enumerate(said) if "operation: second" in line)
    given_up = next(number for number, line in enumerate(said) if "no sign of life for" in line)
    assert second < given_up
    assert status == 1
    assert [operations[step]["success"] for step in ("first", "second", "third")] == [["well"]] * 3
    assert operations["first"]["error"] == ["stall"]
    assert silent.heard == ["first"]


def test_a_board_that_is_back_does_all_of_its_operations_in_their_order(tmp_path: Path) -> None:
    slow = Stalling(2)
    with serving(Board()) as well, serving(slow) as back:
        status, _, operations = run(tmp_path, well=well.port, stall=back.port)
    assert status == 0
    assert slow.heard == ["first", "second", "third"]
    assert all(sorted(one["success"]) == ["stall", "well"] for one in operations.values())


@pytest.mark.parametrize("options", [(), ("--no-wait",), ("--serial",)])
def test_a_board_that_fails_gives_status_1_however_the_run_goes(tmp_path: Path, options: tuple[str, ...]) -> None:
    with serving(Board()) as well, serving(Failing()) as bad:
        status, _, operations = run(tmp_path, *options, well=well.port, bad=bad.port)
    assert status == 1
    assert operations["third"]["success"] == ["well"]


@pytest.mark.parametrize("name", ["kitchen", "@ssh/kitchen"])
def test_pyinfra_begins_a_run_with_our_pool_and_our_connection(name: str) -> None:
    state = State(Inventory(([name], {})), Config())
    (host,) = state.inventory
    assert type(state.pool) is lanes.Lanes
    assert type(host.connector) is ReportedBoard
    assert [type(one) for one in vars(state)[ROTATIONS]] == [GatewayRotation], "of a rollback, too"
