"""What a program says on stderr while it works: lines that stay, and below them the state of what is under way.

On a terminal that the program has to itself, the state is drawn again and again in its place. Elsewhere, in a pipe or
among the lines of pyinfra, it is a line now and then: "what: detail, 12 s". Stdout belongs to results.
"""

import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

Say = Callable[[str], object]
Status = Callable[[float], str]  # the state at a time of time.monotonic(), as one line

# Seconds between two lines of a state: PERIOD on a terminal. In a log each wait after the first ones is longer than the
# one before, so that an hour of work is fifty lines and not seven hundred.
PERIOD, LONGEST = 5.0, 120.0
FIRST, LONGER = 3, 1.25
REDRAW_SECONDS = 0.5  # between two pictures of a state that is drawn in its place


@dataclass
class Display:
    """The terminal of this process. `owned`: nothing else writes to it. `rows`: of the state that is drawn now."""

    owned: bool = False
    states: list[Status] = field(default_factory=list)
    rows: int = 0
    lock: threading.RLock = field(default_factory=threading.RLock)

    def own_terminal(self) -> None:
        """Lets states be drawn in their place from now on, if stderr is a terminal that can."""
        self.owned = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"

    def say(self, line: str) -> None:
        """Writes a line that stays, above the state."""
        self.draw(f"{line}\n")

    def draw(self, above: str = "") -> None:
        """Draws the state anew, below the text."""
        with self.lock:
            wiped = f"\x1b[{self.rows}A\r\x1b[J" if self.rows else ""
            width, now = shutil.get_terminal_size().columns - 1, time.monotonic()
            rows = [state(now)[:width] for state in self.states]
            self.rows = len(rows)
            write_text(wiped + above + "".join(f"{row}\n" for row in rows))


def write_text(text: str) -> None:
    """Writes to stderr. A terminal that is gone must not stop what is under way."""
    with suppress(OSError, ValueError):
        print(text, end="", file=sys.stderr, flush=True)


DISPLAY = Display()


def say_line(line: str) -> None:
    """Prints a line for people. A terminal that is gone must not stop what is under way."""
    DISPLAY.say(line)


@contextmanager
def show_states(*states: Status, say: Say = say_line) -> Iterator[None]:
    """Shows the states until the block ends, by a thread that no state can stop. `say`: how, where none is drawn."""
    ended = threading.Event()
    drawn = DISPLAY.owned
    show = (lambda: draw_states(ended)) if drawn else (lambda: say_states(states, say, ended))
    thread = threading.Thread(target=show, daemon=True)
    if drawn:
        DISPLAY.states.extend(states)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        if drawn:
            with DISPLAY.lock:
                DISPLAY.states = [state for state in DISPLAY.states if state not in states]
            DISPLAY.draw()


def draw_states(ended: threading.Event) -> None:
    while not ended.wait(REDRAW_SECONDS):
        DISPLAY.draw()


def say_states(states: Sequence[Status], say: Say, ended: threading.Event) -> None:
    """Says a line for each state now and then."""
    said = 0
    while not ended.wait(next_wait(said)):
        said += 1
        for state in states:
            say(state(time.monotonic()))


def next_wait(said: int) -> float:
    """Seconds until the next line about a state of which `said` lines were said."""
    return PERIOD if sys.stderr.isatty() else min(PERIOD * LONGER ** max(0, said - FIRST), LONGEST)


def nothing_known(seconds: float) -> str:
    """What is said of the time left when nothing is known of it."""
    return ""


@dataclass
class Progress:
    """What is said of one thing, which `what` names. `started`, `shown`: times of time.monotonic().

    `said`: the number of lines that were said because they were due.
    """

    what: str
    say: Say = say_line
    started: float = field(default_factory=time.monotonic)
    shown: float = field(default_factory=time.monotonic)
    said: int = 0

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
        """Whether it is time for another line, which is true once: the answer counts as the line."""
        now = time.monotonic()
        if now - self.shown < next_wait(self.said):
            return False
        self.shown, self.said = now, self.said + 1
        return True

    def still(self, detail: str) -> None:
        """Says what is being done, when a line is due."""
        if self.is_due():
            self.tell_timed(detail)

    @contextmanager
    def during(self, detail: str, left: Callable[[float], str] = nothing_known) -> Iterator[None]:
        """Shows until the block ends that it is still at it. `left`: what is said of the time left, by the seconds."""
        with show_states(lambda now: f"{self.what}: {detail}, {self.seconds:.0f} s{left(self.seconds)}", say=self.say):
            yield


def duration_text(seconds: float) -> str:
    """Such as 4.2 s, 44 s or 3 min."""
    return f"{seconds:.1f} s" if seconds < 10 else whole_duration(seconds)


def whole_duration(seconds: float) -> str:
    """Such as 4 s, 44 s or 3 min."""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
