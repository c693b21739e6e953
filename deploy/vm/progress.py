"""What is said of one machine while something is done with it."""

import sys
import time

from deploy.vm.machine import Machine

# Seconds from one line about the same thing to the next.
INTERVAL = 5.0


class MachineProgress:
    """Lines on stderr about one machine. `started`: the time.monotonic() that `seconds` count from; None: now."""

    def __init__(self, machine: Machine, started: float | None = None) -> None:
        self.name = machine.name
        self.started = time.monotonic() if started is None else started
        self.last = self.started

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started

    def say(self, line: str) -> None:
        print(f"vm {self.name}: {line}", file=sys.stderr, flush=True)

    def still(self, doing: str) -> None:
        """Says "booting, 12 s", or whatever is being done, at most once in INTERVAL seconds."""
        if time.monotonic() - self.last >= INTERVAL:
            self.last = time.monotonic()
            self.say(f"{doing}, {self.seconds:.0f} s")
