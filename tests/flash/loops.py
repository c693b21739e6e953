"""Loop devices that stand for cards: their backing file is the card's memory, past the page cache (direct I/O)."""

import fcntl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Loop:
    """A loop device, and the file behind it, whose path is what `--serial` names."""

    path: Path
    file: Path


@contextmanager
def attach_lock() -> Iterator[None]:
    """Holds the lock of all tests: else another worker takes the loop device that is about to be used."""
    with Path("/dev/loop-control").open("rb") as control:
        fcntl.flock(control, fcntl.LOCK_EX)
        yield


@contextmanager
def loop_device(file: Path, sector: int = 512) -> Iterator[Loop]:
    """A loop device over a file that exists. The device is gone afterwards, however the test ended."""
    command = ["losetup", "--find", "--show", f"--sector-size={sector}", str(file)]
    with attach_lock():
        path = Path(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())
    # A file in RAM may know no direct I/O, and needs none.
    subprocess.run(["losetup", "--direct-io=on", str(path)], capture_output=True, check=False)
    try:
        yield Loop(path, file)
    finally:
        subprocess.run(["losetup", "--detach", str(path)], check=True)


def card_file(path: Path, size: int) -> Path:
    """A sparse file in the place of a card's memory."""
    with path.open("wb") as file:
        file.truncate(size)
    return path
