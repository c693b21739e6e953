"""What may spoil a figure while it is measured: heat, a weak power supply, swapping, other programs.

The frequency is held against the highest one that the same core had in this sweep: a governor or an owner may keep a
core below what its maker says, and that is no fault of a run.
"""

import os
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

from ..doctor.looks import value_or_none, values_from
from ..doctor.sensors import read_temperature, read_throttled

SLOWED = 0.95  # of the highest frequency
OTHERS = 0.05  # of all cores' time
SWAPPED = 1_000_000  # bytes
# Of `vcgencmd get_throttled`: what holds now; what has held since the start is 16 bits further.
CAUSES = {
    1: "the voltage was too low: take the board's own power supply",
    2: "the firmware lowered the frequency",
    4: "the firmware throttled the cores",
    8: "the board was too hot: give it a heat sink or a fan",
}
CAUSE_BITS = sum(CAUSES)


class Conditions:
    """The board during the runs of a sweep."""

    def __init__(self, root: Path = Path("/")) -> None:
        self.root = root
        self.highest: dict[int, int] = {}  # kHz, by core
        self.hottest: float | None = None  # degrees Celsius

    def begin_run(self, cores: Sequence[int]) -> None:
        """Notes what is counted from the start of a run on."""
        self.cores, self.ratios = cores, list[float]()
        self.began, self.own = time.monotonic(), time.process_time()
        self.throttled, self.swapped, self.worked = self.read_causes(), self.read_swapped(), self.read_worked()

    def look(self) -> None:
        """Reads what changes in the midst of a run."""
        hertz = {core: speed for core in self.cores if (speed := self.read_frequency(core))}
        for core, speed in hertz.items():
            self.highest[core] = max(speed, self.highest.get(core, 0))
        if hertz:
            self.ratios.append(max(speed / self.highest[core] for core, speed in hertz.items()))
        degrees = value_or_none(lambda: read_temperature(self.root / "sys"))
        self.hottest = max(filter(None, (degrees, self.hottest)), default=None)

    def end_run(self, used: float) -> str:
        """Why the run is spoiled; "" when it is not. `used`: seconds of all cores that the run itself took."""
        causes = self.read_causes() & CAUSE_BITS | self.new_causes()
        for bit, said in CAUSES.items():
            if causes & bit:
                return said
        ratio = statistics.median(self.ratios) if self.ratios else 1.0
        if ratio < SLOWED:
            return f"its cores ran at {ratio:.0%} of the frequency that they had before"
        if self.read_swapped() - self.swapped > SWAPPED:
            return "the board swapped: its memory was short"
        spent = time.monotonic() - self.began
        used += time.process_time() - self.own
        others = (self.read_worked() - self.worked - used) / (max(spent, 0.01) * (os.cpu_count() or 1))
        return f"other programs took {others:.0%} of the cores" if others > OTHERS else ""

    def new_causes(self) -> int:
        """The causes that have been met since the run began, as they would stand for now."""
        return (self.read_causes() & ~self.throttled) >> 16 & CAUSE_BITS

    def read_causes(self) -> int:
        """The word of the firmware; 0 on a board that has none."""
        return value_or_none(lambda: read_throttled(self.root / "sys")) or 0

    def read_frequency(self, core: int) -> int:
        """kHz of a core now; 0 where the kernel does not tell."""
        file = self.root / f"sys/devices/system/cpu/cpu{core}/cpufreq/scaling_cur_freq"
        return value_or_none(lambda: int(file.read_text())) or 0

    def read_swapped(self) -> int:
        """Bytes that were read from swap and written to it since the start."""
        lines = value_or_none(lambda: (self.root / "proc/vmstat").read_text().splitlines()) or []
        pages = values_from(lambda line: int(line.split()[1]), [line for line in lines if line.startswith("pswp")])
        return sum(pages) * os.sysconf("SC_PAGE_SIZE")

    def read_worked(self) -> float:
        """Seconds that all cores together have worked since the start, for guests of ours too."""
        first = value_or_none(lambda: (self.root / "proc/stat").read_text().split("\n", 1)[0].split()) or []
        ticks = [int(word) for word in first[1:]]
        idle = sum(ticks[3:5])
        return (sum(ticks[:8]) - idle) / os.sysconf("SC_CLK_TCK")
