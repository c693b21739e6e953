"""Programs of a contender under QEMU's user emulation, and what they cost."""

import os
import re
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from deploy.build.artifact import Build
from deploy.controller.interrupts import uninterrupted
from deploy.controller.programs import program_output, run_program
from deploy.debian.staging import ensure_folder
from deploy.debian.workspace import WITH_US
from deploy.errors import BoardllamaError
from deploy.vm.ports import free_ports
from tests.bench.compiled import toolchain_folder
from tests.bench.contenders import Installed
from tests.bench.roots import EMULATION, HERE, keyed_folder

# Below this address of QEMU's process lies the guest's memory, above it QEMU's own.
OWN_MEMORY = 0x7000_0000_0000
START_SECONDS = 600.0
LOADED = re.compile(r"loaded CPU backend from \S*?([^/\s]+)$", re.MULTILINE)
# llama.cpp's own variables and files of the user must not change what is measured.
ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "HOME": "/nonexistent"}


@dataclass(frozen=True)
class Started:
    """What a server spent until it answered: seconds, and bytes of the guest's memory and of QEMU's own."""

    cpu_seconds: float
    wall_seconds: float
    guest_bytes: int
    emulator_bytes: int


@dataclass(frozen=True)
class Emulator:
    """QEMU for one -cpu. `plugin`: a further option, which counts instructions."""

    cpu: str
    plugin: tuple[str, ...] = ()

    def command(self, installed: Installed, program: str, *words: str) -> list[str]:
        """The command line that runs a program of a contender."""
        # A program of a build folder names its libraries by the folder in which it was compiled.
        beside = f"LD_LIBRARY_PATH={installed.programs}"
        options = ["-cpu", self.cpu, "-L", str(installed.root), "-E", beside, *self.plugin]
        return [*WITH_US, *EMULATION.command("qemu-aarch64"), *options, str(installed.programs / program), *words]

    @staticmethod
    def version() -> str:
        """What QEMU says of itself."""
        return program_output(*EMULATION.command("qemu-aarch64"), "--version").decode().splitlines()[0]

    def run_bench(self, installed: Installed, model: Path, *words: str) -> float:
        """Runs llama-bench once, with one thread and no warm-up. The result is its processor time in seconds.

        Raises BoardllamaError with what it said last.
        """
        common = ["-m", str(model), "-t", "1", "-r", "1", "--no-warmup", *installed.arguments]
        return run_measured(self.command(installed, "llama-bench", *common, *words))

    def chosen_kernels(self, installed: Installed, model: Path) -> str:
        """The file of kernels that a contender loads on this CPU. Empty for one that has no choice."""
        words = ["-m", str(model), "-p", "1", "-n", "0", "-r", "1", "-t", "1", "--no-warmup"]
        done = run_program(*self.command(installed, "llama-bench", *words), env=ENVIRONMENT, deadline=START_SECONDS)
        found = LOADED.search(done.errors.decode(errors="replace"))
        return found.group(1) if found else ""

    def start_server(self, installed: Installed, model: Path) -> Started:
        """Starts llama-server, waits for /health, and ends it. Raises BoardllamaError where it does not answer."""
        (port,) = free_ports(1)
        words = ["-m", str(model), "--host", "127.0.0.1", "--port", str(port), "-c", "512", "-np", "1", "-t", "1"]
        with running(self.command(installed, "llama-server", *words)) as (process, said):
            began = time.monotonic()
            while not is_healthy(port):
                if process.poll() is not None or time.monotonic() > began + START_SECONDS:
                    raise BoardllamaError(f"llama-server of {installed.programs} did not answer: {last_line(said)}")
                time.sleep(0.02)
            wall = time.monotonic() - began
            own = own_bytes(process.pid)
            return Started(cpu_seconds(process.pid), wall, peak_bytes(process.pid) - own, own)


@contextmanager
def running(command: list[str]) -> Iterator[tuple["subprocess.Popen[bytes]", Path]]:
    """A program at work, and the file of what it says. It is killed at the end, whatever happens."""
    with tempfile.TemporaryDirectory(prefix="boardllama-bench-") as folder:
        said = Path(folder) / "said"
        process = None
        try:
            with said.open("wb") as output, uninterrupted():
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=output,
                    env=ENVIRONMENT,
                    cwd=folder,
                )
            yield process, said
        finally:
            if process and process.poll() is None:
                process.kill()
                process.wait()


def run_measured(command: list[str]) -> float:
    """Runs a program to its end: its processor time in seconds, user and system together.

    Raises BoardllamaError with the last line that it said.
    """
    with running(command) as (process, said):
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise BoardllamaError(f"{' '.join(command[-12:])}: status {process.returncode}, {last_line(said)}")
        return usage.ru_utime + usage.ru_stime


def last_line(said: Path) -> str:
    lines = said.read_text(errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else "it said nothing"


def is_healthy(port: int) -> bool:
    with suppress(OSError, urllib.error.URLError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
        return True
    return False


def cpu_seconds(process: int) -> float:
    """Processor time of a running process, of all its threads: /proc/PID/stat, fields 14 and 15 of proc(5)."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_bytes(process: int) -> int:
    """VmHWM: the peak of resident memory."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def own_bytes(process: int) -> int:
    """Resident memory of QEMU itself: its code, its libraries, and the guest's code as it has translated it."""
    total, is_own = 0, False
    for line in Path(f"/proc/{process}/smaps").read_text().splitlines():
        first = line.split(maxsplit=1)[0]
        if "-" in first and not first.endswith(":"):
            is_own = int(first.split("-")[0], 16) >= OWN_MEMORY
        elif first == "Rss:" and is_own:
            total += int(line.split()[1]) * 1024
    return total


@cache
def counting_plugin(build: Build) -> Path:
    """count.so, compiled by the pinned toolchain. Raises BoardllamaError."""
    zig = toolchain_folder(build) / "bin" / "zig"
    source = HERE / "count.c"

    def compile_plugin(new: Path) -> None:
        target = f"{os.uname().machine}-linux-gnu"
        options = [
            "-target",
            target,
            "-O2",
            "-g0",
            "-fPIC",
            "-shared",
            "-fvisibility=hidden",
            "-o",
            f"{new}/tree/count.so",
        ]
        environment = {"ZIG_LOCAL_CACHE_DIR": f"{new}/zig", "ZIG_GLOBAL_CACHE_DIR": f"{new}/zig", "PATH": os.defpath}
        program_output(str(zig), "cc", *options, str(source), env=environment, deadline=300)

    inputs = [source.read_text(), str(zig)]
    return ensure_folder(keyed_folder("plugins", inputs), "bench", compile_plugin) / "count.so"


def check_controller() -> None:
    """Raises BoardllamaError on a machine that cannot emulate, or lacks what makes the trees."""
    if os.uname().machine != "x86_64":
        raise BoardllamaError(
            f"this controller is {os.uname().machine}: contenders are compared under emulation on x86_64"
        )
    missing = [package for program, package in NEEDED.items() if not shutil.which(program)]
    if missing:
        raise BoardllamaError(f"make bench needs packages: run sudo apt-get install {' '.join(missing)}")


NEEDED = {"mmdebstrap": "mmdebstrap", "bwrap": "bubblewrap", "dpkg-deb": "dpkg"}
