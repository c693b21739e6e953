"""One writer per file on the controller, however many greenlets, threads and processes want the same one."""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from deploy.errors import BoardllamaError

POLL = 2.0  # seconds between two looks at the file that another writer fills
PATIENCE = 300.0  # seconds for which that file may stand still; hashing 700 MB on a slow disk takes less


@contextlib.contextmanager
def take_turn(lock_file: Path, part: Path, say: Callable[[str], object]) -> Iterator[None]:
    """Makes the block the only writer of `part`. Waits while another writer has the turn and `part` grows.

    The lock is the kernel's: a killed run leaves none behind. Raises BoardllamaError when another writer has the turn
    and `part` stands still for PATIENCE seconds.
    """
    lock = FileLock(lock_file)
    watch: _Watch | None = None
    while not lock.is_locked:
        try:
            lock.acquire(timeout=POLL if watch else 0)
        except Timeout:
            if watch is None:
                say(f"{lock_file.parent}: another run is at work here, waiting for it")
                watch = _Watch(part)
            if watch.seconds_still() > PATIENCE:
                raise BoardllamaError(f"another run holds {lock_file} and stands still: end it, run again") from None
    try:
        yield
    finally:
        lock.release()


class _Watch:
    """How long a file has not changed its size."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = -1
        self.since = time.monotonic()

    def seconds_still(self) -> float:
        """Seconds since the size was last seen to change."""
        size = self.path.stat().st_size if self.path.exists() else 0
        if size != self.size:
            self.size, self.since = size, time.monotonic()
        return time.monotonic() - self.since
