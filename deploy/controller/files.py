"""Files of the controller: hashed, made durable, worked on by one process at a time."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.controller.progress import say_line
from deploy.onboard.files import sha256_of, sync

__all__ = ["folder_lock", "sha256_of", "sync"]


@contextmanager
def folder_lock(folder: Path, who: str) -> Iterator[None]:
    """Lets one process at a time work in the folder; another waits, and says so as `who`.

    The lock is the kernel's: it ends with its process, however the process ends.
    """
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say_line(f"{who}: another process is at work on it, waiting")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
