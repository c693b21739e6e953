"""All of a base that is not its root: loaders, FAT, the table itself. The proof that nothing there was changed."""

import hashlib
from dataclasses import dataclass

from deploy.errors import BoardllamaError
from deploy.image.base.partitions import SECTOR, BaseDisk

# Code of the MBR; its four entries, of 16 bytes each, follow the id. A GPT's header and entries are sectors 1 to 33.
CODE, ENTRIES = 446, range(446, 510, 16)
GPT_BYTES = 34 * SECTOR
PROTECTIVE = 0xEE
# Bytes that a card's writer keeps in memory to write them last; what lies behind is found by what starts first.
LATE_AT_MOST = 32 << 20
PIECE = 1 << 22


@dataclass(frozen=True)
class BootArea:
    """`code` and `rest`: the bytes before the root without the table. `rows`: the MBR's entries but for what grows.

    `parts`: all that the table says, but for the size of the root.
    """

    code: bytes
    rows: tuple[bytes, ...]
    parts: tuple[object, ...]
    rest: str


def read_boot_area(disk: BaseDisk) -> BootArea:
    """What must be the same before and after."""
    digest = hashlib.sha256()
    with disk.path.open("rb") as file:
        sector = file.read(SECTOR)
        file.seek(begin := GPT_BYTES if disk.label == "gpt" else SECTOR)
        while piece := file.read(min(PIECE, disk.root.start - begin)):
            digest.update(piece)
            begin += len(piece)
    entries = [sector[at : at + 16] for at in ENTRIES]
    grows = (PROTECTIVE,) if disk.label == "gpt" else ()
    rows = tuple(row for row in entries if row[4] not in grows and not is_root(row, disk))
    root = disk.root
    parts = (disk.label, disk.id, *disk.partitions[:-1], (root.number, root.start, root.holds, root.said))
    return BootArea(sector[:CODE], rows, parts, digest.hexdigest())


def is_root(row: bytes, disk: BaseDisk) -> bool:
    """Whether an entry of the MBR is that of the root, by where it begins."""
    return int.from_bytes(row[8:12], "little") * SECTOR == disk.root.start


def check_boot_area(before: BootArea, after: BootArea) -> None:
    """Raises BoardllamaError unless both are the same."""
    if before != after:
        raise BoardllamaError(
            "what lies before the root of the base would be changed: its partition table is one that sfdisk does not "
            "keep (a hybrid MBR?); take an image with a plain GPT or MBR"
        )


def late_sectors(disk: BaseDisk) -> tuple[tuple[int, int], ...]:
    """Offset and length in bytes of what makes a card boot: the table, and the loaders before the first partition."""
    return ((0, min(disk.partitions[0].start, LATE_AT_MOST)),)
