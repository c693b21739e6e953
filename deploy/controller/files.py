"""Files of the controller: hashed, made durable, worked on by one process at a time."""

import fcntl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.onboard.files import sha256_of, sync

__all__ = ["alone", "sha256_of", "sync"]


@contextmanager
def alone(folder: Path, who: str) -> Iterator[None]:
    """One process at a time works in the folder; `who` waits. The lock goes with its process, however it ends."""
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"{who}: another process is at work on it, waiting", file=sys.stderr, flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
