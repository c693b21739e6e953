"""Programs that the controller runs to their end: each with a deadline, and an error that says what it said.

A program is killed when its deadline passes and when the run is interrupted. What takes long is wrapped in
`Progress.during`. Programs that are no call with an end are started elsewhere: the steps of a build, which write into a
log (deploy/debian/workspace.py), commands beside each other (deploy/controller/beside.py), QEMU, which stays
(deploy/vm/lifecycle.py), and commands that are fed and read meanwhile (deploy/hosts/remote.py,
deploy/image/tree/process.py).
"""

import os
import signal
import subprocess
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from deploy.controller.interrupts import uninterrupted
from deploy.errors import BoardllamaError

DEADLINE = 30.0


class Late(BoardllamaError):
    """A program did not end in time. It was killed."""


class Ended(NamedTuple):
    """How a program ended, and all that it printed."""

    status: int
    output: bytes
    errors: bytes

    @property
    def complaint(self) -> str:
        """The last line of its errors, else of its output, else its status."""
        said = (self.errors.strip() or self.output.strip()).decode(errors="replace") or f"status {self.status}"
        return said.splitlines()[-1]


def run_program(
    *words: str,
    given: bytes = b"",
    env: Mapping[str, str] | None = None,
    deadline: float = DEADLINE,
    package: str = "",
    name: str = "",
) -> Ended:
    """Runs a program that reads `given`, to its end, whatever its status is.

    `package`: the Debian package that errors name where the program is missing. `name`: what errors call the program,
    by default its file's name. Raises Late after `deadline` seconds, BoardllamaError where there is no such program.
    """
    name = name or Path(words[0]).name
    pipe, child, env = subprocess.PIPE, None, with_roots_programs(os.environ if env is None else env)
    try:
        # A signal that came between the start of the process and its name here would leave the process running.
        with uninterrupted():
            child = subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=pipe, env=env)
        said, errors = child.communicate(given, timeout=deadline)
    except FileNotFoundError:
        raise BoardllamaError(f"{name} is missing: apt-get install {package or name}") from None
    except subprocess.TimeoutExpired:
        raise Late(f"{name} did not end within {deadline:.0f} s") from None
    finally:
        if child:
            end_process(child)
    return Ended(child.returncode, said, errors)


def with_roots_programs(variables: Mapping[str, str]) -> dict[str, str]:
    """The variables, with root's programs in PATH, such as sfdisk: Debian has them in no ordinary user's."""
    return {**variables, "PATH": f"{variables.get('PATH', os.defpath)}:/usr/sbin:/sbin"}


def end_process(process: subprocess.Popen[bytes]) -> None:
    """Kills the process unless it has ended, and closes its pipes."""
    if process.poll() is None:
        process.kill()
        process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe:
            pipe.close()


def end_group(leader: subprocess.Popen[bytes], cleanup_seconds: float) -> None:
    """Ends a process that runs, and all of its process group: first politely, so that it cleans up after itself."""
    if leader.poll() is not None:
        return
    for number, seconds in ((signal.SIGTERM, cleanup_seconds), (signal.SIGKILL, 5.0)):
        os.killpg(leader.pid, number)
        with suppress(subprocess.TimeoutExpired):
            leader.wait(timeout=seconds)
            break
    # What the process had started may still be writing.
    deadline = time.monotonic() + 5
    with suppress(OSError):
        while time.monotonic() < deadline:
            os.killpg(leader.pid, signal.SIGKILL)
            time.sleep(0.05)


def program_output(
    *words: str,
    given: bytes = b"",
    env: Mapping[str, str] | None = None,
    deadline: float = DEADLINE,
    good: Collection[int] = (0,),
    package: str = "",
    name: str = "",
) -> bytes:
    """Standard output of a program that must end with one of the statuses `good`; else as `run_program`.

    Raises Late, BoardllamaError with its last line.
    """
    done = run_program(*words, given=given, env=env, deadline=deadline, package=package, name=name)
    if done.status not in good:
        raise BoardllamaError(f"{name or Path(words[0]).name}: {done.complaint}")
    return done.output
