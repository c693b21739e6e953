"""The replay of a disk's write log: what was flushed is there, what was not is gone."""

import io
import struct
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.vm.machine import Hardware, Machine
from tests.faults.write_log import COMMIT, HEADER, MAGIC, SUPER, Flag, NotALog, entries, replay, surviving

SECTOR = 512


def sectors(text: bytes) -> bytes:
    """Padded to whole sectors."""
    return text + bytes(-len(text) % SECTOR)


def logged(*requests: tuple[int, bytes, Flag]) -> bytes:
    """A log of requests (first sector, bytes, flags) as QEMU writes it, with the hole that follows."""
    text = sectors(SUPER.pack(MAGIC, 1, 0, SECTOR))
    for first, data, flags in requests:
        count = 8 if flags & Flag.DISCARD else len(sectors(data)) // SECTOR
        text += sectors(HEADER.pack(first, count, flags, 0)) + sectors(data)
    return text + bytes(4 * SECTOR)


def survivors(*requests: tuple[int, bytes, Flag]) -> list[tuple[int, bytes]]:
    """First sector and beginning of what is left after a cut."""
    left = surviving(io.BytesIO(logged(*requests)))
    return [(write.offset // SECTOR, write.data.rstrip(b"\0")) for write in left]


PLAIN, FLUSH = Flag(0), (0, b"", Flag.FLUSH)


def test_a_write_survives_when_a_flush_follows() -> None:
    assert survivors((1, b"kept", PLAIN), FLUSH, (2, b"lost", PLAIN)) == [(1, b"kept")]


def test_without_a_flush_nothing_survives() -> None:
    assert survivors((1, b"lost", PLAIN), (2, b"lost", PLAIN)) == []


def test_an_empty_log_is_one() -> None:
    assert survivors() == []


def test_the_order_of_writes_is_kept() -> None:
    assert survivors((1, b"old", PLAIN), (1, b"new", PLAIN), FLUSH) == [(1, b"old"), (1, b"new")]


def test_a_write_with_fua_needs_no_flush() -> None:
    assert survivors((1, b"lost", PLAIN), (2, b"kept", Flag.FUA)) == [(2, b"kept")]


def test_a_commit_record_of_ext4_needs_no_flush() -> None:
    """The bit that says so gets lost in QEMU's NVMe disk."""
    assert survivors((1, b"data", PLAIN), FLUSH, (9, COMMIT, PLAIN), (2, b"lost", PLAIN)) == [
        (1, b"data"),
        (9, COMMIT),
    ]


def test_a_discard_carries_no_bytes_and_does_nothing() -> None:
    assert survivors((1, b"kept", PLAIN), (1, b"", Flag.DISCARD), (2, b"kept too", PLAIN), FLUSH) == [
        (1, b"kept"),
        (2, b"kept too"),
    ]


def test_what_is_no_log_is_refused() -> None:
    with pytest.raises(NotALog, match="begins with"):
        list(entries(io.BytesIO(bytes(4096))))


def test_the_header_is_that_of_dm_log_writes() -> None:
    """Little-endian, packed: recorded from QEMU 7.2."""
    header = struct.pack("<QQQQ", 8360, 8, 0, 0)
    (entry,) = entries(io.BytesIO(sectors(SUPER.pack(MAGIC, 1, 1, SECTOR)) + sectors(header) + bytes(4096)))
    assert (entry.offset, entry.length, entry.place) == (4280320, 4096, 1024)


def test_a_replay_writes_onto_the_disk(tmp_path: Path) -> None:
    disk, raw, log = tmp_path / "disk.qcow2", tmp_path / "disk.raw", tmp_path / "log"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", disk, "1M"], check=True)
    log.write_bytes(logged((3, b"one", PLAIN), (3, b"two", PLAIN), FLUSH, (4, b"lost", PLAIN)))
    assert replay(log, disk) == 2
    subprocess.run(["qemu-img", "convert", "-O", "raw", disk, raw], check=True)
    assert raw.read_bytes().rstrip(b"\0") == bytes(3 * SECTOR) + b"two"


def test_a_replay_that_does_not_fit_says_so(tmp_path: Path) -> None:
    disk, log = tmp_path / "disk.qcow2", tmp_path / "log"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", disk, "1M"], check=True)
    log.write_bytes(logged((9999, b"beyond the end", PLAIN), FLUSH))
    with pytest.raises(NotALog, match="could not be replayed"):
        replay(log, disk)


def test_a_machine_logs_only_when_told_to(tmp_path: Path) -> None:
    machine = Machine(tmp_path, 2201, 2202, Path("/k"), "root")
    assert "blklogwrites" not in " ".join(machine.qemu_command("key"))
    logging = replace(machine, hardware=Hardware(write_log=True))
    assert "driver=blklogwrites,node-name=root,file=disk,log=log" in logging.qemu_command("key")
