"""Where a fleet lives: namespaces and a cgroup of its own, so that all of it ends with the run, however the run ends.

Processes, mounts and networks are in namespaces that the kernel takes away with their first process, which is killed
when the process outside of them ends. Outside remain a folder of cgroups and limits of the kernel that were raised.
Both are put back at the end of a run, and by the next run where a run was killed.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from deploy.controller.interrupts import uninterrupted
from deploy.debian.staging import remove_tree
from deploy.errors import BoardllamaError
from deploy.onboard.files import write_file
from tests.fleet.board_tree import fleet_folder

# Set in the process that runs inside.
MARK = "BOARDLLAMA_FLEET_CGROUP"
# Limits of the kernel for all namespaces together, and what a fleet needs. Each systemd holds some twenty instances of
# inotify: the usual 128 are enough for five boards. Boards that talk to one another know each other as neighbours: with
# the usual 1024 entries the kernel refuses connections among 50 boards, "neighbor table overflow".
NEIGHBOURS = "/proc/sys/net/ipv4/neigh/default/gc_thresh"
LIMITS = {
    "/proc/sys/fs/inotify/max_user_instances": 4096,
    f"{NEIGHBOURS}3": 65536,
    f"{NEIGHBOURS}2": 65536,
    f"{NEIGHBOURS}1": 65536,
}
NAMESPACES = ("--mount", "--net", "--pid", "--ipc", "--fork", "--kill-child", "--mount-proc")
# For an interrupted run to say what it has, and to end.
ENDING_SECONDS = 20.0


def is_inside() -> bool:
    return MARK in os.environ


def own_cgroup() -> Path:
    """The folder of the run's cgroups. Inside only."""
    return Path(os.environ[MARK])


def run_inside(module: str, words: list[str]) -> int:
    """Runs `python -m module words` in namespaces. Returns its status. Raises BoardllamaError for a user not root."""
    if os.geteuid() != 0:
        raise BoardllamaError("simulated boards are made of namespaces and mounts: run as root (sudo -E make fleet)")
    with empty_run_folder(), raised_limits(), cgroup_folder() as cgroup:
        command = ["unshare", *NAMESPACES, "--", sys.executable, "-m", module, *words]
        with uninterrupted():
            child = subprocess.Popen(command, env={**os.environ, MARK: str(cgroup)})
        try:
            return child.wait()
        except KeyboardInterrupt:
            with suppress(subprocess.TimeoutExpired):
                return child.wait(ENDING_SECONDS)
            raise
        finally:
            with uninterrupted():
                child.kill()
                child.wait()


def run_folder() -> Path:
    """The run's own files; gone at its end."""
    return fleet_folder() / "run"


@contextmanager
def empty_run_folder() -> Iterator[None]:
    """Has the folder empty at the beginning and away at the end."""
    remove_tree(run_folder())
    run_folder().mkdir(parents=True)
    try:
        yield
    finally:
        with uninterrupted():
            remove_tree(run_folder())


@contextmanager
def raised_limits() -> Iterator[None]:
    """Raises the LIMITS for the block. A file says what they were, to the run after one that was killed."""
    note = fleet_folder() / "limits.json"
    now = {path: int(Path(path).read_text()) for path in LIMITS if Path(path).exists()}
    before = json.loads(note.read_text()) if note.exists() else now
    write_file(note, json.dumps(before).encode())
    set_limits({path: max(LIMITS[path], limit) for path, limit in before.items()})
    try:
        yield
    finally:
        set_limits(before)
        note.unlink()


def set_limits(limits: Mapping[str, int]) -> None:
    for path, limit in limits.items():
        Path(path).write_text(str(limit))


@contextmanager
def cgroup_folder() -> Iterator[Path]:
    """A folder in the hierarchy of unified cgroups. What still runs in it at the end is killed."""
    folder = unified_cgroups() / "boardllama-fleet"
    remove_cgroup(folder)
    folder.mkdir()
    try:
        yield folder
    finally:
        with uninterrupted():
            remove_cgroup(folder)


def unified_cgroups() -> Path:
    """Where the kernel shows them. Raises BoardllamaError where it does not."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    for _, place, kind, *_ in mounts:
        if kind == "cgroup2":
            return Path(place)
    raise BoardllamaError("no unified cgroups are mounted here: mount -t cgroup2 cgroup2 /sys/fs/cgroup")


def remove_cgroup(folder: Path, patience: float = 10.0) -> None:
    """Kills all that runs in the folder, and removes it with those in it. A folder that is not there is no error."""
    if not folder.exists():
        return
    (folder / "cgroup.kill").write_text("1")
    end = time.monotonic() + patience
    while folder.exists() and time.monotonic() < end:
        for inner, _, _ in os.walk(folder, topdown=False):
            with suppress(OSError):  # processes that were killed need a moment to be gone
                Path(inner).rmdir()
        time.sleep(0.05)
