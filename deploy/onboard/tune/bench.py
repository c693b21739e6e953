"""Measures setups on a board that serves: only while nobody asks it, and within the memory that is free."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..doctor.sensors import memory_sizes
from .bench_run import BenchFailed, Disturbed, bench_command, run_bench
from .borrowed import Borrowed
from .conditions import Conditions
from .setup import Figure, Setup, Size
from .system_costs import GOVERNORS, PAGES
from .traffic import Traffic

Say = Callable[[str], None]
# A run is to take so many seconds for the prompt, and as many for the answer, whatever the board.
SECONDS_EACH = 4.0
PROMPTS, ANSWERS = (16, 32, 64, 128, 256), (8, 16, 32, 64)
FIRST = Size(32, 8)
REPEATS = 2  # of a run whose figure is spoiled
SPARE = 64_000_000  # bytes that stay free for all else


@dataclass
class Bench:
    """Runs setups one at a time. `needs`: bytes of memory, with repacked weights and without them."""

    programs: Mapping[str, Path]
    model: Path
    needs: Mapping[bool, int]
    traffic: Traffic
    conditions: Conditions
    borrowed: Borrowed
    say: Say
    end: float  # time.monotonic
    size: Size = FIRST
    root: Path = Path("/")

    def is_late(self) -> bool:
        return time.monotonic() > self.end

    def measure(self, label: str, setup: Setup) -> Figure | str:
        """A figure of the setup, taken again when it is spoiled; or why the setup cannot be run here."""
        figure = self.try_once(setup)
        for _ in range(REPEATS):
            if isinstance(figure, str) or not figure.spoiled or self.is_late():
                break
            self.say(f"{label}: {figure.spoiled}; measured again")
            figure = self.try_once(setup)
        if isinstance(figure, str):
            self.say(f"{label}: {figure}")
        else:
            self.say(f"{label}: {figure.prompt:.1f} and {figure.generation:.1f} tokens/s {figure.spoiled}".rstrip())
        return figure

    def try_once(self, setup: Setup) -> Figure | str:
        """As `measure`, whatever the figure. A client that comes ends the run, and it begins anew when he is gone."""
        while True:
            try:
                self.traffic.await_quiet(self.end, self.say)
                if lacking := self.lacking_memory(setup):
                    return lacking
                self.apply_system(setup)
                command = bench_command(self.programs[setup.build], self.model, setup, self.size)
                return run_bench(command, setup, self.conditions, self.traffic.is_disturbed)
            except Disturbed:
                self.apply_system(setup._replace(governor="", pages=""))
            except BenchFailed as error:
                return str(error)
            except OSError as error:
                return f"{error.filename}: {error.strerror}" if error.filename else str(error)

    def lacking_memory(self, setup: Setup) -> str:
        """Why the memory that is free now is too little for the setup; "" when it is enough."""
        need, free = self.needs[setup.repack] + SPARE, free_memory(self.root)
        mb = 1_000_000
        return f"it needs {need // mb} MB, and {free // mb} MB are free" if need > free else ""

    def apply_system(self, setup: Setup) -> None:
        """Has the system as the setup says. Raises OSError."""
        for file in self.root.glob(GOVERNORS):
            self.borrowed.set_value(file, setup.governor)
        if (self.root / PAGES).exists():
            self.borrowed.set_value(self.root / PAGES, setup.pages)

    def calibrate(self, setup: Setup) -> Figure:
        """The first run, which also reads the model into memory: how long runs take decides how long they are.

        Raises BenchFailed with the reason when even this setup cannot be run.
        """
        first = self.measure("first run, not counted", setup)
        if isinstance(first, str):
            raise BenchFailed(first)
        self.size = Size(
            max([size for size in PROMPTS if size <= first.prompt * SECONDS_EACH], default=PROMPTS[0]),
            max([size for size in ANSWERS if size <= first.generation * SECONDS_EACH], default=ANSWERS[0]),
        )
        return first


def free_memory(root: Path = Path("/")) -> int:
    """Bytes that programs can have without swapping. Raises OSError, ValueError."""
    return memory_sizes(root / "proc/meminfo")[1]
