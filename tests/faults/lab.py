"""The VM that faults are tried on: its snapshots, its power, and the shell of its root."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from deploy.errors import BoardllamaError
from deploy.paths import REPO
from deploy.vm import lifecycle, power
from deploy.vm.guest import run_in_guest
from deploy.vm.machine import Hardware, Machine, machine_folder
from tests.faults.observed import Seen
from tests.faults.target_layout import LAYOUT

# What decides the result of a deploy; a snapshot or a result of other content is not used again.
CODE = ("deploy", "templates", "inventory/qemu.py", "inventory/group_data", "deploy.py")
# What no deploy to a target runs: images, cards, a first boot, the doctor, docs, and what makes the VM.
APART = re.compile(
    r"deploy/((debian|doctor|flash|image|reference|vm)/|controller/(interrupts|programs|signing)\.py)"
    r"|deploy/onboard/(doctor|identity)/"
)
# What runs only where a model comes from a hub.
FETCHING = re.compile(r"deploy/models/hub/(client|fetch|patience|pin|refusals|transfer)\.py")
OBSERVE = Path(__file__).resolve().parent / "on_target" / "observe.py"


@cache
def code_key(fetching: bool = False) -> str:
    """12 digits over the code that is tried; `fetching`: with a model from a hub."""
    digest = hashlib.sha256()
    for part in CODE:
        top = REPO / part
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            name = str(path.relative_to(REPO))
            if (
                path.is_file()
                and path.suffix != ".pyc"
                and not APART.match(name)
                and (fetching or not FETCHING.match(name))
            ):
                digest.update(f"{name}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:12]


@dataclass
class Lab:
    """One VM by its name. Its files, snapshots too, go with `wipe`."""

    name: str
    key: str = field(default_factory=code_key)
    # Why the guest did not come up well at the last boot; empty when it did.
    complaint: str = ""

    @property
    def folder(self) -> Path:
        """What is made once for all rows: snapshots, references, recordings. Of this code alone."""
        folder = machine_folder(self.name) / "lab" / self.key
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @property
    def environment(self) -> dict[str, str]:
        """For processes that shall mean this VM."""
        return os.environ | {"BOARDLLAMA_VM": self.name}

    @property
    def machine(self) -> Machine:
        """The machine, running or not."""
        machine = Machine.read(machine_folder(self.name))
        if machine is None:
            raise BoardllamaError(f"the VM {self.name} was never up")
        return machine

    def up(self, write_log: bool = False) -> None:
        """Boots. A guest that comes up with a failed unit is judged like any other: `complaint` says what failed."""
        self.complaint = ""
        try:
            lifecycle.start_machine(self.name, Hardware(cores=1, write_log=write_log))
        except BoardllamaError as error:
            self.complaint = str(error)
            run_in_guest(self.machine, "true")

    def off(self) -> None:
        """Shuts down in order."""
        lifecycle.stop_machine(self.name)

    def cut(self) -> None:
        """Pulls the plug."""
        power.cut_power(self.machine)

    def wipe_disk(self) -> None:
        """The next boot is the first one of an empty disk."""
        folder = machine_folder(self.name)
        if machine := Machine.read(folder):
            power.cut_power(machine)
            machine.disk.unlink(missing_ok=True)

    def wipe(self) -> None:
        """Nothing of the VM stays."""
        lifecycle.stop_machine(self.name, wipe=True)

    def snapshot(self, name: str) -> Path:
        """Where the disk of a state lies."""
        return self.folder / f"{name}.qcow2"

    def save(self, name: str) -> None:
        """Keeps the disk of the machine, which is off, as that state."""
        aside = self.folder / f".{name}.new"
        shutil.copyfile(self.machine.disk, aside)
        aside.replace(self.snapshot(name))

    def restore(self, name: str) -> None:
        """Gives the machine an empty layer over a state's disk: ten milliseconds. What ran before is killed."""
        power.cut_power(self.machine)
        line = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", str(self.snapshot(name))]
        self.machine.disk.unlink(missing_ok=True)
        subprocess.run([*line, str(self.machine.disk)], check=True, timeout=60)

    def run(self, command: str, deadline: float = 120.0) -> str:
        """Standard output of a shell command of the guest's root. Raises BoardllamaError."""
        return run_in_guest(self.machine, command, deadline)

    def observe(self) -> Seen:
        """What the target serves and holds now, by a program that runs there."""
        line = ["ssh", "-F", str(self.machine.ssh_config), self.name, "python3", "-", f"'{json.dumps(LAYOUT)}'"]
        done = subprocess.run(line, input=OBSERVE.read_bytes(), capture_output=True, timeout=300, check=False)
        if done.returncode:
            raise BoardllamaError(f"vm {self.name} cannot be observed: {done.stderr.decode()[-500:]}")
        return Seen.parse(json.loads(done.stdout))

    def should_serve(self) -> bool:
        """Whether systemd has started the service or is about to."""
        state = self.run("systemctl is-active ollama-cpp-server.service || true").strip()
        return state in ("active", "activating", "reloading")


def say(line: str) -> None:
    """Progress, on stderr."""
    print(f"faults: {line}", file=sys.stderr, flush=True)
