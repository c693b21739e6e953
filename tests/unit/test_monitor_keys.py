"""The boards' keys on a monitor, and what its page knows of boards: what a run does not reach stays as it was."""

import json
from pathlib import Path

import pytest
from paramiko import SSHException

from deploy.fleet.monitor import board_keys, fleet_file
from deploy.fleet.monitor.board_keys import UNKNOWN, bring_board_keys
from deploy.fleet.monitor.fleet_file import leave_boards
from deploy.fleet.monitor.watched_boards import WatchedBoard
from deploy.hosts.remote import HostStep, Remote
from deploy.hosts.snapshot import Snapshot
from tests.unit.known_host import KnownHost, Lock, lock_here, programs_here
from tests.unit.local_target import OWNER

__all__ = ["lock_here", "programs_here"]


class Monitor:
    """A monitor of boards with keys, in a folder. `reached`: those that a run reaches; `read`: the keys found there."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, lock: Lock) -> None:
        self.lock, self.keys, self.fleet, self.read = lock, folder / "keys", folder / "fleet.json", dict[str, str]()
        patch.setattr(board_keys, "KEYS", str(self.keys))
        patch.setattr(board_keys, "OWNER", OWNER)
        patch.setattr(fleet_file, "FLEET", str(self.fleet))
        patch.setattr(fleet_file, "OWNER", OWNER)
        patch.setattr(board_keys, "read_board_key", self.key_of)

    def key_of(self, remote: Remote) -> str:
        """As a board's connection gives it."""
        if remote.host.name not in self.read:
            raise SSHException("no route")
        return self.read[remote.host.name]

    def run(self, boards: tuple[str, ...], reached: tuple[str, ...]) -> None:
        """A deploy to the monitor. A run connects to all of `reached`."""
        monitor = KnownHost(Snapshot(), others=boards)
        for name in reached:
            monitor.state.activate_host(monitor.state.inventory.get_host(name))
        watched = tuple(WatchedBoard(name, "192.0.2.1", 11434, True, False, "rpi5") for name in boards)
        with monitor.turn(executing=True):
            for operation in (bring_board_keys, leave_boards):
                for step in operation._inner(watched):
                    assert isinstance(step, HostStep) and step.execute(monitor.state, monitor.host, {})
        self.lock.break_off()

    def held(self) -> dict[str, str]:
        """The keys by board."""
        return {path.name: path.read_text().strip() for path in self.keys.iterdir()}


@pytest.fixture
def monitor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lock_here: Lock) -> Monitor:
    """A fresh one."""
    return Monitor(tmp_path, monkeypatch, lock_here)


BOTH = ("@fake/kitchen", "@fake/hall")


def test_a_board_that_a_run_does_not_reach_keeps_its_key(monitor: Monitor) -> None:
    monitor.read = {"@fake/kitchen": "one", "@fake/hall": "two"}
    monitor.run(BOTH, reached=BOTH)
    monitor.read = {"@fake/kitchen": "one-anew", "@fake/hall": "is not asked for"}
    monitor.run(BOTH, reached=BOTH[:1])
    assert monitor.held() == {"@fake%2Fkitchen": "one-anew", "@fake%2Fhall": "two"}


def test_a_board_whose_key_cannot_be_read_keeps_the_one_that_it_had(monitor: Monitor) -> None:
    monitor.read = {"@fake/kitchen": "one"}
    monitor.run(BOTH, reached=BOTH)
    assert monitor.held() == {"@fake%2Fkitchen": "one", "@fake%2Fhall": UNKNOWN}
    monitor.read = {"@fake/hall": "two"}
    monitor.run(BOTH, reached=BOTH)
    assert monitor.held() == {"@fake%2Fkitchen": "one", "@fake%2Fhall": "two"}


def test_a_board_that_has_left_the_inventory_leaves_no_key(monitor: Monitor) -> None:
    monitor.read = {"@fake/kitchen": "one", "@fake/hall": "two"}
    monitor.run(BOTH, reached=BOTH)
    monitor.run(BOTH[:1], reached=BOTH[:1])
    assert monitor.held() == {"@fake%2Fkitchen": "one"}


def test_what_the_page_knows_of_a_board_that_a_run_does_not_reach_stays(monitor: Monitor) -> None:
    known = {"model": "m.gguf", "release": "r1", "tokens_per_second": 4.5, "when": 1795000000, "kind": "rpi5"}
    monitor.fleet.write_text(json.dumps({"version": 1, "boards": {"@fake/hall": known, "@fake/sold": known}}))
    monitor.run(BOTH, reached=BOTH[:1])
    assert json.loads(monitor.fleet.read_text())["boards"] == {"@fake/hall": known, "@fake/kitchen": {"kind": "rpi5"}}
