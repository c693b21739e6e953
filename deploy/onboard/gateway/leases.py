"""The boards that are out of the rotation, each for a time only: a deploy that dies gives its boards back.

A file for each board, in a folder that does not survive a boot, holds a time of the monotonic clock, which no
correction of the date changes, and whether the board is on its way back.
"""

import fcntl
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LEASE_SECONDS = 60.0
OUT, RETURNING = "out", "returning"


class Leases:
    """The leases in a folder. Several deploys may have boards out at once."""

    def __init__(self, folder: Path, seconds: float = LEASE_SECONDS) -> None:
        self.folder, self.seconds = folder, seconds
        folder.mkdir(parents=True, exist_ok=True)

    def phases(self) -> dict[str, str]:
        """OUT or RETURNING by the names of the boards."""
        found = {}
        for path in self.folder.glob("[!.]*"):
            with suppress(OSError, ValueError):
                deadline, phase = path.read_text().split()
                if float(deadline) > time.monotonic():
                    found[path.name] = phase
        return found

    def take_lease(self, name: str, may_go: Callable[[Collection[str]], bool]) -> bool:
        """Takes the board out unless `may_go`, told which boards are out, says no. Returns whether it is out now."""
        with self.alone():
            others = self.phases().keys() - {name}
            if not may_go(others):
                return False
            self.write_lease(name, OUT)
            return True

    def write_lease(self, name: str, phase: str) -> None:
        """Renews a lease."""
        aside = self.folder / f".{name}"
        aside.write_text(f"{time.monotonic() + self.seconds} {phase}\n")
        aside.replace(self.folder / name)

    def drop_lease(self, name: str) -> None:
        """Gives the board back."""
        (self.folder / name).unlink(missing_ok=True)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else takes a lease during the block."""
        with (self.folder / ".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
