"""The tests' VM, and pyinfra as an operator runs it against it."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from deploy.paths import REPO
from tests.board.board import Board
from tests.targets import connect, targets

INVENTORY = REPO / "inventory" / "qemu.py"
PYINFRA = Path(sys.executable).with_name("pyinfra")
# A deploy that also has to compile may take this long, in seconds.
DEADLINE = 3000


@dataclass(frozen=True)
class Deploy:
    """What one run of pyinfra did. `changed`: operations that changed something; empty without JSON."""

    returncode: int
    said: str = ""
    printed: str = ""
    changed: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


def make(*words: str) -> subprocess.CompletedProcess[str]:
    """`make` as whoever types it or a script runs it: nobody answers a question."""
    line = ["make", "--no-print-directory", *words]
    return subprocess.run(
        line, cwd=REPO, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=DEADLINE, check=False
    )


class VirtualBoard:
    """The booted VM. `folder` takes what SSH needs; its path is short."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def board(self) -> Board:
        """The VM as the board suite sees it."""
        ((name, data),) = targets(INVENTORY).items()
        return Board(connect(name, data, self.folder))

    def run(self, command: str) -> str:
        """Standard output of a command on the VM, as root; it must succeed."""
        return self.board.run(command)

    def start(
        self, *options: str, env: dict[str, str] | None = None, inventory: Path = INVENTORY
    ) -> subprocess.Popen[str]:
        """`pyinfra --json inventory/qemu.py deploy.py` with options such as `--data`, `top_k=7`."""
        return subprocess.Popen(
            [str(PYINFRA), "--json", *options, str(inventory), "deploy.py"],
            cwd=REPO,
            env=os.environ | (env or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def deploy(self, *options: str, env: dict[str, str] | None = None, inventory: Path = INVENTORY) -> Deploy:
        """The same with `-y`, unless it is a dry run, to its end."""
        running = self.start(*([] if "--dry" in options else ["-y"]), *options, env=env, inventory=inventory)
        printed, said = running.communicate(timeout=DEADLINE)
        results = json.loads(printed)["results"] if printed else None
        operations = results["operations"] if results else []
        return Deploy(
            running.returncode,
            said,
            printed,
            [operation["name"] for operation in operations if operation["success"]],
            [operation["name"] for operation in operations if operation["error"]],
        )
