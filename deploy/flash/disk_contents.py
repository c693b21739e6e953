"""What would be lost with a disk: its partitions and file systems, read from the disk itself.

The kernel may not know them: without a parser for this partition table, or on a machine without udev, the disk looks
empty to lsblk.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from deploy.flash.devices import POOLS, SEVERAL, UNREADABLE, Device, disk_program_output, member_refusal
from deploy.flash.display_text import masked_text, size_text
from deploy.formats.spans import Span
from deploy.onboard.json_parts import parse_json

# Where a superblock says how many disks its file system has: offset and length in bytes, little-endian (num_devices of
# struct btrfs_super_block, nr_devices of struct bch_sb).
DISK_COUNTS = {"btrfs": (0x1_0088, 8), "bcachefs": (4096 + 123, 1)}


@dataclass(frozen=True)
class Content:
    """Something on a disk: a partition with or without a file system, or a file system without a partition."""

    name: str
    size: int  # bytes
    file_system: str
    label: str
    uuid: str = ""  # not shown: by their UUIDs two cards with the same names and sizes are told apart

    @property
    def listing_line(self) -> str:
        """Such as sdb1   537 MB  vfat  bootfs."""
        return f"{self.name:<12} {size_text(self.size):>8}  {self.file_system or 'unknown':<10} {self.label}".rstrip()


def read_contents(device: Device) -> list[Content]:
    """Everything on the disk now: the disk as a whole if it has a file system, then its partitions.

    Both are looked at, because a RAID member may have partitions, too. Raises BoardllamaError.
    """
    whole = span_content(device, device.name, Span(0, device.size))
    table = partition_table(device.path)
    return [*([whole] if whole.file_system else ()), *(partition_contents(device, table) if table else ())]


def partition_table(path: Path) -> dict[str, object] | None:
    """The value of `partitiontable` in the JSON of sfdisk; None for a disk without a table. Raises BoardllamaError."""
    said = disk_program_output("sfdisk", "--json", str(path), good=(0, 1))
    return dict(parse_json(said)["partitiontable"]) if said.strip() else None


def partition_contents(device: Device, table: dict[str, object]) -> Iterator[Content]:
    """The contents of each partition, in the order of the table. Raises BoardllamaError."""
    found, sector = table.get("partitions"), int(str(table.get("sectorsize", 512)))
    for one in found if isinstance(found, list) else []:
        span = Span(one["start"] * sector, (one["start"] + one["size"]) * sector)
        yield span_content(device, Path(one["node"]).name, span, one.get("name", ""))


def span_content(device: Device, name: str, span: Span, label: str = "") -> Content:
    """What fills the span of the disk. Raises BoardllamaError.

    The file system is empty when blkid knows none, and SEVERAL when it finds traces of more than one.
    """
    # A partition may reach past the end of the disk: blkid finds nothing in such a span, not even what is there.
    there = span.overlap_with(Span(0, device.size))
    where = ("--offset", str(span.start), "--size", str(max(0, there.size)), str(device.path))
    values = probed_values(*where)
    several = "ID_FS_AMBIVALENT" in values or (not values and has_traces(*where))
    file_system = SEVERAL if several else values.get("ID_FS_TYPE", "")
    if file_system in POOLS and pool_disk_count(device.path, span.start, file_system) > 1:
        file_system = POOLS[file_system]
    if values.get("ID_PART_TABLE_TYPE") == "PMBR":  # a GPT for other sectors, or a damaged GPT, hides what it holds
        file_system = UNREADABLE
    label = masked_text(values.get("ID_FS_LABEL") or label)
    return Content(name, span.size, file_system, label, values.get("ID_FS_UUID", ""))


def probed_values(*words: str) -> dict[str, str]:
    """What blkid finds there, by udev's names; empty when it finds nothing. Raises BoardllamaError."""
    said = disk_program_output("blkid", "--probe", *words, "--output", "udev", good=(0, 2, 8))
    return dict(line.partition("=")[::2] for line in said.splitlines())


def has_traces(*where: str) -> bool:
    """Whether blkid finds any of the types that it knows, where it finds nothing when it is asked for all of them.

    So that of util-linux 2.41 (Debian 13) answers where it finds several: with what it says where nothing is. Raises
    BoardllamaError.
    """
    return any(probed_values(*where, "--match-types", kind) for kind in disk_program_output("blkid", "-k").split())


def pool_disk_count(path: Path, start: int, file_system: str) -> int:
    """The number of disks of the file system that begins at byte `start`; 0 when its superblock cannot be read."""
    offset, length = DISK_COUNTS[file_system]
    try:
        with path.open("rb", buffering=0) as disk:
            disk.seek(start + offset)
            return int.from_bytes(disk.read(length), "little")
    except OSError:
        return 0


def contents_refusal(found: list[Content]) -> str | None:
    """Why a disk with these contents is refused; None when they are ordinary file systems."""
    return next((why for one in found if (why := member_refusal(one.file_system, one.name))), None)
