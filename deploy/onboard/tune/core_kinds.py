"""The kinds of cores of a board: as the kernel tells them, or as a short calculation on each core shows them.

Some kernels give all cores one capacity and no frequency, though half of them are slow.
"""

import os
import time
from collections.abc import Callable, Set
from pathlib import Path

from ..server.cores import ALIKE, CPUS, core_speed, fast_cores

STEPS = 200_000  # of a loop that takes 10 to 40 ms
TIMES = 5


def kinds_of_cores(
    allowed: Set[int], cpus: Path = CPUS, probe: Callable[[int], float] | None = None
) -> list[tuple[int, ...]]:
    """The groups of cores that are worth trying: the fast ones, all of them, and each kind; the first is the default's.

    `probe`: seconds of the same work on a core.
    """
    told = speeds_told(allowed, cpus)
    speeds = told or {core: 1 / seconds for core, seconds in probed_seconds(allowed, probe or time_core).items()}
    kinds = [tuple(sorted(kind)) for kind in split_by_speed(speeds)]
    return list(dict.fromkeys([tuple(sorted(fast_cores(cpus, allowed))), tuple(sorted(allowed)), *kinds]))


def speeds_told(allowed: Set[int], cpus: Path) -> dict[int, float]:
    """The speeds of the cores where the kernel tells them apart; empty where it does not."""
    for measure in ("cpu_capacity", "cpufreq/cpuinfo_max_freq"):
        speeds = {core: float(core_speed(cpus / f"cpu{core}" / measure)) for core in allowed}
        if all(speeds.values()) and len(set(speeds.values())) > 1:
            return speeds
    return {}


def split_by_speed(speeds: dict[int, float]) -> list[Set[int]]:
    """The cores in kinds, the fastest kind first: within one each reaches ALIKE of the kind's fastest."""
    kinds: list[set[int]] = []
    head = 0.0
    for core in sorted(speeds, key=lambda core: -speeds[core]):
        if speeds[core] < ALIKE * head or not kinds:
            kinds.append(set())
            head = speeds[core]
        kinds[-1].add(core)
    return list(kinds)


def probed_seconds(allowed: Set[int], probe: Callable[[int], float]) -> dict[int, float]:
    """The shortest of TIMES measurements of each core, in turn."""
    seconds = [{core: probe(core) for core in allowed} for _ in range(TIMES)]
    return {core: min(one[core] for one in seconds) for core in allowed}


def time_core(core: int) -> float:
    """Seconds of a short loop on that core alone."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        began, total = time.perf_counter(), 0
        for step in range(STEPS):
            total += step & 7
        return time.perf_counter() - began
    finally:
        os.sched_setaffinity(0, before)
