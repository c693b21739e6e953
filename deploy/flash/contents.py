"""What would be lost with a disk: its partitions and file systems, read from the disk itself.

The kernel may not know them: one without a parser for partition tables, or a machine without udev, shows an empty disk.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from deploy.flash.devices import SEVERAL, Device, asked, member
from deploy.flash.words import amount


@dataclass(frozen=True)
class Content:
    """Something on a disk: a partition with or without a file system, or a file system without a partition."""

    name: str
    size: int  # bytes
    file_system: str
    label: str

    @property
    def line(self) -> str:
        """As in sdb1   537 MB  vfat  bootfs."""
        return f"{self.name:<12} {amount(self.size):>8}  {self.file_system or 'unknown':<10} {self.label}".rstrip()


@cache
def contents(device: Device) -> list[Content]:
    """Everything that is found: the disk as a whole first, which may be a RAID member and have partitions too.

    Raises BoardllamaError.
    """
    file_system, label = file_system_at(device.path, 0, device.size)
    whole = [Content(device.name, device.size, file_system, label)] if file_system else []
    table = partition_table(device.path)
    return [*whole, *(partitions(device, table) if table else ())]


def partition_table(path: Path) -> dict[str, object] | None:
    """As sfdisk tells; None without one."""
    said = asked("sfdisk", "--json", str(path), good=(0, 1))
    return dict(json.loads(said)["partitiontable"]) if said.strip() else None


def partitions(device: Device, table: dict[str, object]) -> Iterator[Content]:
    """In the table's order."""
    found, sector = table.get("partitions"), int(str(table.get("sectorsize", 512)))
    for one in found if isinstance(found, list) else []:
        offset, size = one["start"] * sector, one["size"] * sector
        file_system, label = file_system_at(device.path, offset, size)
        yield Content(Path(one["node"]).name, size, file_system, label or one.get("name", ""))


def file_system_at(path: Path, offset: int, size: int) -> tuple[str, str]:
    """Type and label of what begins there, in bytes; empty when nothing known does, SEVERAL when that is not clear."""
    where = ("--probe", "--offset", str(offset), "--size", str(size), "--output", "udev")
    said = asked("blkid", *where, str(path), good=(0, 2, 8))
    values = dict(line.partition("=")[::2] for line in said.splitlines())
    if "ID_FS_AMBIVALENT" in values:
        return SEVERAL, ""
    return values.get("ID_FS_TYPE", ""), values.get("ID_FS_LABEL", "")


def holds_member(found: list[Content]) -> str | None:
    """Why a disk with these contents is refused."""
    return next((why for one in found if (why := member(one.file_system, one.name))), None)
