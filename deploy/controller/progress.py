"""The lines that a user reads while something takes long: "what: detail, 12 s", on stderr, one in PERIOD seconds.

Stdout belongs to results. `make flash` alone has a display of its own for several cards (deploy/flash/progress.py).
"""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

PERIOD = 5.0  # seconds
Say = Callable[[str], object]


def say_line(line: str) -> None:
    """Prints a line for people. A terminal that is gone must not stop what is under way."""
    with suppress(OSError, ValueError):
        print(line, file=sys.stderr, flush=True)


@dataclass
class Progress:
    """What is said of one thing, which `what` names. `started`, `shown`: times of time.monotonic()."""

    what: str
    say: Say = say_line
    started: float = field(default_factory=time.monotonic)
    shown: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.started

    def tell(self, line: str) -> None:
        """Says a line now."""
        self.say(f"{self.what}: {line}")

    def tell_timed(self, detail: str) -> None:
        """Says now what is being done, or has come about, and after how many seconds."""
        self.tell(f"{detail}, {self.seconds:.0f} s")

    def is_due(self) -> bool:
        """Whether the last line is PERIOD seconds old, which is true once: the answer counts as the next line."""
        now = time.monotonic()
        if now - self.shown < PERIOD:
            return False
        self.shown = now
        return True

    def still(self, detail: str) -> None:
        """Says what is being done, when a line is due."""
        if self.is_due():
            self.tell_timed(detail)

    @contextmanager
    def during(self, detail: str) -> Iterator[None]:
        """Says every PERIOD seconds that the block is still at it."""
        ended = threading.Event()

        def tick() -> None:
            while not ended.wait(PERIOD):
                self.tell_timed(detail)

        thread = threading.Thread(target=tick, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
