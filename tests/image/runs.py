"""pyinfra on a root tree, as it is typed; and what must be the same outside before and after."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from deploy.paths import REPO

PYINFRA = str(Path(sys.executable).with_name("pyinfra"))
DEPLOY = ("inventory/image.py", "deploy.py")
# Seconds; a converge takes 30 to 90 on two busy cores.
DEADLINE = 900


@dataclass(frozen=True)
class Run:
    """`changed`, `failed`: names of operations, as far as there were results."""

    returncode: int
    said: str
    changed: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


def environment(tree: Path, **more: str) -> dict[str, str]:
    """Of a run on that tree."""
    return os.environ | {"BOARDLLAMA_TREE": str(tree), "PYTHONDONTWRITEBYTECODE": "1"} | more


def deploy(tree: Path, *options: str, before: tuple[str, ...] = (), **more: str) -> Run:
    """`pyinfra -y inventory/image.py deploy.py`; `before` are words that stand before it, such as setpriv."""
    done = subprocess.run(
        [*before, PYINFRA, "-y", "--json", *options, *DEPLOY],
        cwd=REPO,
        env=environment(tree, **more),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    operations = json.loads(done.stdout)["results"]["operations"] if done.stdout else []
    changed = [one["name"] for one in operations if one["success"]]
    return Run(done.returncode, done.stderr, changed, [one["name"] for one in operations if one["error"]])


def start(tree: Path, *words: str) -> subprocess.Popen[str]:
    """`pyinfra -y --limit targets inventory/image.py …`, left running."""
    return subprocess.Popen(
        [PYINFRA, "-y", "--limit", "targets", DEPLOY[0], *words],
        cwd=REPO,
        env=environment(tree),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def outside(folder: Path) -> dict[str, tuple[int, int, int, bytes]]:
    """Everything in a folder of the controller: mode, time of the last change, size, content."""
    found = {}
    for path in sorted(folder.rglob("*")):
        stat = path.lstat()
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        found[str(path)] = (stat.st_mode, stat.st_ctime_ns, stat.st_size, content)
    return found


@contextmanager
def untouched(folder: Path) -> Iterator[None]:
    """Nothing in the folder changes."""
    before = outside(folder)
    yield
    assert outside(folder) == before


def mounts(tree: Path) -> list[str]:
    """What is mounted of the tree, or in it, where this process can see it."""
    return [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(tree) in line]


def running(word: str) -> list[int]:
    """Processes whose command line has that word."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if word.encode() in b" ".join(words):
            found.append(int(folder.name))
    return found
