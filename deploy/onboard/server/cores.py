"""Which cores work. All of them take a step of the model together: a slow one would keep the fast ones waiting."""

import os
from collections.abc import Set
from pathlib import Path

CPUS = Path("/sys/devices/system/cpu")
# Cores count as equally fast from this share of the fastest one's speed.
ALIKE = 0.85
# One that has no equal, as phones have, is slower alone than together with those that reach this share. Snapdragon 8
# Gen 2: 1 + 4 cores are the best, and any of its 3 slow ones costs 30 to 40 % (OmniInfer, pull request 66).
BESIDE_ONE = 0.5


def fast_cores(cpus: Path = CPUS, allowed: Set[int] | None = None) -> Set[int]:
    """The allowed cores of the fast class; all of them where nothing is known of their speeds, or they are the same."""
    allowed = online_cores(cpus) if allowed is None else allowed
    # Without a device tree that says otherwise, the kernel calls the capacity of all cores the same.
    for measure in ("cpu_capacity", "cpufreq/cpuinfo_max_freq"):
        speeds = {core: core_speed(cpus / f"cpu{core}" / measure) for core in allowed}
        if all(speeds.values()) and len(set(speeds.values())) > 1:
            return fast_class(speeds)
    return allowed


def fast_class(speeds: dict[int, int]) -> Set[int]:
    """The fast class: cores whose speed is that of the fastest, or near it."""
    best = max(speeds.values())
    alike = {core for core, speed in speeds.items() if speed >= ALIKE * best}
    return alike if len(alike) > 1 else {core for core, speed in speeds.items() if speed >= BESIDE_ONE * best}


def physical_cores(cpus: Path = CPUS, cores: Set[int] | None = None) -> int:
    """How many cores those are, of the fast class if none are named: llama.cpp gains nothing from the second hardware
    thread of a core.
    """
    cores = fast_cores(cpus) if cores is None else cores
    return len({core_siblings(cpus / f"cpu{core}") or str(core) for core in cores}) or os.cpu_count() or 1


def online_cores(cpus: Path) -> Set[int]:
    """The numbers of the cores that are on."""
    folders = [path for path in cpus.glob("cpu[0-9]*") if read_if_there(path / "online") != "0"]
    return {int(path.name.removeprefix("cpu")) for path in folders}


def core_speed(path: Path) -> int:
    """What a file says of a core's speed, in its own measure; 0 where it says nothing."""
    said = read_if_there(path)
    return int(said) if said.isdecimal() else 0


def core_siblings(core: Path) -> str:
    """The hardware threads of that core, itself among them, as a list; "" where that is not told."""
    return read_if_there(core / "topology" / "thread_siblings_list")


def read_if_there(path: Path) -> str:
    """The text of a small file; "" where there is none."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""
