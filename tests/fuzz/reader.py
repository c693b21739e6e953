"""A reader of strangers' bytes, and the promise that it is judged by."""

import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

SECONDS, WAIT = 1.0, 10.0  # of the processor; of waiting, on a machine that does other work, too
MEMORY = 200_000_000  # bytes above what the process had


@dataclass(frozen=True)
class Reader:
    """`read`: takes the bytes, returns, or raises one of `errors`, whose words a person is shown.

    `examples`: real inputs, from which others are made. `words`: what may stand in one. `pace`: inputs of a long run
    beside those of others; 1 for a reader of about 1 ms. `surroundings`: what must be there meanwhile.
    """

    name: str
    read: Callable[[bytes], object]
    examples: Callable[[], list[bytes]]
    errors: tuple[type[Exception], ...] = ()
    words: tuple[bytes, ...] = ()
    pace: float = 1.0
    surroundings: Callable[[], AbstractContextManager[object]] = nullcontext


class TooSlow(BaseException):
    """A reader took more than SECONDS, or waited for more than WAIT. No `except Exception` of a reader may end it."""


class Unreadable(Exception):
    """An error whose words are no line that a terminal shows."""


def judge_input(reader: Reader, data: bytes) -> None:
    """Returns when the reader keeps its promise about the bytes. Raises whatever it must not raise."""
    try:
        reader.read(data)
    except reader.errors as error:
        require_line(str(error))


def require_line(text: str) -> None:
    """Raises Unreadable for a text that is no single line, or would tell a terminal what to do."""
    if not text.isprintable():
        raise Unreadable(ascii(text[:200]))


@contextmanager
def deadline(wait: float = WAIT) -> Iterator[None]:
    """Ends what takes more than SECONDS of the processor, or waits for more than `wait` seconds. Raises TooSlow."""
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    signal.setitimer(signal.ITIMER_REAL, wait)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.setitimer(signal.ITIMER_PROF, 0)


def raise_too_slow(*_: object) -> None:
    """The handler of both alarms."""
    raise TooSlow(f"it took more than {SECONDS:g} s of the processor, or {WAIT:g} s of waiting")


@contextmanager
def bounds() -> Iterator[None]:
    """Within it `deadline` works, and more than MEMORY cannot be had: that is a MemoryError."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    handlers = {alarm: signal.signal(alarm, raise_too_slow) for alarm in (signal.SIGALRM, signal.SIGPROF)}
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
        for alarm, handler in handlers.items():
            signal.signal(alarm, handler)
