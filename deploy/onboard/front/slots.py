"""How many requests a server works on at once, and who waits for it, in the order in which they came."""

import socket
import time
from collections import deque
from collections.abc import Generator

from ..wire.message import Declined
from ..wire.talk import Ready, Talk, Wait, soon
from .loop import Loop

MOST_WAITING = 32
FIRST_GUESS = 10.0  # seconds that a request takes, before any has been seen


class Slots:
    """The slots of one server."""

    def __init__(self, loop: Loop, name: str, count: int) -> None:
        self.loop, self.name, self.count, self.free = loop, name, count, count
        self.waiting: deque[Talk] = deque()
        self.usual = FIRST_GUESS

    def take_slot(self, client: socket.socket, seconds: float) -> Generator[Wait, Ready, float]:
        """Waits for a slot. Returns when it was had (time.monotonic). Raises Declined when there is none for so long,
        ConnectionError when the client goes away.
        """
        if self.free:
            self.free -= 1
            return time.monotonic()
        if len(self.waiting) >= MOST_WAITING:
            raise self.refusal()
        talk = self.loop.current
        assert talk
        self.waiting.append(talk)
        try:
            ready = yield Wait(reading=(client,), deadline=soon(seconds))
        except TimeoutError:
            self.waiting.remove(talk)
            raise self.refusal() from None
        if ready is not None:
            self.waiting.remove(talk)
            raise ConnectionError("the client went away")
        return time.monotonic()

    def give_slot(self, since: float) -> None:
        """Gives back a slot that was had `since` then; the first who waits gets it."""
        self.usual += (time.monotonic() - since - self.usual) / 4
        if self.waiting:
            self.loop.wake_talk(self.waiting.popleft())
        else:
            self.free += 1

    def refusal(self) -> Declined:
        """Says when to come again."""
        there = len(self.waiting)
        retry = max(1, round(self.usual * (there + 1) / self.count))
        said = f"{self.name} works on {self.count} requests, and {there} wait: try again in {retry} s"
        return Declined(503, said, retry)
