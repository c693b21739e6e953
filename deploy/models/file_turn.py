"""One writer per file on the controller, however many greenlets, threads and processes want the same one."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from deploy.controller.patience import Patience
from deploy.errors import BoardllamaError

POLL = 2.0  # seconds between two looks at the file that another writer fills
PATIENCE = 300.0  # seconds for which that file may stand still; hashing 700 MB on a slow disk takes less


@contextlib.contextmanager
def take_turn(lock_file: Path, part: Path, say: Callable[[str], object], seconds: float = PATIENCE) -> Iterator[None]:
    """Makes the block the only writer of `part`. Waits while another writer has the turn and `part` grows.

    The lock is the kernel's: a killed run leaves none behind. Raises BoardllamaError when another writer has the turn
    and `part` stands still for so many seconds.
    """
    lock = FileLock(lock_file)
    patience: Patience | None = None
    while not lock.is_locked:
        try:
            lock.acquire(timeout=min(POLL, seconds) if patience else 0)
        except Timeout:
            if patience is None:
                say(f"{lock_file.parent}: another run is at work here, waiting for it")
                patience = Patience(seconds)
            if patience.is_over(part.stat().st_size if part.exists() else 0):
                raise BoardllamaError(f"another run holds {lock_file} and stands still: end it, run again") from None
    try:
        yield
    finally:
        lock.release()
