"""What the operating system takes away from speed, named with what gives it back. Nothing is changed here."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from ..doctor.looks import value_or_none
from ..doctor.sensors import board_model
from .borrowed import chosen_word

GOVERNORS = "sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor"
PAGES = "sys/kernel/mm/transparent_hugepage/enabled"
FASTEST = "performance"
SETS_IT = "`tune_system = True` sets it"


def system_costs(root: Path = Path("/")) -> Iterator[str]:
    """A sentence for each thing."""
    for look in (governor_cost, swap_cost, pages_cost, numa_cost):
        if said := value_or_none(partial(look, root)):
            yield said


def governor_cost(root: Path) -> str:
    """Cores that wait before they run at full speed."""
    found = sorted({file.read_text().strip() for file in root.glob(GOVERNORS)} - {FASTEST})
    return f"the governor is {', '.join(found)}: cores are slow to speed up; {SETS_IT} to {FASTEST}" if found else ""


def swap_cost(root: Path) -> str:
    """Swap on a card, which wears the card and stops the board for seconds; and swap that computes."""
    devices = [device for device, _ in costly_swaps(root)]
    if not devices:
        return ""
    return f"swap on {', '.join(devices)} costs seconds, or the cores' time; {SETS_IT} off"


def costly_swaps(root: Path) -> list[tuple[str, int]]:
    """Swap on a card or in packed memory (zram): its name, and the bytes that lie there now."""
    rows = [line.split() for line in (root / "proc/swaps").read_text().splitlines()[1:]]
    on_card = root_is_card(root)
    slow = [row for row in rows if "/mmcblk" in row[0] or "/zram" in row[0] or (row[1] == "file" and on_card)]
    return [(row[0], 1024 * int(row[3])) for row in slow]


def root_is_card(root: Path) -> bool:
    """Whether the root file system lies on a card."""
    mounts = [line.split() for line in (root / "proc/mounts").read_text().splitlines()]
    return any(row[1] == "/" and "/mmcblk" in row[0] for row in mounts)


def pages_cost(root: Path) -> str:
    """Memory in small pages, of which each read looks up more."""
    now = chosen_word((root / PAGES).read_text())
    return "" if now == "always" else f"huge pages are {now}: repacked weights lie in small ones; {SETS_IT} to always"


def numa_cost(root: Path) -> str:
    """A Raspberry Pi 5 whose kernel could spread memory over the banks of its chip, and does not."""
    if not any(name in board_model(root) for name in ("Raspberry Pi 5", "Raspberry Pi 500", "Compute Module 5")):
        return ""
    if (root / "sys/devices/system/node/online").read_text().strip() != "0":
        return ""
    return "memory is not interleaved: put numa=fake=8 into cmdline.txt and restart, which this does not do for you"
