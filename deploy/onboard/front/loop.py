"""A loop that holds many talks in one thread.

asyncio would do the same for 20 MB, of which the whole front takes half.
"""

import math
import selectors
import time
from collections.abc import Callable

from ..wire.talk import Ready, Talk, Wait


class Loop:
    """The talks that go on, and what each of them waits for."""

    def __init__(self) -> None:
        self.selector = selectors.DefaultSelector()
        self.waits: dict[Talk, Wait] = {}
        self.current: Talk | None = None  # the talk that goes on now

    def begin_talk(self, talk: Talk) -> None:
        """Runs a new talk until it waits for the first time."""
        self._go_on(talk)

    def wake_talk(self, talk: Talk) -> None:
        """Goes on with a talk that waits, as if its wait were over."""
        self._end_wait(talk)
        self._go_on(talk)

    def end_wait(self, talk: Talk, error: Callable[[], Exception] = TimeoutError) -> None:
        """Has a talk that waits meet an error now, as at its deadline."""
        self._end_wait(talk)
        self._go_on(talk, error=error)

    def run_talks(self) -> None:
        """Holds the talks until none is left."""
        while self.waits:
            for key, _ in self.selector.select(self._seconds_to_wait()):
                talk, wait = key.data
                if self.waits.get(talk) is wait:  # else it has gone on in this round already
                    self._end_wait(talk)
                    self._go_on(talk, key.fileobj)  # type: ignore[arg-type]
            self._end_late_waits()

    def _seconds_to_wait(self) -> float | None:
        first = min(wait.deadline for wait in self.waits.values())
        return None if first == math.inf else max(0.0, first - time.monotonic())

    def _end_late_waits(self) -> None:
        now = time.monotonic()
        for talk in [talk for talk, wait in self.waits.items() if wait.deadline <= now]:
            if talk in self.waits:
                self.end_wait(talk)

    def _go_on(self, talk: Talk, ready: Ready = None, error: Callable[[], Exception] | None = None) -> None:
        before, self.current = self.current, talk
        try:
            # No name for the error: from Python 3.12 on its traceback leads back to this frame, and all that the talk
            # held would stay until the garbage collector comes.
            wait = talk.throw(error()) if error else talk.send(ready)
        except StopIteration:
            return
        finally:
            self.current = before
        self.waits[talk] = wait
        for sockets, event in ((wait.reading, selectors.EVENT_READ), (wait.writing, selectors.EVENT_WRITE)):
            for one in sockets:
                self.selector.register(one, event, (talk, wait))

    def _end_wait(self, talk: Talk) -> None:
        wait = self.waits.pop(talk)
        for one in (*wait.reading, *wait.writing):
            self.selector.unregister(one)
