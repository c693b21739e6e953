"""mmdebstrap for a root tree of another architecture: running it, and the controller's part in it."""

import os
import platform
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from deploy.errors import BoardllamaError
from deploy.interrupts import uninterrupted

# A workspace takes 10 s to 2 minutes on 2 busy cores; this long means that it hangs.
STEP_DEADLINE = 1800.0
TICK = 5.0
REASON = re.compile(r"^E: |\bError: (?!executed \d+ commands)")
FAILED_TEST = re.compile(r"(FAILED|ERROR) \S+::")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
# Times in everything that is made do not depend on when it is made.
SOURCE_DATE_EPOCH = 1767225600


@dataclass(frozen=True)
class Controller:
    """What Debian calls this machine, and where its programs' loader and libraries lie."""

    architecture: str
    triplet: str
    loader: str

    @staticmethod
    def of_this_machine() -> "Controller":
        """Raises BoardllamaError on a machine that is neither x86-64 nor arm64."""
        table = {
            "x86_64": Controller("amd64", "x86_64-linux-gnu", "usr/lib64/ld-linux-x86-64.so.2"),
            "aarch64": Controller("arm64", "aarch64-linux-gnu", "usr/lib/ld-linux-aarch64.so.1"),
        }
        try:
            return table[platform.machine()]
        except KeyError:
            raise BoardllamaError(f"this controller is {platform.machine()}: use x86_64 or aarch64") from None

    @property
    def needs_emulation(self) -> bool:
        """Whether arm64 programs run here only under emulation, so that native stand-ins pay."""
        return self.architecture != "arm64"

    def program_command(self, tree: Path, path: str) -> list[str]:
        """The command line that runs a program of an unpacked tree with that tree's own libraries."""
        return [str(tree / self.loader), "--library-path", str(tree / "usr/lib" / self.triplet), str(tree / path)]


def check_controller() -> None:
    """Raises BoardllamaError with the one command that installs what is missing."""
    needed = {"mmdebstrap": "mmdebstrap", "dpkg-divert": "dpkg", "tar": "tar"}
    if os.geteuid() != 0:
        needed["newuidmap"] = "uidmap"
    missing = [package for program, package in needed.items() if not shutil.which(program)]
    if not KEYRING.exists():
        missing.append("debian-archive-keyring")
    if missing:
        raise BoardllamaError(f"a root tree needs packages: run sudo apt-get install {' '.join(missing)}")


@dataclass
class Workspace:
    """Runs the steps of one build in a folder, with progress on stderr and all output in build.log beside it.

    `what` names the thing that is made; it stands before each line of progress.
    """

    folder: Path
    suite: str
    what: str = "root tree"
    seconds: dict[str, float] = field(default_factory=dict)

    def run(
        self,
        name: str,
        command: list[str],
        cwd: Path | None = None,
        env: dict[str, str] | None = None,
        deadline: float = STEP_DEADLINE,
    ) -> None:
        """Runs one step. Raises BoardllamaError with its last words and where the rest is."""
        log = self.folder.parent / "build.log"
        start = time.monotonic()
        with log.open("a") as output:
            output.write(f"\n== {shlex.join(command)[:400]}\n")
            output.flush()
            begin = output.tell()
            status = self.watch_step(name, command, output.fileno(), cwd, env or {}, deadline)
        self.seconds[name] = round(time.monotonic() - start, 1)
        if status != 0:
            raise BoardllamaError(f"{self.what}: {name} failed ({failure_reason(log, begin)}); all of it is in {log}")

    def watch_step(
        self, name: str, command: list[str], output: int, cwd: Path | None, env: dict[str, str], deadline: float
    ) -> int:
        """The exit status. Progress every TICK s; on an interrupt or at the deadline the whole group is ended."""
        start = time.monotonic()
        child = None
        try:
            # A signal that came between the start of the process and its name here would leave it running.
            with uninterrupted():
                child = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    cwd=cwd,
                    env=self.step_environment() | env,
                    start_new_session=True,
                )
            while True:
                try:
                    status = child.wait(timeout=TICK)
                    say_progress(f"{self.what}: {name}, done after {time.monotonic() - start:.0f} s")
                    return status
                except subprocess.TimeoutExpired:
                    say_progress(f"{self.what}: {name}, {time.monotonic() - start:.0f} s")
                if time.monotonic() - start > deadline:
                    raise BoardllamaError(f"{self.what}: {name} did not end within {deadline:.0f} s")
        finally:
            if child and child.poll() is None:
                say_progress(f"{self.what}: {name} is being ended")
                with uninterrupted():  # who waits for that presses Ctrl-C again
                    end_group(child)

    @contextmanager
    def doing(self, name: str) -> Iterator[None]:
        """Around a step in this process: the same progress."""
        start, ended = time.monotonic(), threading.Event()

        def tick() -> None:
            while not ended.wait(TICK):
                say_progress(f"{self.what}: {name}, {time.monotonic() - start:.0f} s")

        thread = threading.Thread(target=tick, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
        self.seconds[name] = round(time.monotonic() - start, 1)
        say_progress(f"{self.what}: {name}, done after {time.monotonic() - start:.0f} s")

    def step_environment(self) -> dict[str, str]:
        """Times in the tree do not depend on when it is made. As root all temporary files stay in the folder; an
        ordinary user's mmdebstrap works as other user ids, which need not be able to enter the home directory.
        """
        changed = {"SOURCE_DATE_EPOCH": str(SOURCE_DATE_EPOCH), "LC_ALL": "C.UTF-8"}
        if os.geteuid() == 0:
            changed["TMPDIR"] = str(self.folder)
        path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
        return {**os.environ, **changed, "PATH": path}

    def run_mmdebstrap(self, name: str, result: Path, *options: str) -> None:
        """Makes a tar file with mmdebstrap. $BOARDLLAMA_MIRROR names another mirror than its default.

        What root's mmdebstrap mounts is in a namespace of its own: it is gone with it, even when both are killed.
        """
        mirror = os.environ.get("BOARDLLAMA_MIRROR")
        apart = ["unshare", "--mount", "--"] if os.geteuid() == 0 else []
        command = [*apart, "mmdebstrap", "--format=tar", "--skip=check/qemu", *options, self.suite, str(result)]
        self.run(name, [*command, mirror] if mirror else command)


def say_progress(line: str) -> None:
    """Progress, on stderr."""
    print(line, file=sys.stderr, flush=True)


def end_group(child: subprocess.Popen[bytes]) -> None:
    """Ends a child that runs, and all that it started: first politely, so that mmdebstrap cleans up."""
    if child.poll() is not None:
        return
    for number, patience in ((signal.SIGTERM, 30), (signal.SIGKILL, 5)):
        os.killpg(child.pid, number)
        with suppress(subprocess.TimeoutExpired):
            child.wait(timeout=patience)
            break
    # What it had started may still be writing.
    deadline = time.monotonic() + 5
    with suppress(OSError):
        while time.monotonic() < deadline:
            os.killpg(child.pid, signal.SIGKILL)
            time.sleep(0.05)


def failure_reason(log: Path, begin: int = 0) -> str:
    """Of what a step wrote from that byte of the log on: the tests that failed, as pytest names them, or the last error
    line, as apt or pyinfra writes them; else the last line.
    """
    text = log.read_bytes()[begin:].decode(errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    tests = [line.split(" - ")[0] for line in lines if FAILED_TEST.match(line)]
    errors = [line for line in lines if REASON.search(line)]
    return (", ".join(tests) or (errors or lines or ["no output"])[-1])[:300]
