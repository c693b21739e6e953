"""Which cores work, on boards as their kernels describe them, and how the work is shared out among them."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from deploy.onboard.server.cores import fast_cores, physical_cores, share_out
from deploy.onboard.service import OLLAMA
from deploy.paths import REPO

UNIT = OLLAMA.unit

# Capacity and highest frequency of each core, in the order of their numbers; 0: the kernel does not say.
Core = tuple[int, int]
SLOW_A55: list[Core] = [(530, 1800000)] * 4
BOARDS: dict[str, tuple[list[Core], set[int]]] = {
    "rk3588": (SLOW_A55 + [(1024, 2400000)] * 4, {4, 5, 6, 7}),
    "rk3588, two bins of fast cores": (SLOW_A55 + [(984, 2304000)] * 2 + [(1024, 2400000)] * 2, {4, 5, 6, 7}),
    "rk3399": ([(485, 1416000)] * 4 + [(1024, 1800000)] * 2, {4, 5}),
    "s922x": ([(592, 1800000)] * 2 + [(1024, 2400000)] * 4, {2, 3, 4, 5}),
    "cix-p1": ([(1024, 2600000)] * 2 + [(279, 1800000)] * 4 + [(905, 2600000)] * 6, {0, 1, 6, 7, 8, 9, 10, 11}),
    "pi 5": ([(1024, 2400000)] * 4, {0, 1, 2, 3}),
    "no capacity": ([(0, 1416000)] * 4 + [(0, 1800000)] * 2, {4, 5}),
    "no device tree that says it": ([(1024, 1416000)] * 4 + [(1024, 1800000)] * 2, {4, 5}),
    "capacity alone": ([(446, 0)] * 4 + [(1024, 0)] * 4, {4, 5, 6, 7}),
    "capacity wins over frequency": ([(1024, 2000000)] * 2 + [(400, 2400000)] * 2, {0, 1}),
    "some do not say": ([(0, 0)] + [(1024, 0)] * 3, {0, 1, 2, 3}),
    "nothing said": ([(0, 0)] * 4, {0, 1, 2, 3}),
    "just alike": ([(871, 0)] * 2 + [(1024, 0)] * 2, {0, 1, 2, 3}),
    "just not": ([(870, 0)] * 2 + [(1024, 0)] * 2, {2, 3}),
    "one without an equal": ([(325, 0)] * 3 + [(800, 0)] * 4 + [(1024, 0)], {3, 4, 5, 6, 7}),
    "one fast beside slow ones": ([(300, 0)] * 3 + [(1024, 0)], {3}),
    "one core": ([(1024, 1000000)], {0}),
}


def described(folder: Path, cores: Sequence[Core], threads: int = 1) -> Path:
    """/sys/devices/system/cpu of such a board, with so many hardware threads to a core."""
    for number, (capacity, hertz) in enumerate(cores):
        core = folder / f"cpu{number}"
        (core / "topology").mkdir(parents=True)
        first = number - number % threads
        (core / "topology" / "thread_siblings_list").write_text(f"{first}-{first + threads - 1}\n")
        (core / "cpufreq").mkdir()
        if capacity:
            (core / "cpu_capacity").write_text(f"{capacity}\n")
        if hertz:
            (core / "cpufreq" / "cpuinfo_max_freq").write_text(f"{hertz}\n")
    (folder / "cpufreq").mkdir()
    (folder / "cpuidle").mkdir()
    return folder


@pytest.mark.parametrize("board", BOARDS)
def test_the_fast_cores_of_a_board_work(tmp_path: Path, board: str) -> None:
    cores, fast = BOARDS[board]
    cpus = described(tmp_path, cores)
    assert fast_cores(cpus) == fast
    assert physical_cores(cpus) == len(fast)


@pytest.mark.parametrize(
    ("allowed", "fast"),
    [({0, 1, 2, 3}, {0, 1, 2, 3}), ({3, 4}, {3, 4}), ({2, 3, 6, 7}, {6, 7}), ({0}, {0}), (set(range(8)), {4, 5, 6, 7})],
)
def test_only_allowed_cores_are_counted(tmp_path: Path, allowed: set[int], fast: set[int]) -> None:
    """As CPUAffinity= or a container allows them. Of a fast and a slow one, both: one alone would be slower."""
    assert fast_cores(described(tmp_path, BOARDS["rk3588"][0]), allowed) == fast


def test_a_core_that_is_off_is_not_counted(tmp_path: Path) -> None:
    cpus = described(tmp_path, BOARDS["rk3588"][0])
    (cpus / "cpu7" / "online").write_text("0\n")
    (cpus / "cpu6" / "online").write_text("1\n")
    assert fast_cores(cpus) == {4, 5, 6}


def test_hardware_threads_of_one_core_count_once_and_all_may_be_used(tmp_path: Path) -> None:
    cpus = described(tmp_path, [(400, 0)] * 4 + [(1024, 0)] * 4, threads=2)
    assert physical_cores(cpus) == 2
    assert fast_cores(cpus) == {4, 5, 6, 7}


def test_a_machine_that_says_nothing_uses_what_it_has(tmp_path: Path) -> None:
    assert physical_cores(tmp_path) == os.cpu_count()
    work = share_out(
        {"default_cores": "", "default_threads": 0, "default_batch_threads": 0}, {0, 1, 2}, tmp_path / "none"
    )
    assert work == (3, 3, {0, 1, 2})


EIGHT = set(range(8))


@pytest.mark.parametrize(
    ("threads", "batch_threads", "work"),
    [
        (0, 0, (4, 4, {4, 5, 6, 7})),
        (2, 0, (2, 2, {4, 5, 6, 7})),
        (2, 4, (2, 4, {4, 5, 6, 7})),
        (0, 8, (4, 8, EIGHT)),
        (6, 0, (6, 6, EIGHT)),
        (8, 2, (8, 2, EIGHT)),
    ],
)
def test_threads_that_are_asked_for_find_cores(
    tmp_path: Path, threads: int, batch_threads: int, work: tuple[int, int, set[int]]
) -> None:
    """More than there are fast cores would wait for each other on those: they get all."""
    models = {"default_cores": "", "default_threads": threads, "default_batch_threads": batch_threads}
    assert share_out(models, EIGHT, described(tmp_path, BOARDS["rk3588"][0])) == work


# A process of several threads, as llama-server is one.
THREADED = (
    "import threading, time; [threading.Thread(target=time.sleep, args=[60]).start() for _ in range(3)]; "
    "print(flush=True)"
)


def test_the_unit_holds_all_threads_to_the_cores_that_the_launcher_chose(tmp_path: Path) -> None:
    """The unit's own command, without systemd and without being root, which one's own processes do not need."""
    (line,) = (line for line in (REPO / "templates" / f"{UNIT}.j2").read_text().splitlines() if "taskset" in line)
    *_, command = shlex.split(line.partition("=-+")[2])
    core = str(max(os.sched_getaffinity(0)))
    (tmp_path / "cores").write_text(core)
    told, named = command.replace("$$", "$"), {"RUNTIME_DIRECTORY": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", THREADED], stdout=subprocess.PIPE) as server:
        try:
            assert server.stdout and server.stdout.readline()
            subprocess.run(["sh", "-c", told], env=os.environ | named | {"MAINPID": str(server.pid)}, check=True)
            tasks = list(Path(f"/proc/{server.pid}/task").iterdir())
            allowed = {re.findall(r"Cpus_allowed_list:\t(.*)", (task / "status").read_text())[0] for task in tasks}
        finally:
            server.kill()
    assert (len(tasks), allowed) == (4, {core})
