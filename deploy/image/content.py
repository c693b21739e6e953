"""Whether a finished disk image is what its board starts, judged by other programs than those that wrote the image."""

from fnmatch import fnmatchcase
from pathlib import Path

from deploy.controller.programs import program_output
from deploy.debian.tools import Tools
from deploy.debian.workspace import Workspace
from deploy.errors import BoardllamaError
from deploy.image.boards import DebianBoard, Table
from deploy.image.disk import BASIC_DATA, ESP, IDENTITY_BYTES, PARTITION_UUIDS, ROOT_ARM64, SECTOR, DiskLayout
from deploy.onboard.json_parts import parse_json

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
    check_root_file_system(workspace, tools, "check of the root file system", disk, layout)


def check_root_file_system(workspace: Workspace, tools: Tools, step: str, disk: Path, layout: DiskLayout) -> None:
    """Raises BoardllamaError when e2fsck, run as the step of that name, finds the root file system damaged."""
    fsck = [*tools.program_command("usr/sbin/e2fsck"), "-f", "-n", f"{disk}?offset={layout.root_offset}"]
    workspace.run_step(step, fsck)


def missing_files(board: DebianBoard, boot_files: list[str]) -> list[str]:
    """The patterns of what the board's loader needs that no file of the boot partition matches."""
    return [need for need in board.needs if not any(fnmatchcase(name, need) for name in boot_files)]


def wrong_table(tools: Tools, disk: Path, layout: DiskLayout) -> list[str]:
    """Each difference between the layout and the partition table, as sfdisk reads the table."""
    table = parse_json(image_tool_output(tools, "usr/sbin/sfdisk", "--json", str(disk)))["partitiontable"]
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
    """Type and offset in bytes of every partition of the MBR."""
    with disk.open("rb") as file:
        sector = file.read(SECTOR)
    rows = [sector[446 + 16 * place :][:16] for place in range(4)]
    return {(row[4], int.from_bytes(row[8:12], "little") * SECTOR) for row in rows if row[4]}


def wanted_mbr(layout: DiskLayout) -> set[tuple[int, int]]:
    """The partition that protects the GPT, and the boot partition as FAT32 for a boot ROM that reads the MBR alone."""
    protective = (0xEE, SECTOR)
    return {protective, (0x0C, layout.board.first)} if layout.board.table is Table.HYBRID else {protective}


def wrong_blobs(disk: Path, board: DebianBoard, made: Path) -> list[str]:
    """Each boot loader that does not stand at its offset, byte for byte as `made` has it."""
    found = []
    with disk.open("rb") as file:
        for place, blob in enumerate(board.blobs):
            wanted = (made / f"blob{place}").read_bytes()
            file.seek(blob.offset)
            if file.read(len(wanted)) != wanted:
                found.append(f"{blob.path} is not at byte {blob.offset}")
    return found


def wrong_files(tools: Tools, disk: Path, layout: DiskLayout, names: list[str], made: Path) -> list[str]:
    """Each file that its FAT file system does not give back as it was put in."""
    given = [(layout.board.first, name, made / name) for name in names]
    given += [(layout.identity_offset, "boardllama.txt", made.parent / "identity/boardllama.txt")]
    return [
        f"{name} is damaged" for offset, name, path in given if fat_file(tools, disk, offset, name) != path.read_bytes()
    ]


def fat_file(tools: Tools, disk: Path, offset: int, name: str) -> bytes:
    """The content of a file in the FAT file system at that byte of the disk. Raises BoardllamaError."""
    return image_tool_output(tools, "usr/bin/mtype", "-i", f"{disk}@@{offset}", f"::{name}")


def image_tool_output(tools: Tools, path: str, *words: str) -> bytes:
    """Standard output of the program at that path of the tools. Raises BoardllamaError."""
    return program_output(*tools.program_command(path), *words, deadline=DEADLINE, name=Path(path).name)
