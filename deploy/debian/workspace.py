"""A folder in which something is built step by step: each step says that it runs, and nothing of it runs on afterwards.

A step is a program, often mmdebstrap, or a block of this process. What programs write goes into build.log beside the
folder, because the folder itself is gone when a step has failed.
"""

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from deploy.controller.interrupts import uninterrupted
from deploy.controller.programs import end_group, with_roots_programs
from deploy.controller.progress import Progress
from deploy.controller.step_times import StepTimes
from deploy.errors import BoardllamaError

# Seconds. A step takes 10 s to 2 minutes on 2 busy cores: one that takes this long hangs.
STEP_DEADLINE = 1800.0
# Seconds that a step which is ended may take to clean up: mmdebstrap unmounts and removes a tree of 1 GB.
CLEANUP_SECONDS = 30.0
# A step ends with this process, even when this process is killed.
WITH_US = ("setpriv", "--pdeathsig", "KILL", "--")
REASON = re.compile(r"^E: |\bError: (?!executed \d+ commands)")
FAILED_TEST = re.compile(r"(FAILED|ERROR) \S+::")
# Times in everything that is made do not depend on when it is made.
SOURCE_DATE_EPOCH = 1767225600


@dataclass
class Workspace:
    """`suite`: Debian's, for mmdebstrap. `what` names the thing that is made, and stands before each line of progress.

    `times`: how long each step takes.
    """

    folder: Path
    suite: str
    what: str = "root tree"
    times: StepTimes = field(default_factory=StepTimes)

    def run_step(
        self,
        name: str,
        command: list[str],
        cwd: Path | None = None,
        env: dict[str, str] | None = None,
        deadline: float = STEP_DEADLINE,
    ) -> None:
        """Runs a program as a step. `env` is added to the step's variables; `deadline`: seconds.

        Raises BoardllamaError with the reason for which it failed and the log that holds the rest.
        """
        log = self.folder.parent / "build.log"
        with log.open("a") as output, self.doing(name):
            output.write(f"\n== {shlex.join(command)[:400]}\n")
            output.flush()
            begin = output.tell()
            status = self.run_group(name, command, output.fileno(), cwd, env or {}, deadline)
        if status != 0:
            raise BoardllamaError(f"{self.what}: {name} failed ({failure_reason(log, begin)}); all of it is in {log}")

    def run_group(
        self, name: str, command: list[str], output: int, cwd: Path | None, env: dict[str, str], deadline: float
    ) -> int:
        """The exit status. On an interrupt or at the deadline the program's whole process group is ended."""
        child = None
        try:
            # A signal that came between the start of the process and its name here would leave it running.
            with uninterrupted():
                child = subprocess.Popen(
                    [*WITH_US, *command],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    cwd=cwd,
                    env=self.step_environment() | env,
                    start_new_session=True,
                )
            return child.wait(timeout=deadline)
        except subprocess.TimeoutExpired:
            raise BoardllamaError(f"{self.what}: {name} did not end within {deadline:.0f} s") from None
        finally:
            if child and child.poll() is None:
                Progress(self.what).tell(f"{name} is being ended")
                with uninterrupted():  # who waits for the end presses Ctrl-C again
                    end_group(child, CLEANUP_SECONDS)

    @contextmanager
    def doing(self, name: str) -> Iterator[None]:
        """The block is a step: it says that it runs, how long yet, and when it has come to its end."""
        progress = Progress(self.what)
        with progress.during(name, partial(self.times.left_text, name)):
            yield
        self.times.add(name, progress.seconds)
        progress.tell_timed(f"{name}, done")

    def step_environment(self) -> dict[str, str]:
        """The variables of every step. Root's temporary files stay in the folder.

        An ordinary user's do not: mmdebstrap then works as other user ids, which may not enter the home directory.
        """
        changed = {"SOURCE_DATE_EPOCH": str(SOURCE_DATE_EPOCH), "LC_ALL": "C.UTF-8"}
        if os.geteuid() == 0:
            changed["TMPDIR"] = str(self.folder)
        return {**with_roots_programs(os.environ), **changed}

    def run_mmdebstrap(self, name: str, result: Path, *options: str) -> None:
        """Makes the tar file `result` with mmdebstrap. $BOARDLLAMA_MIRROR names another mirror than its default."""
        mirror = os.environ.get("BOARDLLAMA_MIRROR")
        # What root's mmdebstrap mounts ends with this namespace, even when everything in it is killed.
        apart = ["unshare", "--mount", "--"] if os.geteuid() == 0 else []
        command = [*apart, "mmdebstrap", "--format=tar", "--skip=check/qemu", *options, self.suite, str(result)]
        self.run_step(name, [*command, mirror] if mirror else command)


def failure_reason(log: Path, begin: int = 0) -> str:
    """Why a step failed, by what it wrote from byte `begin` of the log on; at most 300 characters.

    These are the failed tests as pytest names them, else the last error line of apt or pyinfra, else the last line.
    """
    text = log.read_bytes()[begin:].decode(errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    tests = [line.split(" - ")[0] for line in lines if FAILED_TEST.match(line)]
    errors = [line for line in lines if REASON.search(line)]
    return (", ".join(tests) or (errors or lines or ["no output"])[-1])[:300]
