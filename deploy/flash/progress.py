"""How far each card is: a line for each, drawn again and again on a terminal, printed now and then in a pipe.

Several cards are written at once, by threads that hang when a card does. So a display of its own keeps their state, and
a thread that no card can stop draws all of them. deploy/controller/progress.py is for one thing, which speaks for
itself.
"""

import shutil
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from deploy.controller.progress import PERIOD, say_line
from deploy.flash.display_text import duration_text, size_text

REDRAW_SECONDS = 0.5  # between two pictures on a terminal
SILENT_SECONDS = 15.0  # without a byte: then the card is said not to answer


@dataclass
class CardProgress:
    """One card's way through one phase. `total` and `done` are bytes; `total` is 0 when it is not known.

    `began` and `moved` are times of time.monotonic. Any thread may add.
    """

    name: str
    phase: str = "waiting"
    total: int = 0
    done: int = 0
    began: float = field(default_factory=time.monotonic)
    moved: float = field(default_factory=time.monotonic)
    over: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, phase: str, total: int = 0) -> None:
        with self.lock:
            self.phase, self.total, self.done = phase, total, 0
            self.began = self.moved = time.monotonic()

    def end(self, verdict: str) -> None:
        """Begins the last phase, named by the verdict, in which a card is never said to be silent."""
        self.begin(verdict)
        self.over = True

    def add(self, size: int) -> None:
        """Counts `size` more bytes as done. `add(0)` only says that the card has answered."""
        with self.lock:
            self.done += size
            self.moved = time.monotonic()

    def status_line(self, now: float) -> str:
        """Such as `sdb: writing 212 of 452 MB, 47 %, 21.3 MB/s, 11 s left`."""
        with self.lock:
            phase, total, done, seconds, still = self.phase, self.total, self.done, now - self.began, now - self.moved
        if still > SILENT_SECONDS and not self.over:
            how_far = f"{phase}, {size_text(done)} of {size_text(total)}" if total else phase
            return f"{self.name}: {how_far}: no answer for {duration_text(still)}; pull it out if it stays so"
        if not total:
            return f"{self.name}: {phase}"
        line = f"{self.name}: {phase} {done / 1e6:.0f} of {total / 1e6:.0f} MB, {100 * done // total} %"
        if not done or seconds < 0.5:
            return line
        rate = done / seconds
        return f"{line}, {rate / 1e6:.1f} MB/s, {duration_text((total - done) / rate)} left"


@contextmanager
def show_progress(cards: Sequence[CardProgress]) -> Iterator[None]:
    """Shows the cards' progress until the block ends."""
    end = threading.Event()
    target = redraw_progress if sys.stderr.isatty() else print_progress
    thread = threading.Thread(target=target, args=(cards, end), daemon=True)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()


def print_progress(cards: Sequence[CardProgress], end: threading.Event) -> None:
    """Prints a line for each card every PERIOD seconds."""
    while not end.wait(PERIOD):
        for card in cards:
            say_line(card.status_line(time.monotonic()))


def redraw_progress(cards: Sequence[CardProgress], end: threading.Event) -> None:
    """Draws a line for each card, in its place. At the end all of them are wiped away."""
    up = ""
    while not end.wait(REDRAW_SECONDS):
        width = shutil.get_terminal_size().columns - 1
        say_line(up + "\n".join(f"\r\x1b[K{card.status_line(time.monotonic())[:width]}" for card in cards))
        up = f"\x1b[{len(cards)}A"
    if up:
        say_line(f"{up}\x1b[J\x1b[1A")
