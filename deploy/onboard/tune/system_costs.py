"""What the operating system takes away from speed, named with what gives it back. Nothing is changed here."""

from collections.abc import Iterator
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
        if said := value_or_none(lambda look=look: look(root)):  # type: ignore[misc]
            yield said


def governor_cost(root: Path) -> str:
    """Cores that wait before they run at full speed."""
    found = sorted({file.read_text().strip() for file in root.glob(GOVERNORS)} - {FASTEST})
    return f"the governor is {', '.join(found)}: cores are slow to speed up; {SETS_IT} to {FASTEST}" if found else ""


def swap_cost(root: Path) -> str:
    """Swap on a card, which wears the card and stops the board for seconds."""
    rows = [line.split() for line in (root / "proc/swaps").read_text().splitlines()[1:]]
    cards = [row[0] for row in rows if "/mmcblk" in row[0] or (row[1] == "file" and root_is_card(root))]
    packed = [row[0] for row in rows if "/zram" in row[0]]
    if cards:
        return f"{', '.join(cards)} swaps to the card: seconds of standstill, and wear; {SETS_IT} off"
    return f"{', '.join(packed)} packs memory with the cores that compute; {SETS_IT} off" if packed else ""


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
