"""A disk's write log, and what of it a power cut leaves: everything before the last flush, nothing after it.

The log is QEMU's blklogwrites, in the format of Linux's dm-log-writes: one sector about the log, then for each entry a
sector with its header and the sectors that it wrote. The file was empty at the start, so zeroes follow the last entry.
"""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntFlag
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

MAGIC = 0x6A736677736872
SUPER = struct.Struct("<QQQL")
HEADER = struct.Struct("<QQQQ")
# ext4's journal: magic number and block type of the record that makes a transaction count.
COMMIT = struct.pack(">LL", 0xC03B3998, 2)
JOURNAL_SUPERBLOCK = struct.pack(">LL", 0xC03B3998, 4)


class Flag(IntFlag):
    """What a request was; a plain write has none."""

    FLUSH = 1
    FUA = 2
    DISCARD = 4
    MARK = 8


class NotALog(ValueError):
    """The file is no write log."""


@dataclass(frozen=True)
class Entry:
    """One request as it ended: bytes of the disk from `offset` on, which lie at `place` in the log."""

    offset: int
    length: int
    flags: Flag
    place: int


@dataclass(frozen=True)
class Write:
    """Bytes that reached the disk."""

    offset: int
    data: bytes


def entries(log: BinaryIO) -> Iterator[Entry]:
    """All requests of a log, in the order in which they ended. Raises NotALog.

    QEMU writes their number down at a flush only, so it is not asked: a flush may be followed by a write with FUA.
    """
    magic, version, _, sector = SUPER.unpack(log.read(SUPER.size))
    if (magic, version) != (MAGIC, 1):
        raise NotALog(f"a write log begins with {MAGIC:#x}, version 1; this file with {magic:#x}, version {version}")
    place = sector
    while True:
        log.seek(place)
        header = log.read(HEADER.size)
        if len(header) < HEADER.size or not any(header):
            return
        first, sectors, flags, _ = HEADER.unpack(header)
        place += sector
        yield Entry(first * sector, sectors * sector, Flag(flags), place)
        if not flags & Flag.DISCARD:
            place += sectors * sector


def surviving(log: BinaryIO, until: int | None = None) -> list[Write]:
    """What a disk still has that loses everything unflushed when it is cut after `until` entries (None: at the end).

    A discard may or may not happen: here it does not.

    QEMU's NVMe disk drops the FUA bit of a write (force unit access: durable by itself, without a flush), with which
    ext4 ends every transaction. So the two kinds of blocks that ext4 writes so are known by what is in them.
    """
    found = list(islice(entries(log), until))
    last = max((number for number, entry in enumerate(found) if entry.flags & Flag.FLUSH), default=-1)
    writes = (
        (number, Write(entry.offset, read(log, entry)))
        for number, entry in enumerate(found)
        if entry.length and not entry.flags & (Flag.DISCARD | Flag.MARK)
    )
    return [write for number, write in writes if number < last or is_forced(found[number], write.data)]


def is_forced(entry: Entry, data: bytes) -> bool:
    """Whether the guest wrote it with FUA."""
    return bool(entry.flags & Flag.FUA) or data.startswith((COMMIT, JOURNAL_SUPERBLOCK))


def replay(log: Path, disk: Path, until: int | None = None) -> int:
    """Brings what survived a cut after `until` entries onto a qcow2 disk that is as the logged one was at the start.

    Returns how many writes that were. Raises NotALog.
    """
    with TemporaryDirectory(prefix="bl-replay-") as folder, log.open("rb") as file:
        commands = []
        for number, write in enumerate(surviving(file, until)):
            part = Path(folder) / str(number)
            part.write_bytes(write.data)
            commands.append(f"write -q -s {part} {write.offset} {len(write.data)}")
        line = ["qemu-io", "-t", "unsafe", "-f", "qcow2", str(disk)]
        done = subprocess.run(line, input="\n".join(commands), capture_output=True, text=True, check=False)
    if done.returncode or "failed" in done.stdout + done.stderr:
        raise NotALog(f"{log} could not be replayed onto {disk}: {(done.stderr or done.stdout).strip()}")
    return len(commands)


def read(log: BinaryIO, entry: Entry) -> bytes:
    """What a request wrote."""
    log.seek(entry.place)
    return log.read(entry.length)
