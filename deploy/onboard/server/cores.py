"""Which cores work, and with how many threads.

All cores take each step of the model together: a slow core would keep the fast ones waiting.
"""

import os
from collections.abc import Set
from pathlib import Path
from typing import Any, NamedTuple

from .config import ConfigError

CPUS = Path("/sys/devices/system/cpu")
# Cores are equally fast when they reach this share of the fastest core's speed.
ALIKE = 0.85
# A fastest core without an equal, as phones have, is slower alone than with the cores that reach this share of its
# speed. Snapdragon 8 Gen 2: 1 + 4 cores are the best, and each of its 3 slow cores costs 30 to 40 % (OmniInfer, pull
# request 66).
BESIDE_ONE = 0.5


def fast_cores(cpus: Path = CPUS, allowed: Set[int] | None = None) -> Set[int]:
    """The allowed cores of the fast class; all allowed cores where their speeds are not known, or all the same."""
    allowed = online_cores(cpus) if allowed is None else allowed
    # Unless a device tree says otherwise, the kernel gives all cores the same cpu_capacity.
    for measure in ("cpu_capacity", "cpufreq/cpuinfo_max_freq"):
        speeds = {core: core_speed(cpus / f"cpu{core}" / measure) for core in allowed}
        if all(speeds.values()) and len(set(speeds.values())) > 1:
            return fast_class(speeds)
    return allowed


def fast_class(speeds: dict[int, int]) -> Set[int]:
    """The cores whose speed is that of the fastest, or near it."""
    best = max(speeds.values())
    alike = {core for core, speed in speeds.items() if speed >= ALIKE * best}
    return alike if len(alike) > 1 else {core for core, speed in speeds.items() if speed >= BESIDE_ONE * best}


def physical_cores(cpus: Path = CPUS, cores: Set[int] | None = None) -> int:
    """How many physical cores `cores`, or the fast class, are: llama.cpp gains nothing from a second thread of one."""
    cores = fast_cores(cpus) if cores is None else cores
    return len({core_siblings(cpus / f"cpu{core}") or str(core) for core in cores}) or os.cpu_count() or 1


def online_cores(cpus: Path) -> Set[int]:
    """The numbers of the cores that are online."""
    folders = [path for path in cpus.glob("cpu[0-9]*") if read_if_there(path / "online") != "0"]
    return {int(path.name.removeprefix("cpu")) for path in folders}


def core_speed(path: Path) -> int:
    """A core's speed in the measure of the file; 0 where the file does not say it."""
    said = read_if_there(path)
    return int(said) if said.isdecimal() else 0


def core_siblings(core: Path) -> str:
    """The list of a core's hardware threads, as the kernel writes it; "" where it is not told."""
    return read_if_there(core / "topology" / "thread_siblings_list")


def read_if_there(path: Path) -> str:
    """The text of a small file; "" when it cannot be read."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""


class Work(NamedTuple):
    """How llama-server divides its work: threads for tokens, threads for prompts, and the cores that both may use."""

    threads: int
    batch_threads: int
    cores: Set[int]


def share_out(models: dict[str, Any], allowed: Set[int] | None = None, cpus: Path = CPUS) -> Work:
    """The division that `models` of config.json asks for; where it says 0, a thread for each fast core.

    Prompts get no more: slow cores add 4 to 8 % to them and cost answers up to 23 % (docs: benchmarks.md). Whoever asks
    for more threads than there are fast cores gets all cores for them. Cores that are named take the place of the fast
    ones. `allowed`: the cores that this process may use, as sched_getaffinity(2) says. Raises ConfigError.
    """
    allowed = os.sched_getaffinity(0) if allowed is None else allowed
    named = models["default_cores"]
    fast = named_cores(named, allowed) if named else fast_cores(cpus, allowed)
    most = physical_cores(cpus, fast)
    threads = models["default_threads"] or most
    batch_threads = models["default_batch_threads"] or threads
    return Work(threads, batch_threads, fast if named or max(threads, batch_threads) <= most else allowed)


def named_cores(text: str, allowed: Set[int]) -> Set[int]:
    """The allowed cores of a list such as "0,2-3". Raises ConfigError when none of them is allowed."""
    spans = [[int(number) for number in span.split("-")] for span in text.split(",")]
    found = {core for span in spans for core in range(span[0], span[-1] + 1)} & allowed
    if not found:
        there = ", ".join(map(str, sorted(allowed)))
        raise ConfigError(
            f"models.default_cores is {text}: must name some of the cores that this server may use, {there}"
        )
    return found
