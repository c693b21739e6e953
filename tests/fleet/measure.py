"""What a command costs this machine, and what it makes the boards do: measured from outside of it."""

import os
import re
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from tests.fleet.apart import own_cgroup, remove_cgroup
from tests.fleet.boards import BRIDGE, Board, boards_cgroup, within_cgroup
from tests.fleet.watch import Watch

# Between two looks at the memory of all processes, which take about a millisecond for each process.
LOOK_SECONDS = 0.5
PAGE = os.sysconf("SC_PAGE_SIZE")
COMMAND = b"Starting session:"


class Costs(BaseModel):
    """`cpu`: processor seconds of the controller's processes; `memory`: the most bytes that all of them had at once,
    without what they share; `sent`, `received`: bytes on the network of boards, which virtual machines are not on.

    `commands`: of all simulated boards; `boards_cpu`: their processor seconds; `wall`: seconds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: int
    cpu: float
    memory: int
    sent: int
    received: int
    commands: int
    boards_cpu: float
    wall: float


def measure_command(
    command: list[str], boards: list[Board], log: Path, cwd: Path, env: Mapping[str, str] | None = None
) -> Costs:
    """Runs a command to its end, with its output in the file `log`. What it leaves running is ended."""
    cgroup = own_cgroup() / "controller"
    cgroup.mkdir()
    before, began = Counters.read(boards), time.monotonic()
    with log.open("wb") as output, MemoryWatch(cgroup) as watch:
        child = subprocess.Popen(
            within_cgroup(cgroup, command), stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=cwd, env=env
        )
        try:
            status = child.wait()
        finally:
            child.kill()
    wall, after, cpu = time.monotonic() - began, Counters.read(boards), cpu_seconds(cgroup)
    remove_cgroup(cgroup)
    return Costs(
        status=status,
        cpu=round(cpu, 2),
        memory=watch.peak,
        sent=after.sent - before.sent,
        received=after.received - before.received,
        commands=after.commands - before.commands,
        boards_cpu=round(after.boards_cpu - before.boards_cpu, 2),
        wall=round(wall, 1),
    )


@dataclass(frozen=True)
class Counters:
    """What the kernel and the boards have counted so far."""

    sent: int
    received: int
    commands: int
    boards_cpu: float

    @staticmethod
    def read(boards: list[Board]) -> "Counters":
        sent, received = carried_bytes(Path("/proc/net/dev").read_text())
        commands = sum(board.sshd_log.read_bytes().count(COMMAND) for board in boards if board.sshd_log.exists())
        return Counters(sent, received, commands, cpu_seconds(boards_cgroup()))


def carried_bytes(table: str) -> tuple[int, int]:
    """Bytes that the controller has sent to boards, and received, of the text of /proc/net/dev.

    What boards send one another passes the bridge, and is not counted there.
    """
    (words,) = [line.split() for line in table.splitlines() if line.strip().startswith(f"{BRIDGE}:")]
    return int(words[9]), int(words[1])


def cpu_seconds(cgroup: Path) -> float:
    """Processor seconds of all that ran in a cgroup and in those below it."""
    found = re.search(r"usage_usec (\d+)", (cgroup / "cpu.stat").read_text())
    assert found
    return int(found[1]) / 1e6


@dataclass
class MemoryWatch(Watch):
    """The memory of all processes of a cgroup. `peak`: the most bytes."""

    cgroup: Path
    peak: int = 0
    look_seconds = LOOK_SECONDS

    def look(self) -> None:
        processes = (self.cgroup / "cgroup.procs").read_text().split()
        self.peak = max(self.peak, sum(map(own_memory, processes)))


def own_memory(process: str) -> int:
    """Bytes in memory that a process shares with no file and no other process; 0 for a process that has ended."""
    with suppress(OSError):
        _, resident, shared, *_ = map(int, Path(f"/proc/{process}/statm").read_text().split())
        return (resident - shared) * PAGE
    return 0
