"""pyinfra as an operator runs it, in a process group of its own, so that it can be killed as a whole or alone."""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, ClassVar

from deploy.paths import REPO

PYINFRA = Path(sys.executable).with_name("pyinfra")
DEADLINE = 600.0


@dataclass(frozen=True)
class Ended:
    """What one run did. `changed`: operations that changed something; `printed` and `said`: stdout and stderr."""

    returncode: int
    changed: list[str]
    said: str
    printed: str = ""


@dataclass
class Controller:
    """One run of `pyinfra -y --json OPTIONS inventory/qemu.py OPERATION`."""

    # Those that were started: Ctrl-C does not reach them, being groups of their own.
    started: ClassVar[list["Controller"]] = []
    words: tuple[str, ...]
    environment: dict[str, str]
    options: tuple[str, ...] = ()
    output: IO[bytes] = field(default_factory=TemporaryFile)
    errors: IO[bytes] = field(default_factory=TemporaryFile)

    def start(self) -> "Controller":
        """Begins; the output goes to files, so that nobody has to read it meanwhile."""
        self.process = subprocess.Popen(
            [str(PYINFRA), "-y", "--json", *self.options, "inventory/qemu.py", *self.words],
            cwd=REPO,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=self.output,
            stderr=self.errors,
            start_new_session=True,
        )
        self.started.append(self)
        return self

    def wait(self, seconds: float = DEADLINE) -> bool:
        """Whether it has ended within that time."""
        try:
            self.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill(self, group: bool = True) -> None:
        """SIGKILL to pyinfra alone or to all that it has started. One that has ended already gets none."""
        with suppress(ProcessLookupError):
            if group:
                os.killpg(self.process.pid, signal.SIGKILL)
            else:
                self.process.kill()
        self.process.wait()

    @classmethod
    def kill_all(cls) -> None:
        """Leaves none behind when a try was interrupted."""
        while cls.started:
            controller = cls.started.pop()
            if controller.process.poll() is None:
                controller.kill()

    def result(self) -> Ended:
        """After it has ended."""
        for file in (self.output, self.errors):
            file.seek(0)
        printed, said = self.output.read().decode(), self.errors.read().decode(errors="replace")
        results = json.loads(printed)["results"] if printed.lstrip().startswith("{") else None
        operations = results["operations"] if results else []
        return Ended(self.process.returncode, [one["name"] for one in operations if one["success"]], said, printed)

    def to_the_end(self) -> Ended:
        """Runs it. One that hangs is killed and has failed."""
        self.start()
        if not self.wait():
            self.kill()
        return self.result()
