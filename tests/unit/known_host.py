"""This machine as a board of which a run knows already what it has: operations decide, and act through real shells."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from pyinfra.api import Config, Inventory, State
from pyinfra.api.command import PyinfraCommand
from pyinfra.context import ctx_host, ctx_inventory, ctx_state

from deploy.hosts import lock
from deploy.hosts.facts import BoardInfo, StatusInfo
from deploy.hosts.remote import HostStep, Remote
from deploy.hosts.run_record import RunRecord, record_of
from deploy.hosts.snapshot import ReleaseThere, Snapshot, memory_of

__all__ = ["KnownHost", "Lock", "lock_here", "program", "programs_here", "serving"]

# pyinfra's own name for the machine that it runs on.
HERE = "@local"
BOARD = BoardInfo(machine="aarch64", systemd=True)
# Notes who holds the lock, so that a test can end it.
HOLDER = """
import os, signal
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
open({!r}, "a").write(str(os.getpid()) + " ")
"""


class KnownHost:
    """A target of a run; `beside` another one, of the same run."""

    def __init__(self, known: Snapshot, name: str = HERE, others: tuple[str, ...] = (), beside: Any = None) -> None:
        names = [(one, {"fake_delay": 0}) for one in (name, *others)]
        self.state = beside.state if beside else State(Inventory((names, {}), targets=(names, {})), Config())
        self.host = self.state.inventory.get_host(name)
        self.learn(known)

    def learn(self, known: Snapshot) -> None:
        """What it has from now on."""
        memory_of(self.host).keep_snapshot(known)

    @property
    def record(self) -> RunRecord:
        """What the run has learnt of it."""
        return record_of(self.host)

    @property
    def remote(self) -> Remote:
        """The host as a step sees it."""
        return Remote(self.host, {})

    @contextmanager
    def turn(self, executing: bool = False) -> Iterator[None]:
        """While pyinfra is at work for this host."""
        with ctx_state.use(self.state), ctx_inventory.use(self.state.inventory), ctx_host.use(self.host):
            self.state.is_executing = executing
            yield

    def plans(self, operation: Any, *words: Any, **named: Any) -> list[str | PyinfraCommand]:
        """What an operation would do; nothing when it finds no change to make."""
        with self.turn():
            return list(operation._inner(*words, **named))

    def does(self, operation: Any, *words: Any, **named: Any) -> bool:
        """Does it. Whether all of it succeeded; why not, the record says."""
        with self.turn(executing=True):
            steps = list(operation._inner(*words, **named))
            assert steps, "there is a change to make"
            return all(isinstance(step, HostStep) and step.execute(self.state, self.host, {}) for step in steps)


def serving(release: str, board: BoardInfo = BOARD, **status: Any) -> Snapshot:
    """A board whose server runs that release, but for what is said otherwise (StatusInfo)."""
    well: dict[str, Any] = {"current": release, "active": True, "linked": True, "fresh": True}
    return Snapshot(board=board, current=ReleaseThere(status=StatusInfo(**{**well, **status})))


class Lock:
    """The lock that is taken before a change of this machine, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.holders = folder / "holders"
        self.holders.touch()
        self.program = HOLDER.format(str(self.holders)) + lock.PROGRAM.replace("/run/boardllama", str(folder / "lock"))

    def break_off(self) -> None:
        """Ends the connections of whoever holds it."""
        for process in self.holders.read_text().split():
            with suppress(ProcessLookupError):
                os.kill(int(process), signal.SIGTERM)


@pytest.fixture
def lock_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, programs_here: Path) -> Iterator[Lock]:
    """Of a machine on which no switch is under way."""
    made = Lock(tmp_path)
    monkeypatch.setattr(lock, "PROGRAM", made.program)
    yield made
    made.break_off()


@pytest.fixture
def programs_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of programs that come before the machine's own; its systemctl knows of nothing that runs."""
    folder = tmp_path / "programs"
    folder.mkdir()
    program(folder / "systemctl", 'test "$2" = --quiet || echo inactive; exit 3')
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


def program(path: Path, text: str, loader: str = "/bin/sh") -> Path:
    """A program of the shell."""
    path.write_text(f"#!{loader}\n{text}\n")
    path.chmod(0o755)
    return path
