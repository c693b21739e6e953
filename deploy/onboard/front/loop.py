"""A loop that holds many talks in one thread: each is a generator, which yields what it waits for.

asyncio would do the same for 20 MB, of which the whole front takes half.
"""

import math
import selectors
import socket
import time
from collections.abc import Generator
from typing import NamedTuple


class Wait(NamedTuple):
    """What a talk waits for: until one of the sockets can be read or written to, or until the time `deadline`."""

    reading: tuple[socket.socket, ...] = ()
    writing: tuple[socket.socket, ...] = ()
    deadline: float = math.inf  # time.monotonic()


# A talk is given the socket that is ready, or None when another talk wakes it. It meets TimeoutError at its deadline.
Talk = Generator[Wait, socket.socket | None, None]
Ready = socket.socket | None


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


def soon(seconds: float) -> float:
    """The deadline in so many seconds."""
    return time.monotonic() + seconds


def send_all(to: socket.socket, content: bytes | bytearray, deadline: float) -> Talk:
    """Sends everything. Raises OSError when the other side is gone, or takes nothing until the deadline."""
    rest = memoryview(content)
    while rest:
        try:
            rest = rest[to.send(rest) :]
        except BlockingIOError:
            yield Wait(writing=(to,), deadline=deadline)


def receive_some(source: socket.socket, deadline: float, most: int = 1 << 16) -> Generator[Wait, Ready, bytes]:
    """The next bytes that come; b"" when the other side has ended. Raises OSError."""
    while True:
        try:
            return source.recv(most)
        except BlockingIOError:
            yield Wait(reading=(source,), deadline=deadline)
