"""What an ext4 file system says of itself in its superblock: the kernel's Documentation/filesystems/ext4/super.rst."""

import struct
from dataclasses import dataclass
from pathlib import Path

from deploy.errors import BoardllamaError

OFFSET, LENGTH, MAGIC = 1024, 1024, 0xEF53
LARGEST = 6  # what 1024 bytes are doubled so often for a block: 64 KiB
WIDE = 0x80  # of the incompatible features: block numbers have 64 bits
# What fuse2fs would write wrongly, or not open: bits of the incompatible and of the read-only compatible features.
REFUSED_INCOMPATIBLE = {0x8: "journal_dev", 0x10000: "encrypt", 0x20000: "casefold"}
REFUSED_READ_ONLY = {0x100: "quota", 0x1000: "readonly", 0x2000: "project", 0x4000: "shared_blocks", 0x8000: "verity"}


@dataclass(frozen=True)
class Superblock:
    """Sizes in bytes. `refused`: names of features with which the file system cannot be edited here."""

    block: int
    size: int
    free: int
    refused: tuple[str, ...]

    @property
    def used(self) -> int:
        return self.size - self.free


def read_superblock(disk: Path, start: int) -> Superblock:
    """The superblock of the ext4 that begins at that byte of the disk. Raises BoardllamaError for no ext4."""
    with disk.open("rb") as file:
        file.seek(start + OFFSET)
        raw = file.read(LENGTH).ljust(LENGTH, b"\0")

    def number(at: int) -> int:
        return int(struct.unpack_from("<I", raw, at)[0])

    if struct.unpack_from("<H", raw, 0x38)[0] != MAGIC:
        raise BoardllamaError(f"{disk} has no ext4 at byte {start}: get the image again from its vendor")
    if number(0x18) > LARGEST:
        raise BoardllamaError(f"{disk} has a damaged ext4 at byte {start}: get the image again from its vendor")
    block, incompatible, read_only = 1024 << number(0x18), number(0x60), number(0x64)
    high = (number(0x150) << 32, number(0x158) << 32) if incompatible & WIDE else (0, 0)
    refused = [name for bit, name in REFUSED_INCOMPATIBLE.items() if incompatible & bit]
    refused += [name for bit, name in REFUSED_READ_ONLY.items() if read_only & bit]
    return Superblock(block, (number(0x4) + high[0]) * block, (number(0xC) + high[1]) * block, tuple(refused))


def check_features(found: Superblock, name: str) -> None:
    """Raises BoardllamaError for a root that fuse2fs cannot edit. `name`: of the base, for the error."""
    if found.refused:
        raise BoardllamaError(
            f"{name}: its root file system has the ext4 feature {', '.join(found.refused)}, with which fuse2fs cannot "
            "edit it: make a base without (tune2fs -O ^feature) where the vendor's system does not need the feature"
        )
