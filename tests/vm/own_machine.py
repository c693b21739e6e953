"""A machine of a test's own, of which it is known what it was before any deploy, and pyinfra as it runs against it."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.paths import REPO
from deploy.vm import lifecycle
from deploy.vm.guest import run_in_guest
from deploy.vm.machine import Hardware, Machine
from tests.vm.machine import DEADLINE, PYINFRA

# What a machine changes by itself, or what says of each change when it was made.
CHANGING = (
    "./proc ./sys ./run ./dev ./tmp ./var/tmp ./var/log ./var/cache ./var/lib/apt/lists ./var/lib/systemd".split()
)
LEFT_OUT = " -o ".join(f"-path {path}" for path in CHANGING)
# Kind, rights, owner, name, and where a link leads.
TREE = f"cd /; find . -xdev \\( {LEFT_OUT} \\) -prune -o -printf '%p %y %m %u:%g %l\\n'"
CONTENT = f"cd /; find . -xdev \\( {LEFT_OUT} \\) -prune -o -type f -exec sha256sum {{}} +"


class OwnMachine:
    """The machine. `folder` takes its inventory, and the controller's keys."""

    def __init__(self, machine: Machine, folder: Path) -> None:
        self.machine, self.folder = machine, folder
        self.env = os.environ | {"BOARDLLAMA_KEYS": str(folder / "keys")}

    def run(self, command: str) -> str:
        """Standard output of a command there, as root; it must succeed."""
        return run_in_guest(self.machine, command).strip()

    def system(self) -> set[str]:
        """A line for each file, folder and link, and one for the content of each file."""
        return {*self.run(TREE).splitlines(), *self.run(CONTENT).splitlines()}

    def inventory(self, folder: Path) -> Path:
        """An inventory of this machine for any version of our code, in a folder."""
        told = {**self.machine.host_data, "model": "smoke"}
        path = folder / f"{self.machine.name}.py"
        path.write_text(f'builders = ["@local"]\ntargets = [("{self.machine.name}", {told!r})]\n')
        return path

    def pyinfra(self, *words: str, code: Path = REPO, env: dict[str, str] | None = None) -> str:
        """What pyinfra says of a run by the code of a folder; it must succeed. `words`: of its command line."""
        data = ["--group-data", str(code / "inventory/group_data")]
        line = [str(PYINFRA), "-y", *data, str(self.inventory(self.folder)), *words]
        done = subprocess.run(
            line, cwd=code, env=self.env | (env or {}), capture_output=True, text=True, timeout=DEADLINE, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr


@contextmanager
def own_machine(name: str, folder: Path) -> Iterator[OwnMachine]:
    """A machine of that name with an empty disk, gone afterwards."""
    lifecycle.stop_machine(name, wipe=True)
    try:
        yield OwnMachine(lifecycle.start_machine(name, hardware=Hardware(cores=1)), folder)
    finally:
        lifecycle.stop_machine(name, wipe=True)
