"""Runs on the target as `python3 - PATH KIND SEED`: damages a stored file as a bad card, a proxy or a person would.

Prints where. The file is changed in place when it can be; a program that runs can only be replaced.
"""

import os
import random
import shutil
import sys
from pathlib import Path

PAGE = b"<!DOCTYPE html><html><title>Sign in to this network</title></html>\n"
HEADER = 1024


def place(kind: str, size: int, dice: random.Random) -> int:
    """The offset of the byte that is flipped, or the length that is left."""
    ranges = {"first": (0, 0), "header": (1, HEADER), "middle": (HEADER, size - 2), "last": (size - 1, size - 1)}
    low, high = ranges.get(kind, (1, size - 1))
    return dice.randint(low, min(high, size - 1))


def damaged(content: bytes, kind: str, at: int) -> bytes:
    """The bytes that the file has afterwards."""
    if kind == "truncated":
        return content[:at]
    if kind == "html":
        return PAGE
    if kind == "grown":
        return content + content[:at]
    return content[:at] + bytes([content[at] ^ 0x20]) + content[at + 1 :]


def write(path: Path, content: bytes) -> None:
    """In place, or by a copy of the same rights under its name when it is a running program."""
    try:
        path.write_bytes(content)
    except OSError:
        aside = path.with_name(f"{path.name}.damaged")
        aside.write_bytes(content)
        shutil.copystat(path, aside)
        stat = path.stat()
        os.chown(aside, stat.st_uid, stat.st_gid)
        aside.replace(path)


def main(name: str, kind: str, seed: int) -> str:
    """Damages the file; what was done to it."""
    path = Path(os.path.realpath(name))
    content = path.read_bytes()
    at = place(kind, len(content), random.Random(seed))
    write(path, damaged(content, kind, at))
    return f"{kind} at {at} of {len(content)}"


if __name__ == "__main__":
    print(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
