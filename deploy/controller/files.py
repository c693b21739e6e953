"""Files of the controller: hashed, made durable, worked on by one process at a time."""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from deploy.controller.progress import say_line
from deploy.onboard.files import sha256_of, sync

LOOK_SECONDS = 0.1

__all__ = ["folder_lock", "sha256_of", "sync"]


@contextmanager
def folder_lock(folder: Path, who: str) -> Iterator[None]:
    """Lets one process at a time work in the folder; another waits, and says so as `who`.

    The lock is the kernel's: it ends with its process, however the process ends.
    """
    with (folder / ".lock").open("w") as lock:
        if not try_lock(lock):
            say_line(f"{who}: another process is at work on it, waiting")
            while not try_lock(lock):
                time.sleep(LOOK_SECONDS)  # a wait in the kernel would stop the other hosts of a run, too
        yield


def try_lock(file: IO[str]) -> bool:
    """Locks the file unless somebody else has. Returns whether the lock is ours."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
