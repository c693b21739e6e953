"""Loop devices that stand for cards: their backing file is the card's memory, past the page cache (direct I/O)."""

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
def loop(file: Path, direct: bool = True) -> Iterator[Loop]:
    """A loop device over a file that is there. It is gone afterwards, however the test ended."""
    options = ["--find", "--show", f"--direct-io={'on' if direct else 'off'}"]
    made = subprocess.run(["losetup", *options, str(file)], capture_output=True, text=True, check=True)
    path = Path(made.stdout.strip())
    try:
        yield Loop(path, file)
    finally:
        subprocess.run(["losetup", "--detach", str(path)], check=True)


def card_file(path: Path, size: int) -> Path:
    """A sparse file in the place of a card's memory."""
    with path.open("wb") as file:
        file.truncate(size)
    return path
