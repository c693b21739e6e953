"""A loop that holds many talks in one thread.

asyncio would do the same for 20 MB, of which the whole front takes half.
"""

import math
import selectors
import time

from ..wire.talk import Talk, Wait


class Loop:
    """The talks that go on, and what each of them waits for."""

    def __init__(self) -> None:
        self.selector = selectors.DefaultSelector()
        self.waits: dict[Talk, Wait] = {}
        self.current: Talk | None = None  # the talk that goes on now

    def begin_talk(self, talk: Talk) -> None:
        """Runs a new talk until it waits for the first time."""
        self._go_on(talk, None)

    def wake_talk(self, talk: Talk) -> None:
        """Goes on with a talk that waits, as if its wait were over."""
        self._end_wait(talk)
        self._go_on(talk, None)

    def end_wait(self, talk: Talk) -> None:
        """Has a talk that waits meet its deadline now."""
        self._end_wait(talk)
        self._go_on(talk, TimeoutError())

    def run_talks(self) -> None:
        """Holds the talks until none is left."""
        while self.waits:
            for key, _ in self.selector.select(self._seconds_to_wait()):
                talk, wait = key.data
                if self.waits.get(talk) is wait:  # else it has gone on in this round already
                    self._end_wait(talk)
                    self._go_on(talk, key.fileobj)
            self._end_late_waits()

    def _seconds_to_wait(self) -> float | None:
        first = min(wait.deadline for wait in self.waits.values())
        return None if first == math.inf else max(0.0, first - time.monotonic())

    def _end_late_waits(self) -> None:
        now = time.monotonic()
        for talk in [talk for talk, wait in self.waits.items() if wait.deadline <= now]:
            if talk in self.waits:
                self.end_wait(talk)

    def _go_on(self, talk: Talk, what: object) -> None:
        before, self.current = self.current, talk
        try:
            wait = talk.throw(what) if isinstance(what, TimeoutError) else talk.send(what)  # type: ignore[arg-type]
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
