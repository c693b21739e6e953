"""How long to wait for something that may be slow: for as long as it shows life."""

import time
from collections.abc import Callable


class Patience:
    """A wait that is over `seconds` after the last sign of life."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self.clock = clock
        self.since = clock()
        self.sign: object = None

    def is_over(self, sign: object) -> bool:
        """Whether there was no sign of life for too long. `sign`: a value that changes with each sign of life."""
        if sign != self.sign:
            self.sign, self.since = sign, self.clock()
        return self.clock() - self.since > self.seconds
