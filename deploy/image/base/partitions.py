"""The partition table of a base, and which of its partitions is the root: the last on the disk, so that it can grow.

Everything before the root is the vendor's and stays as it is, byte for byte: loaders outside of partitions, too.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.controller.programs import Ended, program_output, run_program
from deploy.errors import BoardllamaError
from deploy.onboard.json_parts import parse_json

SECTOR = 512
EXT4 = "ext4"
# What people call a file system, by blkid's name.
WORDS = {"crypto_LUKS": "LUKS, which is encrypted", "LVM2_member": "LVM", "vfat": "FAT", "swap": "swap space"}
RULE = "BASE needs an ext4 root file system that is the last partition on the disk"
# The kinds of extended partition in an MBR, inside of which the logical ones lie.
EXTENDED = ("5", "f", "85")


@dataclass(frozen=True)
class BasePartition:
    """`number`: as the table counts. `start`, `size`: bytes. `holds`: what blkid calls its content, "" for nothing.

    `said`: all else that the table says of it, such as its type, its id and its name.
    """

    number: int
    start: int
    size: int
    holds: str
    said: tuple[tuple[str, str], ...] = ()

    @property
    def end(self) -> int:
        """The first byte behind."""
        return self.start + self.size

    @property
    def content(self) -> str:
        """What it holds, in words."""
        return WORDS.get(self.holds, self.holds) or "nothing that is known"


@dataclass(frozen=True)
class BaseDisk:
    """A disk image with a partition table. `label`: gpt or dos. `partitions`: in their order on the disk.

    `size`: of the disk, in bytes. `id`: of the table.
    """

    path: Path
    size: int
    label: str
    id: str
    partitions: tuple[BasePartition, ...]

    @property
    def root(self) -> BasePartition:
        """The root file system's partition."""
        return self.partitions[-1]

    @property
    def fats(self) -> tuple[BasePartition, ...]:
        """The partitions that firmware reads, and other operating systems show."""
        return tuple(partition for partition in self.partitions if partition.holds == "vfat")


def read_disk(path: Path, name: str) -> BaseDisk:
    """The base at `path`, which errors call `name`. Raises BoardllamaError for a layout that cannot be edited."""
    table = read_partition_table(path, name)
    rows = sorted(table["partitions"], key=lambda row: row["start"])
    if table.get("sectorsize", SECTOR) != SECTOR:
        raise BoardllamaError(f"{name} has sectors of {table['sectorsize']} bytes: BASE needs an image with {SECTOR}")
    if not rows:
        raise BoardllamaError(f"{name} has a partition table and no partition: give an image of a whole system")
    if any(row["type"] in EXTENDED for row in rows):
        raise BoardllamaError(f"{name} has an extended partition, inside of which no root can grow: {RULE}")
    partitions = tuple(partition_of(path, row) for row in rows)
    found = BaseDisk(path, path.stat().st_size, table["label"], table["id"], partitions)
    check_root(found, name)
    return found


def read_partition_table(path: Path, name: str) -> dict[str, Any]:
    """What sfdisk says of the disk's table. Raises BoardllamaError where there is none."""
    seen = probe_content(path)
    kind = seen.get("PTTYPE", "")
    if kind not in ("gpt", "dos"):
        what = f"a {seen['TYPE']} file system without a partition table" if "TYPE" in seen else "no disk image"
        what = f"a disk with a table of kind {kind}" if kind else what
        raise BoardllamaError(f"{name} is {what}: give an image of a whole disk, with a GPT or an MBR")
    said = program_output("sfdisk", "--json", str(path), package="fdisk")
    return {"partitions": [], **parse_json(said)["partitiontable"]}


def probe_content(path: Path, start: int = 0, size: int | None = None) -> dict[str, str]:
    """blkid's names and values for the bytes of a file from `start` on. Empty when blkid knows nothing there."""
    where = ["--offset", str(start), *(["--size", str(size)] if size else [])]
    words = ["blkid", "--probe", *where, "--output", "export", str(path)]
    said = program_output(*words, good=(0, 2), package="util-linux").decode(errors="replace")
    return dict(line.split("=", 1) for line in said.splitlines() if "=" in line)


def list_fat(path: Path, start: int, *options: str) -> Ended:
    """What mdir says of the FAT at byte `start` of the disk; its status is not 0 where mtools cannot read the FAT."""
    environment = {**os.environ, "MTOOLSRC": "/dev/null"}
    return run_program("mdir", "-i", f"{path}@@{start}", *options, "::", env=environment, package="mtools")


def partition_of(path: Path, row: dict[str, Any]) -> BasePartition:
    """A row of sfdisk's table, with what the partition holds."""
    number = int(row["node"].removeprefix(str(path)).lstrip("p"))
    start, size = row["start"] * SECTOR, row["size"] * SECTOR
    said = tuple((name, str(value)) for name, value in row.items() if name not in ("node", "start", "size"))
    return BasePartition(number, start, size, probe_content(path, start, size).get("TYPE", ""), said)


def check_root(disk: BaseDisk, name: str) -> None:
    """Raises BoardllamaError unless the last partition is there as a whole, and holds ext4."""
    last = disk.root
    if last.end > disk.size:
        raise BoardllamaError(
            f"{name} is damaged: it ends at byte {disk.size} and its last partition at {last.end}: get it again from "
            "its vendor"
        )
    if last.holds == EXT4:
        return
    roots = [partition for partition in disk.partitions if partition.holds == EXT4]
    if roots:
        raise BoardllamaError(
            f"{name}: partition {last.number} ({last.content}) lies behind the ext4 of partition {roots[-1].number}: "
            f"{RULE}"
        )
    raise BoardllamaError(f"{name}: partition {last.number}, the last on the disk, holds {last.content}: {RULE}")


def resize_root(disk: BaseDisk, size: int) -> None:
    """Writes `size` bytes into the table as those of the root; the disk has been cut or made longer before."""
    quiet = ("sfdisk", "--quiet", "--no-reread", "--no-tell-kernel")
    if disk.label == "gpt":
        program_output(*quiet, "--relocate", "gpt-bak-std", str(disk.path), package="fdisk")
    line = f",{size // SECTOR}\n".encode()
    program_output(*quiet, "-N", str(disk.root.number), str(disk.path), given=line, package="fdisk")
