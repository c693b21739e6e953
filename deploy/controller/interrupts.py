"""Ctrl-C and its like, held back where they would leave something half done."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

# What a command says that Ctrl-C ends, and that goes on where it stopped.
INTERRUPTED = "interrupted: run the same again to go on"
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Holds back the signals that would end this process, until the block is over.

    Handlers hold them, because a signal mask is of one thread: the kernel gives a masked signal to another thread.
    Python runs handlers in its main thread, so the block in any other thread is never interrupted.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = {number: signal.signal(number, lambda number, _: came.append(number)) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for arrived in dict.fromkeys(came):
            signal.raise_signal(arrived)
