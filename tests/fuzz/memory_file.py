"""A file whose bytes lie in memory, for readers that want a path: a long run writes no disk."""

import os
from functools import cache
from pathlib import Path
from tempfile import mkdtemp


@cache
def scratch() -> Path:
    """A folder of this process, in memory where there is one."""
    return Path(mkdtemp(prefix="boardllama-fuzz-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None))


def file_of(name: str, data: bytes) -> Path:
    """The path of a file with these bytes. The next one of that name takes its place."""
    path = scratch() / name
    path.write_bytes(data)
    return path
