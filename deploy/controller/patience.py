"""How long to wait for something that may be slow: for as long as it shows life."""

import time
from collections.abc import Callable


class Patience:
    """Ends `seconds` after the last sign of life."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self.clock = clock
        self.since = clock()
        self.sign: object = None

    def ends(self, sign: object) -> bool:
        """Whether nothing has happened for too long. `sign` is another value whenever something has."""
        if sign != self.sign:
            self.sign, self.since = sign, self.clock()
        return self.clock() - self.since > self.seconds
