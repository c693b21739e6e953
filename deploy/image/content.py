"""Whether a finished disk image is what its board starts: judged by what a reader of its own finds on it."""

import hashlib
import json
from fnmatch import fnmatchcase
from pathlib import Path

from deploy.debian.tools import Tools
from deploy.debian.workspace import Workspace
from deploy.errors import BoardllamaError
from deploy.image.boards import BoardProfile, Table
from deploy.image.disk import BASIC_DATA, ESP, IDENTITY_BYTES, PARTITION_UUIDS, ROOT_ARM64, SECTOR, DiskLayout
from deploy.programs import output

DEADLINE = 60.0


def check_content(workspace: Workspace, tools: Tools, disk: Path, layout: DiskLayout, boot_files: list[str]) -> None:
    """Raises BoardllamaError naming everything that is wrong with the image."""
    board = layout.board
    wrong = [
        *wrong_table(tools, disk, layout),
        *wrong_blobs(disk, board, workspace.folder / "input"),
        *(f"{name} is not on the boot partition" for name in missing_files(board, boot_files)),
        *wrong_files(tools, disk, layout, boot_files, workspace.folder / "input/boot"),
    ]
    if wrong:
        raise BoardllamaError(f"the image does not start a {board.title}: {'; '.join(wrong)}")
    fsck = [*tools.program_command("usr/sbin/e2fsck"), "-f", "-n", f"{disk}?offset={layout.root_offset}"]
    workspace.run("check of the root file system", fsck)


def missing_files(board: BoardProfile, boot_files: list[str]) -> list[str]:
    """What the board's loader needs and nothing on the boot partition matches."""
    return [need for need in board.needs if not any(fnmatchcase(name, need) for name in boot_files)]


def wrong_table(tools: Tools, disk: Path, layout: DiskLayout) -> list[str]:
    """How the partition table differs from the layout, as sfdisk reads it."""
    table = json.loads(image_tool_output(tools, "usr/sbin/sfdisk", "--json", str(disk)))["partitiontable"]
    found = (
        []
        if mbr_partitions(disk) == wanted_mbr(layout)
        else [f"its MBR says {mbr_partitions(disk)}, not {wanted_mbr(layout)}"]
    )
    if table["label"] != "gpt":
        return [*found, f"its partition table is {table['label']}"]
    wanted = [
        (layout.board.first, layout.identity_offset - layout.board.first, ESP, "boot"),
        (layout.identity_offset, IDENTITY_BYTES, BASIC_DATA, "identity"),
        (layout.root_offset, layout.root_size, ROOT_ARM64, "root"),
    ]
    rows = [
        (part["start"] * SECTOR, part["size"] * SECTOR, part["type"].lower(), part["name"])
        for part in table["partitions"]
    ]
    uuids = [part["uuid"].lower() for part in table["partitions"]]
    found += [] if rows == wanted else [f"its partitions are {rows}, not {wanted}"]
    return found + ([] if uuids == list(PARTITION_UUIDS.values()) else [f"its partitions' ids are {uuids}"])


def mbr_partitions(disk: Path) -> set[tuple[int, int]]:
    """Type and first byte of every partition of the MBR."""
    with disk.open("rb") as file:
        sector = file.read(SECTOR)
    rows = [sector[446 + 16 * place :][:16] for place in range(4)]
    return {(row[4], int.from_bytes(row[8:12], "little") * SECTOR) for row in rows if row[4]}


def wanted_mbr(layout: DiskLayout) -> set[tuple[int, int]]:
    """The one that protects the GPT, and beside it the boot partition as FAT32 where a boot ROM reads the MBR alone."""
    protective = (0xEE, SECTOR)
    return {protective, (0x0C, layout.board.first)} if layout.board.table is Table.HYBRID else {protective}


def wrong_blobs(disk: Path, board: BoardProfile, made: Path) -> list[str]:
    """Boot loaders that do not stand at their offset as the package has them."""
    found = []
    with disk.open("rb") as file:
        for place, blob in enumerate(board.blobs):
            wanted = (made / f"blob{place}").read_bytes()
            file.seek(blob.offset)
            if file.read(len(wanted)) != wanted:
                found.append(f"{blob.path} is not at byte {blob.offset}")
    return found


def wrong_files(tools: Tools, disk: Path, layout: DiskLayout, names: list[str], made: Path) -> list[str]:
    """Files that the FAT file systems do not give back as they were put in."""
    found = [name for name in names if fat_file_sha256(tools, disk, layout.board.first, name) != digest(made / name)]
    told = made.parent / "identity/boardllama.txt"
    found += [] if fat_file_sha256(tools, disk, layout.identity_offset, told.name) == digest(told) else [told.name]
    return [f"{name} is damaged" for name in found]


def fat_file_sha256(tools: Tools, disk: Path, offset: int, name: str) -> str:
    """SHA-256 of a file of the FAT file system at that byte of the disk."""
    return hashlib.sha256(fat_file(tools, disk, offset, name)).hexdigest()


def fat_file(tools: Tools, disk: Path, offset: int, name: str) -> bytes:
    """A file of the FAT file system at that byte of the disk."""
    return image_tool_output(tools, "usr/bin/mtype", "-i", f"{disk}@@{offset}", f"::{name}")


def digest(path: Path) -> str:
    """SHA-256 of a small file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def image_tool_output(tools: Tools, path: str, *words: str) -> bytes:
    """Standard output of one of the image tools. Raises BoardllamaError."""
    return output(*tools.program_command(path), *words, deadline=DEADLINE, name=Path(path).name)
