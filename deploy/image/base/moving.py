"""Parts of sparse files that change their file: what has been moved takes no room where it was."""

import os
from pathlib import Path
from typing import IO

CHUNK, HOLE = 1 << 24, 1 << 16  # bytes


def move_tail(source: Path, start: int, target: Path, place: int) -> None:
    """Moves the bytes of `source` from `start` on to byte `place` of `target`, which ends with them; zeros as holes.

    The last come first: both files together never take more than a CHUNK beyond what they took.
    """
    size = source.stat().st_size - start
    target.touch()
    with source.open("r+b") as giver, target.open("r+b") as taker:
        taker.truncate(place)
        taker.truncate(place + size)
        for begin in reversed(range(0, size, CHUNK)):
            if not is_hole(source, start + begin):
                giver.seek(start + begin)
                write_sparse(taker, place + begin, giver.read(CHUNK))
            giver.truncate(start + begin)


def is_hole(path: Path, place: int) -> bool:
    """Whether nothing is stored in the CHUNK of the file from that byte on."""
    with path.open("rb") as file:
        try:
            return os.lseek(file.fileno(), place, os.SEEK_DATA) >= place + CHUNK
        except OSError:  # ENXIO: nothing up to the end
            return True


def write_sparse(file: IO[bytes], place: int, content: bytes) -> None:
    """Writes the pieces of the content that are not all zeros; where the file has a hole, the hole stays."""
    zeros = bytes(HOLE)
    for begin in range(0, len(content), HOLE):
        piece = content[begin : begin + HOLE]
        if piece != zeros[: len(piece)]:
            file.seek(place + begin)
            file.write(piece)
