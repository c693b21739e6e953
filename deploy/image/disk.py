"""The disk image: genimage lays partitions and boot loaders out. Nothing is mounted, and no device is used."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from deploy.debian.tools import Tools
from deploy.debian.workspace import Workspace
from deploy.errors import BoardllamaError
from deploy.image.boards import MIB, DebianBoard, Table
from deploy.onboard.identity.boardllama_txt import FILE, LABEL

# All ids are fixed: the same files are the same image. Partitions differ in the last digits.
DISK_UUID = "b0a4d11a-0000-4000-8000-000000000010"
# Of the MBR of a hybrid table, in genimage's language.
HYBRID_ID = "    disk-signature = 0xb0a4d11a\n"
PARTITION_UUIDS = {
    name: f"b0a4d11a-0000-4000-8000-00000000001{place}" for name, place in (("boot", 1), ("identity", 2), ("root", 3))
}
ROOT_UUID = "b0a4d11a-0000-4000-8000-000000000001"
ESP = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
# The type that any operating system shows in its file manager.
BASIC_DATA = "ebd0a0a2-b9e5-4433-87c0-68b6b72699c7"
ROOT_ARM64 = "b921b045-1df0-41c3-af44-4c6f280d3fae"

SECTOR = 512
# Protective MBR, header and 128 entries; as much at the end, without the MBR.
TABLE_BYTES = 34 * SECTOR
# Room for two kernels with their initrds while one replaces the other.
BOOT_BYTES = 256 * MIB
IDENTITY_BYTES = 32 * MIB
# What a first boot writes before the file system has grown.
SPARE_BYTES = 96 * MIB


@dataclass(frozen=True)
class DiskLayout:
    """Where everything lies on the disk, in bytes. Partitions are aligned to MiB."""

    board: DebianBoard
    root_size: int

    @property
    def identity_offset(self) -> int:
        """The beginning of the partition that holds boardllama.txt."""
        return self.board.first + BOOT_BYTES

    @property
    def root_offset(self) -> int:
        """The beginning of the last partition, which grows on the card."""
        return self.identity_offset + IDENTITY_BYTES

    @property
    def disk_size(self) -> int:
        """The whole image, with the second copy of the table at its end."""
        return self.root_offset + self.root_size + MIB

    def boot_sectors(self, blobs: dict[str, int]) -> tuple[tuple[int, int], ...]:
        """Pairs of offset and length in bytes of all that makes a card boot, to be written last.

        `blobs`: sizes by path.
        """
        return (0, TABLE_BYTES), *((blob.offset, blobs[blob.path]) for blob in self.board.blobs)


def layout_for(board: DebianBoard, content: int, size: int | None) -> DiskLayout:
    """The layout for a root tree that takes `content` bytes (blocks and inodes), on a disk of `size` bytes.

    None: as small as it can be. Raises BoardllamaError when `size` is too small.
    """
    least = DiskLayout(board, round_up(content + content // 16 + SPARE_BYTES))
    if size is None:
        return least
    if size < least.disk_size:
        raise BoardllamaError(
            f"SIZE is {size >> 20} MiB and this image needs {-(-least.disk_size // MIB)} MiB: leave SIZE out (the root "
            "grows to the card at the first boot), or give more"
        )
    return DiskLayout(board, least.root_size + (size - least.disk_size) // MIB * MIB)


def round_up(size: int) -> int:
    """The size in bytes, made up to whole MiB."""
    return -(-size // MIB) * MIB


def fat_section(name: str, label: str, size: int, options: str, files: list[str]) -> str:
    """A FAT file system in genimage's language. `files` are paths below the folder <name>/ of genimage's input."""
    entries = "\n".join(f'    file "{file}" {{ image = "{name}/{file}" }}' for file in sorted(files))
    return (
        f'image {name}.vfat {{\n  vfat {{\n    label = "{label}"\n    extraargs = "{options}"\n'
        f"{entries}\n  }}\n  size = {size}\n}}\n"
    )


def partition_section(name: str, kind: str, offset: int, size: int, image: str, more: str = "") -> str:
    """A partition in genimage's language; `offset` and `size` in bytes."""
    return (
        f'  partition {name} {{\n    image = "{image}"\n    partition-type-uuid = "{kind}"\n'
        f'    partition-uuid = "{PARTITION_UUIDS[name]}"\n    offset = {offset}\n    size = {size}\n{more}  }}\n'
    )


def genimage_config(layout: DiskLayout, boot_files: list[str]) -> str:
    """The configuration from which genimage makes disk.img. `boot_files`: paths on the boot partition."""
    board = layout.board
    # A hybrid table shows the boot partition as FAT32 (LBA) in the MBR; U-Boot looks at bootable partitions.
    more = "    partition-type = 0x0c\n" if board.table is Table.HYBRID else "    bootable = true\n"
    parts = [
        f'  hdimage {{\n    partition-table-type = "{board.table.value}"\n    disk-uuid = "{DISK_UUID}"\n'
        f"{HYBRID_ID if board.table is Table.HYBRID else ''}    align = 1M\n  }}\n",
        *(
            f'  partition blob{place} {{\n    in-partition-table = false\n    image = "blob{place}"\n'
            f"    offset = {blob.offset}\n  }}\n"
            for place, blob in enumerate(board.blobs)
        ),
        partition_section("boot", ESP, board.first, BOOT_BYTES, "boot.vfat", more),
        partition_section("identity", BASIC_DATA, layout.identity_offset, IDENTITY_BYTES, "identity.vfat"),
        partition_section("root", ROOT_ARM64, layout.root_offset, layout.root_size, "root.ext4"),
    ]
    return (
        fat_section("boot", "BOOT", BOOT_BYTES, "--invariant -F 32 -i B0A4D111", boot_files)
        + fat_section("identity", LABEL, IDENTITY_BYTES, "--invariant -i B0A4D112", [FILE])
        + f"image disk.img {{\n{''.join(parts)}  size = {layout.disk_size}\n}}\n"
    )


def assemble_disk(workspace: Workspace, tools: Tools, layout: DiskLayout, boot_files: list[str]) -> Path:
    """Makes folder/disk.img from folder/input, which holds boot/, identity/, root.ext4, and blob0, blob1, and so on."""
    folder = workspace.folder
    (folder / "genimage.cfg").write_text(genimage_config(layout, boot_files))
    for name in ("tmp", "empty"):
        (folder / name).mkdir()
    programs = {"mkdosfs": "usr/sbin/mkfs.fat", "mcopy": "usr/bin/mcopy", "mmd": "usr/bin/mmd"}
    command = [
        *tools.program_command("usr/bin/genimage"),
        *("--config", str(folder / "genimage.cfg"), "--rootpath", str(folder / "empty")),
        *("--tmppath", str(folder / "tmp"), "--inputpath", str(folder / "input"), "--outputpath", str(folder)),
        *(f"--{name}={shlex.join(tools.program_command(path))}" for name, path in programs.items()),
    ]
    workspace.run_step("disk", command)
    return folder / "disk.img"
