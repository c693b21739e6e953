"""How far a card or a file is: one line, with the time that is left where bytes tell it.

Several cards are written at once, by threads that hang when a card does. So their state is kept here, and drawn by a
thread that no card can stop (deploy/controller/progress.py).
"""

import threading
import time
from dataclasses import dataclass, field

from deploy.controller.progress import duration_text
from deploy.flash.display_text import size_text

SILENT_SECONDS = 15.0  # without a byte: then the card is said not to answer


@dataclass
class ByteProgress:
    """One way through bytes, in phases. `total` and `done` are bytes; `total` is 0 when it is not known.

    `began` and `moved` are times of time.monotonic. Any thread may add.
    """

    name: str
    phase: str = "waiting"
    total: int = 0
    done: int = 0
    began: float = field(default_factory=time.monotonic)
    moved: float = field(default_factory=time.monotonic)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, phase: str, total: int = 0) -> None:
        with self.lock:
            self.phase, self.total, self.done = phase, total, 0
            self.began = self.moved = time.monotonic()

    def add(self, size: int) -> None:
        """Counts `size` more bytes as done. `add(0)` only says that somebody has answered."""
        with self.lock:
            self.done += size
            self.moved = time.monotonic()

    def status_line(self, now: float) -> str:
        """Such as `sdb: writing 212 of 452 MB, 47 %, 21.3 MB/s, 11 s left`."""
        with self.lock:
            phase, total, done, seconds = self.phase, self.total, self.done, now - self.began
        if not total:
            return f"{self.name}: {phase}"
        line = f"{self.name}: {phase} {done / 1e6:.0f} of {total / 1e6:.0f} MB, {100 * done // total} %"
        if not done or seconds < 0.5:
            return line
        rate = done / seconds
        return f"{line}, {rate / 1e6:.1f} MB/s, {duration_text((total - done) / rate)} left"


@dataclass
class CardProgress(ByteProgress):
    """A card's way. `over`: the phase is its verdict."""

    over: bool = False

    def end(self, verdict: str) -> None:
        """Begins the last phase, named by the verdict, in which a card is never said to be silent."""
        self.begin(verdict)
        self.over = True

    def status_line(self, now: float) -> str:
        """The same; of a card that has not answered for SILENT_SECONDS that it has not."""
        with self.lock:
            phase, total, done, still = self.phase, self.total, self.done, now - self.moved
        if still <= SILENT_SECONDS or self.over:
            return super().status_line(now)
        how_far = f"{phase}, {size_text(done)} of {size_text(total)}" if total else phase
        return f"{self.name}: {how_far}: no answer for {duration_text(still)}; pull it out if it stays so"
